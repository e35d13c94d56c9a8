/* SPDX-License-Identifier: MIT */
/* zset_range_parse.c -- the two ends of a range, as arguments. */
#include "worker/kv/zset/zset.h"
#include <math.h>
#include <stdlib.h>

/* As strtod takes it: "" is 0, spaces may come first. */
#define SCORE_BYTES_MAX 400

static bool parse_score(struct rf_bytes arg, struct zset_bound *bound)
{
	char text[SCORE_BYTES_MAX + 1];
	char *end;

	bound->exclusive = arg.bytes > 0 && arg.at[0] == '(';
	if (bound->exclusive) {
		arg.at++;
		arg.bytes--;
	}
	if (arg.bytes > SCORE_BYTES_MAX)
		return false;
	memcpy(text, arg.at, arg.bytes);
	text[arg.bytes] = '\0';
	bound->score = strtod(text, &end);
	return *end == '\0' && !isnan(bound->score);
}

static bool parse_member(struct rf_bytes arg, struct zset_bound *bound)
{
	char kind = arg.bytes > 0 ? arg.at[0] : '\0';

	if (kind == '-' || kind == '+') {
		bound->infinite = kind == '-' ? -1 : 1;
		return arg.bytes == 1;
	}
	bound->exclusive = kind == '(';
	bound->member = (struct rf_bytes){arg.at + 1, arg.bytes - 1};
	return kind == '(' || kind == '[';
}

static bool parse_rank(struct rf_bytes arg, struct zset_bound *bound)
{
	return kv_parse_int(arg.at, arg.bytes, &bound->rank);
}

static const struct by {
	bool (*parse)(struct rf_bytes arg, struct zset_bound *bound);
	const char *error;
} bys[] = {
	[ZSET_BY_RANK] = {parse_rank, KV_ERR_INT},
	[ZSET_BY_SCORE] = {parse_score, "ERR min or max is not a float"},
	[ZSET_BY_LEX] = {parse_member,
		"ERR min or max not valid string range item"},
};

bool zset_range_parse(struct kv_call *call, enum zset_by by, uint32_t min,
	uint32_t max, struct zset_range *range)
{
	*range = (struct zset_range){.by = by};
	if (bys[by].parse(call->argv[min], &range->min) &&
		bys[by].parse(call->argv[max], &range->max))
		return true;
	rf_resp_error(call->reply, "%s", bys[by].error);
	return false;
}
