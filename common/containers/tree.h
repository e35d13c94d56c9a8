/* SPDX-License-Identifier: MIT */
/* tree.h -- a counted B+-tree: the order of what hangs in it, by rank or by
 * key. Private to the containers; see tree.c.
 */
#ifndef RF_TREE_H
#define RF_TREE_H

#include <refork/place.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of a leaf: what hangs in the tree, and a word about it. Of a branch: a child
 * and the weight of all that hangs below it; in a keyed tree followed by a
 * copy of the first slot of the leftmost leaf below. */
struct rf_tree_slot {
	void *to;
	union {
		uint64_t weight;
		double score;
	};
};

struct rf_tree_node {
	uint16_t level;	 /* 0: a leaf */
	uint16_t stride; /* 2 for a branch of a keyed tree, else 1 */
	uint32_t used;	 /* slots, as pairs where they are pairs */
	struct rf_tree_slot slots[];
};

enum rf_tree_kind {
	RF_TREE_WEIGHED, /* a leaf's words are weights, above 0 */
	RF_TREE_KEYED	 /* are scores; each slot weighs 1 */
};

/* In a block of the arena. */
struct rf_tree {
	struct rf_tree_node *root; /* NULL: empty */
	uint64_t weight;	   /* of all */
	uint32_t kind;
	uint32_t node_count;
};
_Static_assert(sizeof(struct rf_tree) == 24, "format");

/* Of the arena, by its nodes. */
size_t rf_tree_memory(const struct rf_tree *tree);

/* Whatever stands in the tree after an error has stuck to the transaction: what
 * reads it finds nodes and their slots, though weights may not add up.
 *
 * To the slot that holds what has this rank; returns the ranks before it in
 * that slot. A rank beyond the last: behind the last slot, 0. */
uint64_t rf_tree_seek(
	const struct rf_tree *tree, uint64_t rank, struct rf_place *place);
/* Behind the last slot of which `before` says that it stands before the key.
 * The slots for which it does are the first ones of a keyed tree. */
void rf_tree_seek_key(const struct rf_tree *tree,
	bool (*before)(const struct rf_tree_slot *slot, const void *key),
	const void *key, struct rf_place *place);
/* The weight of all that stands before the place. */
uint64_t rf_tree_rank(const struct rf_tree *tree, const struct rf_place *place);

/* The slot it stands on; behind the last one of a leaf it goes on to the next
 * leaf. NULL: there is none. */
const struct rf_tree_slot *rf_tree_slot(struct rf_place *place);
/* Step on, from a slot. Step back: false at the first slot. */
static inline void rf_tree_step(struct rf_place *place)
{
	place->slots[0]++;
}
bool rf_tree_step_back(struct rf_place *place);

/* What changes the tree. Places are void afterwards, but that of an exchange.
 * No memory: the transaction carries the error. Cost: O(log n). */
void rf_tree_insert(
	struct rf_tree *tree, struct rf_place *place, struct rf_tree_slot slot);
/* Another slot instead of that one; the order stays. */
void rf_tree_exchange(
	struct rf_tree *tree, struct rf_place *place, struct rf_tree_slot slot);
/* Take out `count` slots of this leaf, at most those from here to its end. */
void rf_tree_remove(
	struct rf_tree *tree, struct rf_place *place, uint32_t count);

/* Walk everything (walk.h); `item` looks at what hangs in a slot, after the
 * nodes above it were found sound, and returns what is wrong, or NULL. */
struct rf_walk;
void rf_tree_walk(struct rf_walk *walk, const struct rf_tree *tree,
	const char *(*item)(struct rf_walk *walk,
		const struct rf_tree_slot *slot, void *context),
	void *context);

static inline uint32_t rf_tree_leaf_rest(const struct rf_place *place)
{
	return place->nodes[0]->used - place->slots[0];
}

/* ---- for tree.c and tree_walk.c ---- */

#define RF_TREE_NODE_BYTES 512u
#define RF_TREE_LEAF_SLOTS                                                     \
	((RF_TREE_NODE_BYTES - sizeof(struct rf_tree_node)) /                  \
		sizeof(struct rf_tree_slot))

static inline uint32_t rf_tree_capacity(const struct rf_tree_node *node)
{
	return (uint32_t)RF_TREE_LEAF_SLOTS / node->stride;
}

static inline struct rf_tree_slot *rf_tree_at(
	struct rf_tree_node *node, uint32_t slot)
{
	return &node->slots[slot * node->stride];
}

/* The first slot of the leftmost leaf below a node of a keyed tree. */
static inline struct rf_tree_slot rf_tree_first(const struct rf_tree_node *node)
{
	return node->slots[node->level > 0];
}

/* Of a slot of that level. */
static inline uint64_t rf_tree_weight(const struct rf_tree *tree,
	uint32_t level, const struct rf_tree_slot *slot)
{
	return level == 0 && tree->kind == RF_TREE_KEYED ? 1 : slot->weight;
}

#endif
