/* SPDX-License-Identifier: MIT */
/* tree.c -- changing a counted B+-tree.
 *
 * The problem. A list of packs needs its n-th element, an ordered index the
 * n-th of its members and the rank of any: in a tree whose every branch knows
 * how much hangs below each of its children, both are one way from the root to
 * a leaf. Under an undo log a change should also touch few bytes, and few
 * nodes beside that way.
 * The idea. Nodes are arrays of slots in blocks of one size. A change moves
 * some slots of one leaf, and adds to one weight on each level above. Leaves
 * are not linked to each other: a place remembers the way down (place.h), so
 * a step to the next leaf goes up and down again, and nobody else's links
 * change when a leaf is split.
 *
 * A branch of a keyed tree holds, beside each child, a copy of the first slot
 * below it, so that the search for a key looks into no node but those on the
 * way.
 *
 * Invariants, walked by rf_tree_check():
 *   B1  no node is empty, but for a tree without any; a branch that is the root
 *       has two children or more
 *   B2  the weight beside a child is the sum of those in it, and that of the
 *       tree the sum of those in the root
 *   B3  in a keyed tree, the copy beside a child is the first slot below it
 *   B4  node_count is the number of nodes
 *
 * A node that falls under half of its room is merged with a neighbour when both
 * leave a quarter free: between a merge and the next split are always many
 * changes. A split at the end or at the start of the whole tree leaves the old
 * node nearly full: that is how lists and ascending keys grow.
 *
 * Each step of a change (a split, a merge, a gap opened) takes its memory and
 * logs all its ranges before it changes the first byte: when either fails, the
 * step has not happened, the transaction carries the error, and what stands is
 * still a tree that can be read.
 *
 * A node that was made in the same transaction needs no log (rule T4 of tx.c).
 * The last ones are remembered in the memory of this process, so that a tree
 * can be made at once, however large: half of each node would be logged for
 * each slot put into it otherwise.
 *
 * Source. Bayer & McCreight, "Organization and maintenance of large ordered
 * indices", 1972; the weights are those of a rope.
 */
#include "tree.h"
#include "common/tx_log.h"
#include <refork/heap.h>
#include <refork/tx.h>
#include <string.h>

#define REMEMBERED 16384u

/* ---- what needs a log ---- */

static struct {
	const struct rf_tree_node *node;
	uint64_t serial; /* of the transaction that it was made in */
} remembered[REMEMBERED];

static size_t memory_of(const struct rf_tree_node *node)
{
	return (uintptr_t)node / RF_TREE_NODE_BYTES % REMEMBERED;
}

static void remember(const struct rf_tree_node *node)
{
	remembered[memory_of(node)].node = node;
	remembered[memory_of(node)].serial = rf_tx_state.serial;
}

static bool is_fresh(const struct rf_tree_node *node)
{
	return remembered[memory_of(node)].node == node &&
	       remembered[memory_of(node)].serial == rf_tx_state.serial;
}

/* Log a part of a node. */
static int log_in(
	const struct rf_tree_node *node, const void *part, size_t bytes)
{
	return is_fresh(node) ? rf_tx_error() : rf_tx_log(part, bytes);
}

/* ---- slots of one node ---- */

/* Log what an insertion or removal from `from` on will change. */
static int log_tail(
	struct rf_tree_node *node, uint32_t from, uint32_t slots_after)
{
	struct rf_tree_slot *start = rf_tree_at(node, from);
	struct rf_tree_slot *end = rf_tree_at(node, slots_after);

	log_in(node, node, sizeof *node);
	return log_in(node, start, (size_t)(end - start) * sizeof *start);
}

static void copy_slots(struct rf_tree_node *to, uint32_t to_slot,
	struct rf_tree_node *from, uint32_t from_slot, uint32_t count)
{
	memmove(rf_tree_at(to, to_slot), rf_tree_at(from, from_slot),
		count * from->stride * sizeof(struct rf_tree_slot));
}

/* Room for one slot; the node has it, and is logged. */
static void open_gap(struct rf_tree_node *node, uint32_t slot)
{
	copy_slots(node, slot + 1, node, slot, node->used - slot);
	node->used++;
}

static void close_gap(struct rf_tree_node *node, uint32_t slot, uint32_t count)
{
	copy_slots(node, slot, node, slot + count, node->used - slot - count);
	node->used -= count;
}

static uint64_t sum(const struct rf_tree *tree, struct rf_tree_node *node,
	uint32_t from, uint32_t count)
{
	uint64_t weight = 0;

	for (uint32_t i = from; i < from + count; i++)
		weight +=
			rf_tree_weight(tree, node->level, rf_tree_at(node, i));
	return weight;
}

/* ---- along the way up ---- */

static struct rf_tree_slot *slot_of(
	const struct rf_place *place, uint32_t level)
{
	return rf_tree_at(place->nodes[level], place->slots[level]);
}

static void add_weight(
	struct rf_tree *tree, const struct rf_place *place, uint64_t weight)
{
	for (uint32_t level = 1; level <= place->top; level++) {
		uint64_t *word = &slot_of(place, level)->weight;

		if (log_in(place->nodes[level], word, sizeof *word) == 0)
			*word += weight;
	}
	RF_SET(tree->weight, tree->weight + weight);
}

/* The first slot of the node of that level is another one (B3). */
static void renew_first(const struct rf_tree *tree,
	const struct rf_place *place, uint32_t level)
{
	struct rf_tree_slot first;

	if (tree->kind != RF_TREE_KEYED)
		return;
	first = rf_tree_first(place->nodes[level]);
	while (level < place->top) {
		struct rf_tree_slot *copy = slot_of(place, ++level) + 1;

		if (log_in(place->nodes[level], copy, sizeof *copy) == 0)
			*copy = first;
		if (place->slots[level] > 0)
			return;
	}
}

/* ---- making room ---- */

static struct rf_tree_node *make_node(struct rf_tree *tree, uint32_t level)
{
	struct rf_tree_node *node = rf_alloc_uninit(RF_TREE_NODE_BYTES);

	if (node == NULL || rf_tx_log(tree, sizeof *tree) != 0)
		return NULL;
	node->level = (uint16_t)level;
	node->stride = level > 0 && tree->kind == RF_TREE_KEYED ? 2 : 1;
	node->used = 0;
	tree->node_count++;
	remember(node);
	return node;
}

static void drop_node(struct rf_tree *tree, struct rf_tree_node *node)
{
	rf_free(node);
	RF_SET(tree->node_count, tree->node_count - 1);
}

/* A child's place in a branch: its pointer, its weight, its first slot. */
static void set_child(const struct rf_tree_node *branch,
	struct rf_tree_slot *at, struct rf_tree_node *child, uint64_t weight)
{
	at[0].to = child;
	at[0].weight = weight;
	if (branch->stride == 2)
		at[1] = rf_tree_first(child);
}

/* A root above the root. */
static bool grow(struct rf_tree *tree, struct rf_place *place)
{
	uint32_t level = place->top + 1;
	struct rf_tree_node *root;

	RF_CHECK(level < RF_PLACE_LEVELS);
	root = make_node(tree, level);
	if (root == NULL)
		return false;
	set_child(root, root->slots, tree->root, tree->weight);
	root->used = 1;
	tree->root = root;
	place->nodes[level] = root;
	place->slots[level] = 0;
	place->top = level;
	return true;
}

/* Whether an insertion at the place, or behind the child that it leads
 * through, is one at the very end (start) of the tree. */
static bool is_at_end(const struct rf_place *place, uint32_t level)
{
	for (; level <= place->top; level++)
		if (place->slots[level] + (level > 0 ? 1u : 0u) !=
			place->nodes[level]->used)
			return false;
	return true;
}

static bool is_at_start(const struct rf_place *place, uint32_t level)
{
	for (; level <= place->top; level++)
		if (place->slots[level] > 0)
			return false;
	return true;
}

static uint32_t split_point(const struct rf_place *place, uint32_t level)
{
	uint32_t used = place->nodes[level]->used;

	if (is_at_end(place, level))
		return used - 1;
	return is_at_start(place, level) ? 1 : used / 2;
}

/* A full node gives its upper slots to a new one; the branch above has room.
 * The place stays where it was, which may be in the new one. */
static bool split(struct rf_tree *tree, struct rf_place *place, uint32_t level)
{
	struct rf_tree_node *node = place->nodes[level];
	struct rf_tree_node *parent = place->nodes[level + 1];
	struct rf_tree_node *fresh = make_node(tree, level);
	uint32_t at = split_point(place, level);
	uint32_t slot = place->slots[level + 1];
	uint64_t weight;

	log_in(node, node, sizeof *node);
	if (fresh == NULL || log_tail(parent, slot, parent->used + 1) != 0)
		return false;
	copy_slots(fresh, 0, node, at, node->used - at);
	fresh->used = node->used - at;
	node->used = at;
	weight = sum(tree, fresh, 0, fresh->used);
	open_gap(parent, slot + 1);
	set_child(parent, rf_tree_at(parent, slot + 1), fresh, weight);
	rf_tree_at(parent, slot)->weight -= weight;
	if (place->slots[level] + (level > 0 ? 1u : 0u) > at) {
		place->nodes[level] = fresh;
		place->slots[level] = (uint16_t)(place->slots[level] - at);
		place->slots[level + 1]++;
	}
	return true;
}

static bool make_room(
	struct rf_tree *tree, struct rf_place *place, uint32_t level)
{
	const struct rf_tree_node *node = place->nodes[level];

	if (node->used < rf_tree_capacity(node))
		return true;
	if (level == place->top && !grow(tree, place))
		return false;
	return make_room(tree, place, level + 1) && split(tree, place, level);
}

/* ---- closing up ---- */

static void remove_slots(struct rf_tree *tree, struct rf_place *place,
	uint32_t level, uint32_t count);

/* The child behind that slot joins the one in it. */
static void join(struct rf_tree *tree, struct rf_place *place, uint32_t level,
	uint32_t slot)
{
	struct rf_tree_node *parent = place->nodes[level + 1];
	struct rf_tree_slot *left = rf_tree_at(parent, slot);
	struct rf_tree_slot *right = rf_tree_at(parent, slot + 1);
	struct rf_tree_node *to = left->to, *from = right->to;

	log_in(parent, &left->weight, sizeof left->weight);
	if (log_tail(to, to->used, to->used + from->used) != 0)
		return;
	copy_slots(to, to->used, from, 0, from->used);
	to->used += from->used;
	left->weight += right->weight;
	drop_node(tree, from);
	place->slots[level + 1] = (uint16_t)(slot + 1);
	remove_slots(tree, place, level + 1, 1);
}

static bool may_join(struct rf_tree_node *parent, uint32_t slot)
{
	const struct rf_tree_node *left, *right;

	if (slot + 1 >= parent->used)
		return false;
	left = rf_tree_at(parent, slot)->to;
	right = rf_tree_at(parent, slot + 1)->to;
	return left->used + right->used <= rf_tree_capacity(left) * 3 / 4;
}

static void merge(struct rf_tree *tree, struct rf_place *place, uint32_t level)
{
	struct rf_tree_node *parent = place->nodes[level + 1];
	uint32_t slot = place->slots[level + 1];

	if (slot > 0 && may_join(parent, slot - 1))
		join(tree, place, level, slot - 1);
	else if (may_join(parent, slot))
		join(tree, place, level, slot);
}

/* Whose weight is no longer counted above. A node that would be empty goes as
 * it is. */
static void remove_slots(struct rf_tree *tree, struct rf_place *place,
	uint32_t level, uint32_t count)
{
	struct rf_tree_node *node = place->nodes[level];
	uint32_t slot = place->slots[level];

	if (node->used == count) {
		drop_node(tree, node);
		if (level == place->top)
			RF_SET(tree->root, NULL);
		else
			remove_slots(tree, place, level + 1, 1);
		return;
	}
	if (log_tail(node, slot, node->used) != 0)
		return;
	close_gap(node, slot, count);
	if (slot == 0)
		renew_first(tree, place, level);
	if (level < place->top && node->used < rf_tree_capacity(node) / 2)
		merge(tree, place, level);
}

static void lower_root(struct rf_tree *tree)
{
	struct rf_tree_node *root = tree->root;

	while (root != NULL && root->level > 0 && root->used == 1 &&
		rf_tx_error() == 0) {
		RF_SET(tree->root, root->slots[0].to);
		drop_node(tree, root);
		root = tree->root;
	}
}

/* ---- the calls ---- */

void rf_tree_insert(
	struct rf_tree *tree, struct rf_place *place, struct rf_tree_slot slot)
{
	struct rf_tree_node *leaf;

	if (tree->root == NULL) {
		leaf = make_node(tree, 0);
		if (leaf == NULL)
			return;
		tree->root = leaf;
		*place = (struct rf_place){.nodes = {leaf}};
	}
	if (!make_room(tree, place, 0))
		return;
	leaf = place->nodes[0];
	if (log_tail(leaf, place->slots[0], leaf->used + 1) != 0)
		return;
	open_gap(leaf, place->slots[0]);
	*slot_of(place, 0) = slot;
	add_weight(tree, place, rf_tree_weight(tree, 0, &slot));
	if (place->slots[0] == 0)
		renew_first(tree, place, 0);
}

void rf_tree_exchange(
	struct rf_tree *tree, struct rf_place *place, struct rf_tree_slot slot)
{
	struct rf_tree_slot *at = slot_of(place, 0);
	uint64_t weight =
		rf_tree_weight(tree, 0, &slot) - rf_tree_weight(tree, 0, at);

	if (log_in(place->nodes[0], at, sizeof *at) == 0)
		*at = slot;
	if (weight != 0)
		add_weight(tree, place, weight);
	if (place->slots[0] == 0)
		renew_first(tree, place, 0);
}

void rf_tree_remove(
	struct rf_tree *tree, struct rf_place *place, uint32_t count)
{
	uint64_t weight = sum(tree, place->nodes[0], place->slots[0], count);

	add_weight(tree, place, 0 - weight);
	remove_slots(tree, place, 0, count);
	lower_root(tree);
}
