/* SPDX-License-Identifier: MIT */
/* zset_span.c -- ranges as spans of ranks.
 *
 * Whatever it is by, a range holds members that stand next to one another: it
 * becomes the rank of the first and a count, and all else works on those.
 */
#include "worker/kv/keys/collection.h"
#include "worker/kv/zset/zset.h"

/* The first member in the range that begins with the bound. */
static uint64_t first_rank(const struct rf_sorted *sorted, enum zset_by by,
	const struct zset_bound *bound, bool beyond)
{
	struct rf_sorted_at at;

	if (by == ZSET_BY_SCORE)
		rf_sorted_seek_score(sorted, bound->score, beyond, &at);
	else if (bound->infinite != 0)
		return bound->infinite < 0 ? 0 : rf_sorted_count(sorted);
	else
		rf_sorted_seek_member(sorted, bound->member.at,
			bound->member.bytes, beyond, &at);
	return at.rank;
}

static struct zset_span span_of_ranks(const struct rf_sorted *sorted,
	const struct zset_range *range, bool reverse)
{
	uint64_t count = rf_sorted_count(sorted);
	struct kv_part part =
		kv_part_of(range->min.rank, range->max.rank, count);

	if (reverse)
		part.first = count - part.first - part.count;
	return (struct zset_span){part.first, part.count};
}

struct zset_span zset_range_span(const struct rf_sorted *sorted,
	const struct zset_range *range, bool reverse)
{
	struct zset_span span = {0};
	uint64_t end;

	if (range->by == ZSET_BY_RANK)
		return span_of_ranks(sorted, range, reverse);
	span.rank = first_rank(
		sorted, range->by, &range->min, range->min.exclusive);
	end = first_rank(sorted, range->by, &range->max, !range->max.exclusive);
	if (end > span.rank)
		span.count = end - span.rank;
	return span;
}

/* Taking a member out changes words all over the memory, each of which goes to
 * the undo log: so many always fit into it. Where few of more stay, they make a
 * new index, and the old one is freed in later ticks. */
#define MANY	 250000u
#define FEW_PART 64u

static bool leaves_few(const struct rf_sorted *sorted, struct zset_span span)
{
	uint64_t left = rf_sorted_count(sorted) - span.count;

	return span.count >= MANY && left <= span.count / FEW_PART;
}

static void copy_some(struct rf_sorted *to, const struct rf_sorted *from,
	struct zset_span some)
{
	struct rf_sorted_at at;
	struct rf_item member;
	double score;

	rf_sorted_seek_rank(from, some.rank, &at);
	for (; some.count > 0 && rf_tx_error() == 0; some.count--)
		if (rf_sorted_next(&at, &member, &score))
			rf_sorted_put(
				to, member.text.at, member.text.bytes, score);
}

static void keep_few(
	struct kv_call *call, struct rf_bytes key, struct zset_span span)
{
	struct rf_dict_entry *entry = kv_find(call, key);
	struct kv_value *value = kv_value_of(entry);
	struct kv_value *rest = kv_value_create(KV_ZSET);
	uint64_t end = span.rank + span.count;
	uint64_t count = rf_sorted_count(kv_sorted_of(value));

	if (rest == NULL)
		return;
	rest->head = value->head;
	copy_some(kv_sorted_of(rest), kv_sorted_of(value),
		(struct zset_span){0, span.rank});
	copy_some(kv_sorted_of(rest), kv_sorted_of(value),
		(struct zset_span){end, count - end});
	kv_entry_set(entry, rest);
	kv_value_drop(value);
}

void zset_span_remove(struct kv_call *call, struct rf_bytes key,
	struct rf_sorted *sorted, struct zset_span span, const char *event)
{
	if (span.count == rf_sorted_count(sorted)) {
		kv_take_all(call, key, KV_CLASS_ZSET, event);
		return;
	}
	if (leaves_few(sorted, span))
		keep_few(call, key, span);
	else
		rf_sorted_remove_ranks(sorted, span.rank, span.count);
	kv_changed(call, key, KV_CLASS_ZSET, event);
}
