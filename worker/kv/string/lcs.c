/* SPDX-License-Identifier: MIT */
/* lcs.c -- LCS: the longest common subsequence of two strings.
 *
 * The usual table of lengths, in private memory; then a walk back through it
 * that collects the common bytes and, where they follow each other in both
 * strings, the ranges.
 */
#include "worker/kv/string/string.h"
#include <stdlib.h>

struct lcs {
	struct rf_bytes a, b;
	bool want_length, want_ranges, with_length;
	int64_t range_least;
	uint32_t *lengths; /* [a.bytes + 1][b.bytes + 1] */
};

static uint32_t *cell(const struct lcs *lcs, size_t i, size_t j)
{
	return &lcs->lengths[i * (lcs->b.bytes + 1) + j];
}

/* ---- arguments ---- */

static bool parse(struct kv_call *call, struct lcs *lcs)
{
	for (uint32_t i = 3; i < call->argc; i++) {
		if (kv_is(call->argv[i], "IDX")) {
			lcs->want_ranges = true;
		} else if (kv_is(call->argv[i], "LEN")) {
			lcs->want_length = true;
		} else if (kv_is(call->argv[i], "WITHMATCHLEN")) {
			lcs->with_length = true;
		} else if (kv_is(call->argv[i], "MINMATCHLEN") &&
			   i + 1 < call->argc) {
			if (!kv_arg_int(call, ++i, &lcs->range_least))
				return false;
		} else {
			kv_reply_syntax(call);
			return false;
		}
	}
	if (!lcs->want_ranges || !lcs->want_length)
		return true;
	rf_resp_error(call->reply, "ERR If you want both the length and "
				   "indexes, please just use IDX.");
	return false;
}

static bool text_of(struct kv_call *call, uint32_t index, struct rf_bytes *text)
{
	struct rf_dict_entry *entry = kv_look(call, call->argv[index]);
	struct kv_value *value = entry != NULL ? kv_value_of(entry) : NULL;

	if (value != NULL && kv_kind_of(value) != KV_STRING) {
		rf_resp_error(call->reply,
			"ERR The specified keys must contain string values");
		return false;
	}
	*text = kv_string_text(value);
	return true;
}

/* ---- the table ---- */

static bool make_table(struct kv_call *call, struct lcs *lcs)
{
	size_t bytes = 0;

	if (lcs->a.bytes < UINT32_MAX - 1 && lcs->b.bytes < UINT32_MAX - 1 &&
		!__builtin_mul_overflow(
			lcs->a.bytes + 1, lcs->b.bytes + 1, &bytes) &&
		!__builtin_mul_overflow(bytes, sizeof(uint32_t), &bytes) &&
		bytes <= kv_string_bytes_max)
		lcs->lengths = malloc(bytes);
	if (lcs->lengths != NULL)
		return true;
	rf_resp_error(call->reply, "ERR Insufficient memory, transient memory "
				   "for LCS exceeds proto-max-bulk-len");
	return false;
}

static void fill(const struct lcs *lcs)
{
	for (size_t i = 0; i <= lcs->a.bytes; i++)
		for (size_t j = 0; j <= lcs->b.bytes; j++) {
			uint32_t up, left;

			if (i == 0 || j == 0) {
				*cell(lcs, i, j) = 0;
			} else if (lcs->a.at[i - 1] == lcs->b.at[j - 1]) {
				*cell(lcs, i, j) = *cell(lcs, i - 1, j - 1) + 1;
			} else {
				up = *cell(lcs, i - 1, j);
				left = *cell(lcs, i, j - 1);
				*cell(lcs, i, j) = up > left ? up : left;
			}
		}
}

/* One step back towards 0, 0: true when it took a common byte. */
static bool step_back(const struct lcs *lcs, size_t *i, size_t *j)
{
	if (lcs->a.at[*i - 1] == lcs->b.at[*j - 1]) {
		--*i;
		--*j;
		return true;
	}
	if (*cell(lcs, *i - 1, *j) > *cell(lcs, *i, *j - 1))
		--*i;
	else
		--*j;
	return false;
}

/* ---- replies ---- */

static void reply_text(struct kv_call *call, const struct lcs *lcs)
{
	size_t i = lcs->a.bytes, j = lcs->b.bytes;
	size_t left = *cell(lcs, i, j), bytes = left;
	char *text = malloc(bytes + 1);

	RF_CHECK(text != NULL);
	while (i > 0 && j > 0)
		if (step_back(lcs, &i, &j))
			text[--left] = lcs->a.at[i];
	rf_resp_bulk(call->reply, text, bytes);
	free(text);
}

static bool reply_range(struct kv_call *call, const struct lcs *lcs, size_t i,
	size_t j, size_t bytes)
{
	if (bytes == 0 || (int64_t)bytes < lcs->range_least)
		return false;
	rf_resp_array(call->reply, lcs->with_length ? 3 : 2);
	rf_resp_array(call->reply, 2);
	rf_resp_int(call->reply, (int64_t)i);
	rf_resp_int(call->reply, (int64_t)(i + bytes - 1));
	rf_resp_array(call->reply, 2);
	rf_resp_int(call->reply, (int64_t)j);
	rf_resp_int(call->reply, (int64_t)(j + bytes - 1));
	if (lcs->with_length)
		rf_resp_int(call->reply, (int64_t)bytes);
	return true;
}

static void reply_ranges(struct kv_call *call, const struct lcs *lcs)
{
	size_t i = lcs->a.bytes, j = lcs->b.bytes;
	size_t mark, count = 0, bytes = 0;

	rf_resp_map(call->reply, call->proto, 2);
	rf_resp_bulk_text(call->reply, "matches");
	mark = rf_reply_size(call->reply);
	while (i > 0 && j > 0) {
		size_t a = i, b = j;

		if (step_back(lcs, &i, &j)) {
			bytes++;
			continue;
		}
		count += reply_range(call, lcs, a, b, bytes);
		bytes = 0;
	}
	count += reply_range(call, lcs, i, j, bytes);
	rf_resp_array_at(call->reply, mark, count);
	rf_resp_bulk_text(call->reply, "len");
	rf_resp_int(call->reply, *cell(lcs, lcs->a.bytes, lcs->b.bytes));
}

void kv_cmd_lcs(struct kv_call *call)
{
	struct lcs lcs = {0};

	if (!text_of(call, 1, &lcs.a) || !text_of(call, 2, &lcs.b) ||
		!parse(call, &lcs) || !make_table(call, &lcs))
		return;
	fill(&lcs);
	if (lcs.want_ranges)
		reply_ranges(call, &lcs);
	else if (lcs.want_length)
		rf_resp_int(call->reply, *cell(&lcs, lcs.a.bytes, lcs.b.bytes));
	else
		reply_text(call, &lcs);
	free(lcs.lengths);
}
