/* SPDX-License-Identifier: MIT */
/* tree_walk.c -- going through a tree: by rank, by key, step by step, and the
 * check. */
#include "tree.h"
#include <refork/walk.h>
#include <string.h>

size_t rf_tree_memory(const struct rf_tree *tree)
{
	return (size_t)tree->node_count * RF_TREE_NODE_BYTES;
}

/* The root of a tree without nodes. */
static struct rf_tree_node nothing = {.stride = 1};

static struct rf_tree_node *start_at_root(
	const struct rf_tree *tree, struct rf_place *place)
{
	struct rf_tree_node *root = tree->root != NULL ? tree->root : &nothing;

	place->top = root->level;
	return root;
}

/* Into that slot; the node of a branch's child is the next one. */
static struct rf_tree_node *enter(
	struct rf_place *place, struct rf_tree_node *node, uint32_t slot)
{
	place->nodes[node->level] = node;
	place->slots[node->level] = (uint16_t)slot;
	return node->level > 0 ? rf_tree_at(node, slot)->to : NULL;
}

/* The slot that holds the rank, which becomes the rank in that slot. */
static uint32_t find_rank(
	const struct rf_tree *tree, struct rf_tree_node *node, uint64_t *rank)
{
	uint32_t slot;

	for (slot = 0; slot < node->used; slot++) {
		uint64_t weight = rf_tree_weight(
			tree, node->level, rf_tree_at(node, slot));

		if (*rank < weight)
			break;
		*rank -= weight;
	}
	return slot;
}

static void seek_end(struct rf_tree_node *node, struct rf_place *place)
{
	while (node->level > 0)
		node = enter(place, node, node->used - 1);
	enter(place, node, node->used);
}

uint64_t rf_tree_seek(
	const struct rf_tree *tree, uint64_t rank, struct rf_place *place)
{
	struct rf_tree_node *node = start_at_root(tree, place);

	if (rank >= tree->weight) {
		seek_end(node, place);
		return 0;
	}
	while (node != NULL) {
		uint32_t slot = find_rank(tree, node, &rank);

		/* In a sound tree there is one. */
		if (node->level > 0 && slot == node->used)
			slot--;
		node = enter(place, node, slot);
	}
	return rank;
}

void rf_tree_seek_key(const struct rf_tree *tree,
	bool (*before)(const struct rf_tree_slot *slot, const void *key),
	const void *key, struct rf_place *place)
{
	struct rf_tree_node *node = start_at_root(tree, place);

	do {
		uint32_t branch = node->level > 0;
		/* Children from 1 on: what is before the first is there. */
		uint32_t low = branch, high = node->used;

		while (low < high) {
			uint32_t middle = (low + high) / 2;

			if (before(rf_tree_at(node, middle) + branch, key))
				low = middle + 1;
			else
				high = middle;
		}
		node = enter(place, node, low - branch);
	} while (node != NULL);
}

uint64_t rf_tree_rank(const struct rf_tree *tree, const struct rf_place *place)
{
	uint64_t rank = 0;

	for (uint32_t level = 0; level <= place->top; level++)
		for (uint32_t i = 0; i < place->slots[level]; i++)
			rank += rf_tree_weight(tree, level,
				rf_tree_at(place->nodes[level], i));
	return rank;
}

const struct rf_tree_slot *rf_tree_slot(struct rf_place *place)
{
	struct rf_tree_node *node = place->nodes[0];
	uint32_t level = 1;

	if (rf_likely(place->slots[0] < node->used))
		return &node->slots[place->slots[0]];
	while (level <= place->top &&
		place->slots[level] + 1u >= place->nodes[level]->used)
		level++;
	if (level > place->top)
		return NULL;
	node = enter(place, place->nodes[level], place->slots[level] + 1u);
	while (node->level > 0)
		node = enter(place, node, 0);
	enter(place, node, 0);
	return node->slots;
}

bool rf_tree_step_back(struct rf_place *place)
{
	struct rf_tree_node *node;
	uint32_t level = 0;

	while (level <= place->top && place->slots[level] == 0)
		level++;
	if (level > place->top)
		return false;
	node = enter(place, place->nodes[level], place->slots[level] - 1u);
	while (node != NULL)
		node = enter(place, node, node->used - 1);
	return true;
}

/* ---- the walker ----
 *
 * Levels go down by one from node to child, so it is never deeper than the
 * root says. Where no block is marked, branches may have grown together: there
 * are no more nodes than the heap has room for. */

struct walk {
	struct rf_walk *to;
	const struct rf_tree *tree;
	const char *(*item)(struct rf_walk *walk,
		const struct rf_tree_slot *slot, void *context);
	void *context;
	uint64_t nodes, most;
};

static bool bad(const struct walk *walk, const void *at, const char *what)
{
	rf_walk_problem(
		walk->to, at, "tree at %p: %s", (const void *)walk->tree, what);
	return false;
}

static const char *node_fault(const struct walk *walk,
	const struct rf_tree_node *node, uint32_t level, bool is_root)
{
	bool pairs = level > 0 && walk->tree->kind == RF_TREE_KEYED;

	if (node->level != level || node->stride != (pairs ? 2 : 1))
		return "not a node of its level";
	if (node->used == 0 || node->used > rf_tree_capacity(node))
		return "a node that holds no such number of slots";
	if (is_root && level > 0 && node->used < 2)
		return "a root with one child";
	return NULL;
}

static bool is_same(struct rf_tree_slot a, struct rf_tree_slot b)
{
	return memcmp(&a, &b, sizeof a) == 0;
}

static bool walk_node(struct walk *walk, struct rf_tree_node *node,
	uint32_t level, uint64_t *weight);

/* One slot of a node that is sound itself, and all below. */
static void walk_slot(
	struct walk *walk, struct rf_tree_node *node, struct rf_tree_slot *slot)
{
	uint64_t below;

	if (node->level == 0) {
		const char *fault = walk->item(walk->to, slot, walk->context);

		if (fault != NULL)
			bad(walk, node, fault);
		return;
	}
	if (!walk_node(walk, slot->to, node->level - 1u, &below))
		return;
	if (slot->weight != below)
		bad(walk, node, "a child with another weight");
	if (node->stride == 2 && !is_same(slot[1], rf_tree_first(slot->to)))
		bad(walk, node, "a child with another first slot");
}

/* True: the node can be read, and *weight is what its slots say. */
static bool walk_node(struct walk *walk, struct rf_tree_node *node,
	uint32_t level, uint64_t *weight)
{
	const char *fault;

	*weight = 0;
	if (walk->nodes > walk->most ||
		!rf_walk_block(walk->to, node, RF_TREE_NODE_BYTES, "tree node"))
		return false;
	if (++walk->nodes > walk->most)
		return bad(walk, node, "more nodes than there can be");
	fault = node_fault(walk, node, level, node == walk->tree->root);
	if (fault != NULL)
		return bad(walk, node, fault);
	for (uint32_t i = 0; i < node->used; i++)
		rf_walk_prefetch(walk->to, rf_tree_at(node, i)->to);
	for (uint32_t i = 0; i < node->used; i++) {
		struct rf_tree_slot *slot = rf_tree_at(node, i);

		walk_slot(walk, node, slot);
		*weight += rf_tree_weight(walk->tree, level, slot);
	}
	return true;
}

void rf_tree_walk(struct rf_walk *to, const struct rf_tree *tree,
	const char *(*item)(struct rf_walk *walk,
		const struct rf_tree_slot *slot, void *context),
	void *context)
{
	struct walk walk = {to, tree, item, context, 0, 0};
	struct rf_tree_node *root = tree->root;
	uint64_t weight = 0;

	walk.most = rf_walk_bytes_max(to) / RF_TREE_NODE_BYTES;
	if (tree->kind > RF_TREE_KEYED) {
		bad(&walk, tree, "neither weighed nor keyed");
		return;
	}
	if (root != NULL) {
		if (!rf_walk_holds(to, root, RF_TREE_NODE_BYTES) ||
			root->level >= RF_PLACE_LEVELS) {
			bad(&walk, root, "not a root");
			return;
		}
		walk_node(&walk, root, root->level, &weight);
	}
	if (weight != tree->weight)
		bad(&walk, tree, "the weights do not add up");
	if (walk.nodes != tree->node_count)
		bad(&walk, tree, "not as many nodes as counted");
}
