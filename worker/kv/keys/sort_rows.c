/* SPDX-License-Identifier: MIT */
/* sort_rows.c -- the order of the elements of a SORT. */
#include "worker/kv/keys/sort.h"
#include <stdlib.h>

void kv_sort_add(struct kv_sort_rows *rows, struct rf_bytes element)
{
	size_t turn = rows->gather.count;
	struct kv_sort_row *row = kv_gather_row(&rows->gather);

	if (row == NULL)
		return;
	row->turn = turn;
	kv_gather_text(&rows->gather, element, &row->element);
}

struct rf_bytes kv_sort_element(const struct kv_sort_rows *rows, size_t index)
{
	const struct kv_sort_row *row = rows->gather.rows;

	return kv_text_of(&rows->gather, row[index].element);
}

static int compare_elements(const struct kv_gather *gather,
	const struct kv_sort_row *a, const struct kv_sort_row *b)
{
	return kv_compare(
		kv_text_of(gather, a->element), kv_text_of(gather, b->element));
}

/* One that has nothing to be sorted by comes first. */
static int compare_bys(const struct kv_gather *gather,
	const struct kv_sort_row *a, const struct kv_sort_row *b)
{
	if (!a->has_by || !b->has_by)
		return a->has_by - b->has_by;
	return kv_compare(kv_text_of(gather, a->by), kv_text_of(gather, b->by));
}

static int compare_scores(const struct kv_gather *gather,
	const struct kv_sort_row *a, const struct kv_sort_row *b)
{
	int order = (a->score > b->score) - (a->score < b->score);

	return order != 0 ? order : compare_elements(gather, a, b);
}

static int compare(const void *one, const void *other, void *context)
{
	const struct kv_sort_rows *rows = context;
	const struct kv_sort_row *a = one, *b = other;
	int order;

	if (!rows->by_text)
		order = compare_scores(&rows->gather, a, b);
	else if (rows->by_pattern)
		order = compare_bys(&rows->gather, a, b);
	else
		order = compare_elements(&rows->gather, a, b);
	if (rows->falling)
		order = -order;
	return order != 0 ? order : (a->turn > b->turn) - (a->turn < b->turn);
}

void kv_sort_order(struct kv_sort_rows *rows)
{
	if (rows->gather.count > 1)
		qsort_r(rows->gather.rows, rows->gather.count,
			sizeof(struct kv_sort_row), compare, rows);
}
