/* SPDX-License-Identifier: MIT */
/* sorted_walk.c -- reading an ordered index: by member, by rank, in order, and
 * the check. */
#include "common/verify/walk_form.h"
#include "distinct.h"
#include "sorted_form.h"
#include <errno.h>
#include <math.h>
#include <refork/heap.h>

uint64_t rf_sorted_count(const struct rf_sorted *sorted)
{
	if (sorted_is_big(sorted))
		return sorted_big(sorted)->tree.weight;
	return sorted->word != 0 ? rf_pack_count(sorted_pack(sorted)) / 2 : 0;
}

bool rf_sorted_is_compact(const struct rf_sorted *sorted)
{
	return !sorted_is_big(sorted);
}

size_t rf_sorted_memory(const struct rf_sorted *sorted)
{
	const struct sorted_big *big = sorted_big(sorted);

	if (sorted_is_big(sorted))
		return rf_usable(big) + rf_tree_memory(&big->tree) +
		       rf_dict_memory(&big->dict, NULL);
	return sorted->word != 0 ? rf_usable(sorted_pack(sorted)) : 0;
}

/* ---- by member ---- */

bool rf_sorted_score(const struct rf_sorted *sorted, const void *member,
	size_t bytes, double *score)
{
	const struct rf_pack *pack = sorted_pack(sorted);
	const struct rf_dict_entry *entry;
	bool is_score;
	uint32_t at;

	if (sorted->word == 0)
		return false;
	if (sorted_is_big(sorted)) {
		entry = rf_dict_find(&sorted_big(sorted)->dict, member, bytes);
		if (entry != NULL)
			memcpy(score, &entry->word, sizeof *score);
		return entry != NULL;
	}
	at = sorted_pack_find(pack, member, bytes);
	if (at == rf_pack_end(pack))
		return false;
	*score = sorted_pack_score(pack, at, &is_score);
	return true;
}

bool rf_sorted_rank(const struct rf_sorted *sorted, const void *member,
	size_t bytes, uint64_t *rank)
{
	const struct sorted_big *big = sorted_big(sorted);
	const struct rf_pack *pack = sorted_pack(sorted);
	struct sorted_key key = {.member = {member, bytes}};
	struct rf_place place;
	uint32_t at;

	if (sorted->word == 0)
		return false;
	if (!sorted_is_big(sorted)) {
		at = sorted_pack_find(pack, member, bytes);
		*rank = sorted_pack_rank(pack, at);
		return at != rf_pack_end(pack);
	}
	if (!rf_sorted_score(sorted, member, bytes, &key.score))
		return false;
	rf_tree_seek_key(&big->tree, sorted_is_before, &key, &place);
	*rank = rf_tree_rank(&big->tree, &place);
	return true;
}

/* ---- places ---- */

void rf_sorted_seek_rank(
	const struct rf_sorted *sorted, uint64_t rank, struct rf_sorted_at *at)
{
	uint64_t count = rf_sorted_count(sorted);

	at->sorted = sorted;
	at->rank = rank < count ? rank : count;
	if (sorted_is_big(sorted))
		rf_tree_seek(&sorted_big(sorted)->tree, rank, &at->place);
	else if (sorted->word != 0)
		at->pos = rank < count ? rf_pack_at(sorted_pack(sorted),
						 (int64_t)rank * 2)
				       : rf_pack_end(sorted_pack(sorted));
}

/* One bound: what stands before it, of a slot and of a member and score. */
struct bound {
	double score;
	struct rf_bytes member;
	bool by_member, beyond;
};

static bool is_before(
	const struct bound *bound, double score, struct rf_bytes member)
{
	int order;

	if (bound->by_member)
		order = sorted_compare_members(member, bound->member);
	else
		order = (score > bound->score) - (score < bound->score);
	return order < 0 || (order == 0 && bound->beyond);
}

static bool is_slot_before(const struct rf_tree_slot *slot, const void *bound)
{
	const struct bound *by = bound;

	return is_before(by, slot->score,
		by->by_member ? sorted_member_of(slot) : by->member);
}

static bool is_pair_before(
	const struct bound *bound, const struct rf_pack *pack, uint32_t at)
{
	struct rf_item item;
	bool is_score;

	if (!bound->by_member)
		return is_before(bound, sorted_pack_score(pack, at, &is_score),
			bound->member);
	rf_pack_get(pack, at, &item);
	return is_before(bound, bound->score, item.text);
}

static void seek_in_pack(const struct bound *bound, struct rf_sorted_at *at)
{
	const struct rf_pack *pack = sorted_pack(at->sorted);

	at->rank = 0;
	if (pack == NULL)
		return;
	at->pos = rf_pack_first(pack);
	while (at->pos != rf_pack_end(pack) &&
		is_pair_before(bound, pack, at->pos)) {
		at->pos = sorted_pack_step(pack, at->pos);
		at->rank++;
	}
}

static void seek(const struct rf_sorted *sorted, const struct bound *bound,
	struct rf_sorted_at *at)
{
	const struct sorted_big *big = sorted_big(sorted);

	at->sorted = sorted;
	if (!sorted_is_big(sorted)) {
		seek_in_pack(bound, at);
		return;
	}
	rf_tree_seek_key(&big->tree, is_slot_before, bound, &at->place);
	at->rank = rf_tree_rank(&big->tree, &at->place);
}

void rf_sorted_seek_score(const struct rf_sorted *sorted, double score,
	bool beyond, struct rf_sorted_at *at)
{
	seek(sorted, &(struct bound){.score = score, .beyond = beyond}, at);
}

void rf_sorted_seek_member(const struct rf_sorted *sorted, const void *member,
	size_t bytes, bool beyond, struct rf_sorted_at *at)
{
	seek(sorted,
		&(struct bound){.member = {member, bytes},
			.by_member = true,
			.beyond = beyond},
		at);
}

static void get_slot(
	const struct rf_tree_slot *slot, struct rf_item *member, double *score)
{
	member->text = sorted_member_of(slot);
	*score = slot->score;
}

static void get_in_pack(
	const struct rf_sorted_at *at, struct rf_item *member, double *score)
{
	const struct rf_pack *pack = sorted_pack(at->sorted);
	bool is_score;

	rf_pack_get(pack, at->pos, member);
	*score = sorted_pack_score(pack, at->pos, &is_score);
}

bool rf_sorted_next(
	struct rf_sorted_at *at, struct rf_item *member, double *score)
{
	const struct rf_sorted *sorted = at->sorted;
	const struct rf_tree_slot *slot;

	if (sorted->word == 0)
		return false;
	if (sorted_is_big(sorted)) {
		slot = rf_tree_slot(&at->place);
		if (slot == NULL)
			return false;
		get_slot(slot, member, score);
		rf_tree_step(&at->place);
	} else {
		if (at->pos == rf_pack_end(sorted_pack(sorted)))
			return false;
		get_in_pack(at, member, score);
		at->pos = sorted_pack_step(sorted_pack(sorted), at->pos);
	}
	at->rank++;
	return true;
}

bool rf_sorted_prev(
	struct rf_sorted_at *at, struct rf_item *member, double *score)
{
	const struct rf_sorted *sorted = at->sorted;
	const struct rf_pack *pack = sorted_pack(sorted);
	uint32_t before;

	if (sorted->word == 0)
		return false;
	if (sorted_is_big(sorted)) {
		if (!rf_tree_step_back(&at->place))
			return false;
		get_slot(rf_tree_slot(&at->place), member, score);
	} else {
		before = rf_pack_prev(pack, at->pos);
		if (before == rf_pack_end(pack))
			return false;
		at->pos = rf_pack_prev(pack, before);
		if (rf_unlikely(at->pos == rf_pack_end(pack)))
			return false; /* half a pair: sorted_pack.c */
		get_in_pack(at, member, score);
	}
	at->rank--;
	return true;
}

/* ---- scan ---- */

struct scan {
	void (*visit)(
		const struct rf_item *member, double score, void *context);
	void *context;
};

static void visit_entry(struct rf_dict_entry *entry, void *context)
{
	const struct scan *scan = context;
	struct rf_item member = {.text = {entry->key, entry->key_bytes}};
	double score;

	memcpy(&score, &entry->word, sizeof score);
	scan->visit(&member, score, scan->context);
}

uint64_t rf_sorted_scan(const struct rf_sorted *sorted, uint64_t cursor,
	void (*visit)(
		const struct rf_item *member, double score, void *context),
	void *context)
{
	struct scan scan = {visit, context};
	struct rf_sorted_at at;
	struct rf_item member;
	double score;

	if (sorted_is_big(sorted))
		return rf_dict_scan(
			&sorted_big(sorted)->dict, cursor, visit_entry, &scan);
	rf_sorted_seek_rank(sorted, 0, &at);
	while (rf_sorted_next(&at, &member, &score))
		visit(&member, score, context);
	return 0;
}

/* ---- the walker ---- */

/* One member of a pack that is sound itself; `last` stands before it. */
static const char *pair_fault(
	const struct rf_pack *pack, uint32_t last, uint32_t at)
{
	struct rf_item item, before;
	bool is_score;
	struct sorted_key key = {
		.score = sorted_pack_score(pack, at, &is_score)};

	if (!is_score)
		return "a score that is none";
	if (last == at)
		return NULL;
	rf_pack_get(pack, at, &item);
	key.member = item.text;
	rf_pack_get(pack, last, &before);
	if (sorted_compare((struct sorted_key){sorted_pack_score(
						       pack, last, &is_score),
				   before.text},
		    key) >= 0)
		return "members out of order";
	return NULL;
}

static const char *walk_compact(
	struct rf_walk *walk, const struct rf_pack *pack)
{
	uint32_t at, last;
	const char *fault = NULL;

	if (!rf_walk_pack(walk, pack))
		return NULL; /* told */
	if (rf_pack_count(pack) == 0 || rf_pack_count(pack) % 2 != 0)
		return "no pairs";
	rf_walk_distinct(walk, pack);
	last = rf_pack_first(pack);
	for (at = last; fault == NULL && at != rf_pack_end(pack);
		at = sorted_pack_step(pack, at)) {
		fault = pair_fault(pack, last, at);
		last = at;
	}
	return fault;
}

struct order {
	const struct sorted_big *big;
	const struct rf_tree_slot *last;
};

/* The entry is the dict's if the dict finds it. */
static const char *slot_fault(
	struct rf_walk *walk, const struct rf_tree_slot *slot, void *context)
{
	struct order *order = context;
	const struct rf_dict_entry *entry = slot->to;
	const struct rf_tree_slot *last = order->last;
	struct sorted_key key = {.score = slot->score};

	if (!rf_walk_holds(walk, entry, sizeof *entry) ||
		!rf_walk_holds(walk, entry, sizeof *entry + entry->key_bytes))
		return "not an entry";
	if (memcmp(&entry->word, &slot->score, sizeof entry->word) != 0 ||
		isnan(slot->score))
		return "an entry with another score";
	key.member = sorted_member_of(slot);
	if (rf_dict_find(&order->big->dict, key.member.at, key.member.bytes) !=
		entry)
		return "an entry of no dict";
	if (last != NULL && !sorted_is_before(last, &key))
		return "members out of order";
	order->last = slot;
	return NULL;
}

/* A slot of a tree beside a dict in which nothing can be found. */
static const char *no_fault(
	struct rf_walk *walk, const struct rf_tree_slot *slot, void *context)
{
	(void)walk, (void)slot, (void)context;
	return NULL;
}

static const char *walk_big(struct rf_walk *walk, const struct sorted_big *big)
{
	struct order order = {.big = big};
	bool whole;

	if (!rf_walk_block(walk, big, sizeof *big, "sorted"))
		return NULL; /* told */
	whole = rf_walk_dict(walk, &big->dict, NULL, NULL);
	if (big->tree.kind != RF_TREE_KEYED || big->tree.root == NULL)
		return "its tree is none, or empty";
	rf_tree_walk(walk, &big->tree, whole ? slot_fault : no_fault, &order);
	return big->dict.count == big->tree.weight
		       ? NULL
		       : "tree and dict are not as many";
}

bool rf_walk_sorted(struct rf_walk *walk, const struct rf_sorted *sorted)
{
	uint64_t before = rf_walk_problems(walk);
	const char *fault = NULL;

	if (sorted_is_big(sorted))
		fault = walk_big(walk, sorted_big(sorted));
	else if (sorted->word != 0)
		fault = walk_compact(walk, sorted_pack(sorted));
	if (fault != NULL)
		rf_walk_problem(walk, sorted, "sorted: %s", fault);
	return rf_walk_problems(walk) == before;
}

int rf_sorted_check(const struct rf_sorted *sorted, const char *name)
{
	struct rf_walk_alone alone;

	return rf_walk_sorted(rf_walk_alone(&alone, name), sorted) ? 0
								   : -EBADMSG;
}
