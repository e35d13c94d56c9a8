/* SPDX-License-Identifier: MIT */
/* zset_gather.c -- members on the way to a result.
 *
 * A union is all members of all sources, put in the order of their bytes, so
 * that equal ones meet, and then in the order of their scores.
 */
#include "worker/kv/zset/zset.h"
#include <stdlib.h>

void zset_gather_add(struct kv_gather *gather, struct rf_bytes member,
	double score, uint32_t turn)
{
	struct zset_row *row = kv_gather_row(gather);

	if (row == NULL)
		return;
	row->score = score;
	row->turn = turn;
	kv_gather_text(gather, member, &row->member);
}

static int compare_members(const void *one, const void *other, void *context)
{
	const struct zset_row *a = one, *b = other;
	int order = kv_compare(
		kv_text_of(context, a->member), kv_text_of(context, b->member));

	return order != 0 ? order : (a->turn > b->turn) - (a->turn < b->turn);
}

static int compare_scores(const void *one, const void *other, void *context)
{
	const struct zset_row *a = one, *b = other;

	if (a->score != b->score)
		return a->score < b->score ? -1 : 1;
	return compare_members(one, other, context);
}

static void sort(struct kv_gather *gather,
	int (*compare)(const void *one, const void *other, void *context))
{
	if (gather->count > 1)
		qsort_r(gather->rows, gather->count, sizeof(struct zset_row),
			compare, gather);
}

void zset_gather_merge(
	struct kv_gather *gather, double (*meet)(double one, double other))
{
	struct zset_row *rows = gather->rows, *last = rows;

	if (gather->count == 0)
		return;
	sort(gather, compare_members);
	for (size_t i = 1; i < gather->count; i++)
		if (kv_same(kv_text_of(gather, last->member),
			    kv_text_of(gather, rows[i].member)))
			last->score = meet(last->score, rows[i].score);
		else
			*++last = rows[i];
	gather->count = (size_t)(last - rows) + 1;
}

void zset_gather_sort(struct kv_gather *gather)
{
	sort(gather, compare_scores);
}
