/* SPDX-License-Identifier: MIT */
/* sort.h -- the parts of SORT. */
#ifndef KV_SORT_H
#define KV_SORT_H

#include "worker/kv/keys/gather.h"
#include "worker/kv/keys/keys.h"

/* ---- patterns (sort_pattern.c) ---- */

/* What a pattern of BY and GET stands for, for one element: the string of the
 * key, or the field of the hash, that is named when the element takes the
 * place of the "*"; "#" is the element itself. false: there is none. */
bool kv_sort_look(struct kv_call *call, struct rf_bytes pattern,
	struct rf_bytes element, struct rf_item *found);

/* ---- rows (sort_rows.c) ---- */

struct kv_sort_row {
	struct kv_text element;
	struct kv_text by; /* what it is sorted by, when that is text */
	bool has_by;
	double score;
	size_t turn; /* in the collection */
};

struct kv_sort_rows {
	struct kv_gather gather; /* of kv_sort_row */
	bool by_text, by_pattern, falling;
};

/* No memory: the transaction carries -ENOMEM. */
void kv_sort_add(struct kv_sort_rows *rows, struct rf_bytes element);
struct rf_bytes kv_sort_element(const struct kv_sort_rows *rows, size_t index);
void kv_sort_order(struct kv_sort_rows *rows);

#endif
