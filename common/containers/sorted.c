/* SPDX-License-Identifier: MIT */
/* sorted.c -- an ordered index: members by score, then by bytes.
 *
 * The idea. Two questions are asked: what score has this member, and who is
 * next, or n-th, in order. A dict answers the first. Its entries never move, so
 * a counted tree (tree.h) whose slots point to them answers the second: by
 * rank, by score, by score and member. A small index is one pack instead, and
 * is searched from its start (sorted_pack.c).
 *
 * An index becomes big with the first member that is too long or one too many;
 * it becomes small again only when it is empty.
 *
 * Invariants, walked by rf_sorted_check():
 *   S1  the slots of the tree are the entries of the dict, each once, in order
 *   S2  the score in a slot is the word of its entry
 *   S3  an index without members has no blocks
 */
#include "sorted_form.h"
#include <math.h>
#include <refork/heap.h>
#include <refork/tx.h>

/* Private to the process. */
static struct {
	uint32_t members, bytes;
} limits = {128, 64};

void rf_sorted_limits(uint32_t members, uint32_t bytes)
{
	limits.members = members;
	limits.bytes = bytes;
}

/* ---- members of a big one ---- */

static void set_score(struct rf_dict_entry *entry, double score)
{
	uint64_t word;

	memcpy(&word, &score, sizeof word);
	RF_SET(entry->word, word);
}

static double score_of(const struct rf_dict_entry *entry)
{
	double score;

	memcpy(&score, &entry->word, sizeof score);
	return score;
}

static struct sorted_key key_of(const struct rf_dict_entry *entry, double score)
{
	return (struct sorted_key){score, {entry->key, entry->key_bytes}};
}

/* In the tree, where it belongs. */
static void hang(
	struct sorted_big *big, struct rf_dict_entry *entry, double score)
{
	struct sorted_key key = key_of(entry, score);
	struct rf_place place;

	rf_tree_seek_key(&big->tree, sorted_is_before, &key, &place);
	rf_tree_insert(&big->tree, &place,
		(struct rf_tree_slot){.to = entry, .score = score});
}

static void find_slot(const struct sorted_big *big,
	const struct rf_dict_entry *entry, struct rf_place *place)
{
	struct sorted_key key = key_of(entry, score_of(entry));
	const struct rf_tree_slot *slot;

	rf_tree_seek_key(&big->tree, sorted_is_before, &key, place);
	slot = rf_tree_slot(place);
	RF_CHECK(slot != NULL && slot->to == entry);
}

/* Whether the slot may stay where it is, as far as its leaf shows. */
static bool is_between(const struct rf_place *place, struct sorted_key key)
{
	const struct rf_tree_slot *slot =
		&place->nodes[0]->slots[place->slots[0]];

	return place->slots[0] > 0 && rf_tree_leaf_rest(place) > 1 &&
	       sorted_is_before(slot - 1, &key) &&
	       !sorted_is_before(slot + 1, &key);
}

static void move(
	struct sorted_big *big, struct rf_dict_entry *entry, double score)
{
	struct rf_place place;

	find_slot(big, entry, &place);
	set_score(entry, score);
	if (is_between(&place, key_of(entry, score))) {
		rf_tree_exchange(&big->tree, &place,
			(struct rf_tree_slot){.to = entry, .score = score});
		return;
	}
	rf_tree_remove(&big->tree, &place, 1);
	if (rf_tx_error() == 0)
		hang(big, entry, score);
}

static bool put_big(
	struct sorted_big *big, const void *member, size_t bytes, double score)
{
	bool created;
	struct rf_dict_entry *entry =
		rf_dict_put(&big->dict, member, bytes, &created);

	if (entry == NULL)
		return false;
	if (created) {
		/* A fresh block: no log. */
		memcpy(&entry->word, &score, sizeof score);
		hang(big, entry, score);
	} else if (score_of(entry) != score) {
		move(big, entry, score);
	}
	return created;
}

/* The slots of one leaf, and their entries. */
static void remove_slots(
	struct sorted_big *big, struct rf_place *place, uint32_t count)
{
	struct rf_dict_entry *entries[RF_TREE_LEAF_SLOTS];

	for (uint32_t i = 0; i < count; i++)
		entries[i] = rf_tree_slot(place)[i].to;
	rf_tree_remove(&big->tree, place, count);
	for (uint32_t i = 0; i < count && rf_tx_error() == 0; i++)
		rf_dict_remove(&big->dict, entries[i]);
}

/* ---- the one form and the other ---- */

static struct sorted_big *make_big(struct rf_sorted *sorted)
{
	struct rf_pack *pack = sorted_pack(sorted);
	struct sorted_big *big = rf_alloc(sizeof *big);
	struct rf_item item;
	bool is_score;

	if (big == NULL)
		return NULL;
	big->tree.kind = RF_TREE_KEYED;
	if (pack != NULL)
		for (uint32_t at = rf_pack_first(pack);
			at != rf_pack_end(pack) && rf_tx_error() == 0;
			at = sorted_pack_step(pack, at)) {
			rf_pack_get(pack, at, &item);
			put_big(big, item.text.at, item.text.bytes,
				sorted_pack_score(pack, at, &is_score));
		}
	rf_free(pack);
	RF_SET(sorted->word, (uint64_t)big | SORTED_BIG);
	return rf_tx_error() == 0 ? big : NULL;
}

/* After a removal from a big one. */
static void settle(struct rf_sorted *sorted)
{
	struct sorted_big *big = sorted_big(sorted);

	if (big->tree.root != NULL || rf_tx_error() != 0)
		return;
	rf_dict_fini(&big->dict, NULL);
	rf_free(big);
	RF_SET(sorted->word, 0);
}

static void set_pack(struct rf_sorted *sorted, struct rf_pack *pack)
{
	if (pack != NULL && pack != sorted_pack(sorted))
		RF_SET(sorted->word, (uint64_t)pack);
}

static void remove_from_pack(
	struct rf_sorted *sorted, uint32_t at, uint32_t members)
{
	struct rf_pack *pack = sorted_pack(sorted);

	if (members * 2 < rf_pack_count(pack)) {
		set_pack(sorted, rf_pack_erase(pack, at, members * 2));
	} else {
		rf_free(pack);
		RF_SET(sorted->word, 0);
	}
}

/* True: it was put there, or there is no memory. False: it must become big. */
static bool put_in_pack(
	struct rf_sorted *sorted, struct sorted_key key, bool *created)
{
	struct rf_pack *pack = sorted_pack(sorted);
	bool is_score;
	uint32_t at;

	*created = false;
	if (pack != NULL) {
		at = sorted_pack_find(pack, key.member.at, key.member.bytes);
		if (at != rf_pack_end(pack)) {
			if (sorted_pack_score(pack, at, &is_score) != key.score)
				set_pack(sorted,
					sorted_pack_move(pack, at, key));
			return true;
		}
	}
	if (key.member.bytes > limits.bytes ||
		rf_sorted_count(sorted) >= limits.members)
		return false;
	if (pack == NULL)
		pack = rf_pack_create(key.member.bytes + 5);
	if (pack == NULL)
		return true;
	*created = true;
	set_pack(sorted,
		sorted_pack_insert(pack, sorted_pack_seek(pack, key), key));
	return true;
}

/* ---- the calls ---- */

bool rf_sorted_put(struct rf_sorted *sorted, const void *member, size_t bytes,
	double score)
{
	struct sorted_key key = {score, {member, bytes}};
	struct sorted_big *big;
	bool created;

	RF_CHECK(!isnan(score));
	if (rf_tx_error() != 0)
		return false;
	if (!sorted_is_big(sorted) && put_in_pack(sorted, key, &created))
		return created;
	big = sorted_is_big(sorted) ? sorted_big(sorted) : make_big(sorted);
	return big != NULL && put_big(big, member, bytes, score);
}

bool rf_sorted_remove(
	struct rf_sorted *sorted, const void *member, size_t bytes)
{
	struct sorted_big *big = sorted_big(sorted);
	struct rf_dict_entry *entry;
	struct rf_place place;
	uint32_t at;

	if (sorted->word == 0 || rf_tx_error() != 0)
		return false;
	if (!sorted_is_big(sorted)) {
		at = sorted_pack_find(sorted_pack(sorted), member, bytes);
		if (at == rf_pack_end(sorted_pack(sorted)))
			return false;
		remove_from_pack(sorted, at, 1);
		return true;
	}
	entry = rf_dict_find(&big->dict, member, bytes);
	if (entry == NULL)
		return false;
	find_slot(big, entry, &place);
	remove_slots(big, &place, 1);
	settle(sorted);
	return true;
}

void rf_sorted_remove_ranks(
	struct rf_sorted *sorted, uint64_t rank, uint64_t count)
{
	struct sorted_big *big = sorted_big(sorted);
	uint64_t all = rf_sorted_count(sorted);
	struct rf_place place;

	if (rank >= all || count == 0 || rf_tx_error() != 0)
		return;
	if (count > all - rank)
		count = all - rank;
	if (!sorted_is_big(sorted)) {
		remove_from_pack(sorted,
			rf_pack_at(sorted_pack(sorted), (int64_t)rank * 2),
			(uint32_t)count);
		return;
	}
	while (count > 0 && rf_tx_error() == 0) {
		uint32_t here;

		rf_tree_seek(&big->tree, rank, &place);
		here = rf_tree_leaf_rest(&place);
		if (here > count)
			here = (uint32_t)count;
		remove_slots(big, &place, here);
		count -= here;
	}
	settle(sorted);
}

bool rf_sorted_clear_step(struct rf_sorted *sorted, size_t budget)
{
	uint64_t count = rf_sorted_count(sorted);
	uint64_t keep =
		sorted_is_big(sorted) && budget < count ? count - budget : 0;

	rf_sorted_remove_ranks(sorted, keep, count);
	return sorted->word == 0 && rf_tx_error() == 0;
}
