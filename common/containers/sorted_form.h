/* SPDX-License-Identifier: MIT */
/* sorted_form.h -- what stands in the word of an ordered index; see sorted.c.
 */
#ifndef RF_SORTED_FORM_H
#define RF_SORTED_FORM_H

#include "tree.h"
#include <refork/dict.h>
#include <refork/pack.h>
#include <refork/sorted.h>
#include <string.h>

/* The words of the dict are the scores. The slots of the tree are its entries,
 * beside each its score again: a search reads the slots of one node, not the
 * entries all over the memory. */
struct sorted_big {
	struct rf_dict dict;
	struct rf_tree tree;
};
_Static_assert(sizeof(struct sorted_big) == 72, "format");

/* The word: 0, a pack, or a sorted_big with the lowest bit set. Blocks stand
 * at multiples of 8. */
#define SORTED_BIG UINT64_C(1)

static inline bool sorted_is_big(const struct rf_sorted *sorted)
{
	return (sorted->word & SORTED_BIG) != 0;
}

static inline struct sorted_big *sorted_big(const struct rf_sorted *sorted)
{
	return (struct sorted_big *)(sorted->word & ~SORTED_BIG);
}

/* Of one that is not big; NULL: it is empty. */
static inline struct rf_pack *sorted_pack(const struct rf_sorted *sorted)
{
	return (struct rf_pack *)sorted->word;
}

/* What the order is by. */
struct sorted_key {
	double score;
	struct rf_bytes member;
};

static inline int sorted_compare_members(struct rf_bytes a, struct rf_bytes b)
{
	size_t bytes = a.bytes < b.bytes ? a.bytes : b.bytes;
	int order = bytes > 0 ? memcmp(a.at, b.at, bytes) : 0;

	return order != 0 ? order : (a.bytes > b.bytes) - (a.bytes < b.bytes);
}

static inline int sorted_compare(struct sorted_key a, struct sorted_key b)
{
	if (a.score != b.score)
		return a.score < b.score ? -1 : 1;
	return sorted_compare_members(a.member, b.member);
}

/* ---- of a slot (sorted.c) ---- */

static inline struct rf_bytes sorted_member_of(const struct rf_tree_slot *slot)
{
	const struct rf_dict_entry *entry = slot->to;

	return (struct rf_bytes){entry->key, entry->key_bytes};
}

/* Of rf_tree_seek_key(), the key a struct sorted_key. */
static inline bool sorted_is_before(
	const struct rf_tree_slot *slot, const void *key)
{
	const struct sorted_key *other = key;

	if (slot->score != other->score)
		return slot->score < other->score;
	return sorted_compare_members(sorted_member_of(slot), other->member) <
	       0;
}

/* ---- of a pack (sorted_pack.c): positions are those of members ---- */

/* A score that is in the pack; *is_score false: something else is. */
double sorted_pack_score(
	const struct rf_pack *pack, uint32_t at, bool *is_score);

/* The next member; step over one and its score. */
uint32_t sorted_pack_step(const struct rf_pack *pack, uint32_t at);

/* The end: no such member. */
uint32_t sorted_pack_find(
	const struct rf_pack *pack, const void *member, size_t bytes);

/* How many stand before it. */
uint64_t sorted_pack_rank(const struct rf_pack *pack, uint32_t at);

/* The first member not before the key. */
uint32_t sorted_pack_seek(const struct rf_pack *pack, struct sorted_key key);

/* Insert before `at`; the position is that of the order. Where the pack stands
 * now, NULL: the transaction carries the error. */
struct rf_pack *sorted_pack_insert(
	struct rf_pack *pack, uint32_t at, struct sorted_key key);

/* Another score for a member, which may need another place. As above. */
struct rf_pack *sorted_pack_move(
	struct rf_pack *pack, uint32_t at, struct sorted_key key);

#endif
