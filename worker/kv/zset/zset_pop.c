/* SPDX-License-Identifier: MIT */
/* zset_pop.c -- taking out the lowest or the highest members.
 *
 * A blocking command whose keys hold nothing waits; when one of them has
 * changed it is run again from the start.
 */
#include "worker/kv/client/client.h"
#include "worker/kv/keys/collection.h"
#include "worker/kv/zset/zset.h"

struct pop {
	bool max;
	uint32_t first, count; /* the keys */
	uint64_t wanted;
	bool nested; /* [key, [pairs]], else key, member, score */
};

/* Take out up to so many, their replies without a header. */
static void pop_members(struct kv_call *call, struct rf_bytes key,
	struct rf_sorted *sorted, uint64_t wanted, bool max,
	enum zset_shape shape)
{
	uint64_t count = rf_sorted_count(sorted);
	struct zset_span span = {.count = wanted};
	struct rf_sorted_at at;
	struct rf_item member;
	double score;

	rf_sorted_seek_rank(sorted, max ? count : 0, &at);
	for (uint64_t i = 0; i < wanted; i++) {
		if (max)
			rf_sorted_prev(&at, &member, &score);
		else
			rf_sorted_next(&at, &member, &score);
		zset_reply_one(call, shape, member.text, score);
	}
	span.rank = max ? count - wanted : 0;
	zset_span_remove(call, key, sorted, span, max ? "zpopmax" : "zpopmin");
}

static uint64_t at_most(uint64_t wanted, const struct rf_sorted *sorted)
{
	uint64_t count = rf_sorted_count(sorted);

	return wanted < count ? wanted : count;
}

/* ---- ZPOPMIN, ZPOPMAX: no count in RESP3, no pairs ---- */

static void pop_of_one_key(struct kv_call *call, bool max)
{
	enum zset_shape shape = ZSET_FLAT;
	struct kv_value *value;
	int64_t wanted = 1;

	if (call->argc > 3) {
		kv_reply_syntax(call);
		return;
	}
	if (call->argc == 3) {
		if (!kv_arg_count(call, 2, &wanted))
			return;
		shape = zset_shape(call, true);
	}
	if (!kv_find_kind(call, call->argv[1], KV_ZSET, &value))
		return;
	if (value == NULL || wanted == 0) {
		rf_resp_array(call->reply, 0);
		return;
	}
	wanted = (int64_t)at_most((uint64_t)wanted, kv_sorted_of(value));
	zset_reply_head(call, shape, (uint64_t)wanted);
	pop_members(call, call->argv[1], kv_sorted_of(value), (uint64_t)wanted,
		max, shape);
}

void kv_cmd_zpopmin(struct kv_call *call)
{
	pop_of_one_key(call, false);
}

void kv_cmd_zpopmax(struct kv_call *call)
{
	pop_of_one_key(call, true);
}

/* ---- of the first key that has something ---- */

/* true: replied, be it an error. */
static bool pop_of_keys(struct kv_call *call, const struct pop *pop)
{
	for (uint32_t i = 0; i < pop->count; i++) {
		struct rf_bytes key = call->argv[pop->first + i];
		struct kv_value *value;
		uint64_t wanted;

		if (!kv_find_kind(call, key, KV_ZSET, &value))
			return true;
		if (value == NULL)
			continue;
		wanted = at_most(pop->wanted, kv_sorted_of(value));
		rf_resp_array(call->reply, pop->nested ? 2 : 3);
		rf_resp_bulk(call->reply, key.at, key.bytes);
		if (pop->nested)
			zset_reply_head(call, ZSET_PAIRS, wanted);
		pop_members(call, key, kv_sorted_of(value), wanted, pop->max,
			pop->nested ? ZSET_PAIRS : ZSET_FLAT);
		return true;
	}
	return false;
}

static void pop_or_wait(
	struct kv_call *call, const struct pop *pop, uint32_t timeout)
{
	int64_t until_ms;

	if (kv_arg_timeout(call, timeout, &until_ms) && !pop_of_keys(call, pop))
		kv_block(call, &call->argv[pop->first], pop->count, KV_ZSET,
			timeout);
}

static void bzpop(struct kv_call *call, bool max)
{
	struct pop pop = {
		.max = max,
		.first = 1,
		.count = call->argc - 2,
		.wanted = 1,
	};

	pop_or_wait(call, &pop, call->argc - 1);
}

void kv_cmd_bzpopmin(struct kv_call *call)
{
	bzpop(call, false);
}

void kv_cmd_bzpopmax(struct kv_call *call)
{
	bzpop(call, true);
}

/* numkeys key ... MIN|MAX [COUNT count] */
static bool parse_mpop(struct kv_call *call, uint32_t numkeys, struct pop *pop)
{
	int64_t keys, wanted = 1;
	uint32_t where;

	if (!kv_arg_range(call, numkeys, 1, INT64_MAX, &keys,
		    "ERR numkeys should be greater than 0"))
		return false;
	if (keys >= call->argc - 1 - numkeys)
		goto err_syntax;
	where = numkeys + 1 + (uint32_t)keys;
	if (!kv_is(call->argv[where], "MIN") &&
		!kv_is(call->argv[where], "MAX"))
		goto err_syntax;
	if (call->argc != where + 1) {
		if (!kv_is(call->argv[where + 1], "COUNT") ||
			call->argc == where + 2)
			goto err_syntax;
		if (!kv_arg_range(call, where + 2, 1, INT64_MAX, &wanted,
			    "ERR count should be greater than 0"))
			return false;
		if (call->argc > where + 3)
			goto err_syntax;
	}
	*pop = (struct pop){
		.max = kv_is(call->argv[where], "MAX"),
		.first = numkeys + 1,
		.count = (uint32_t)keys,
		.wanted = (uint64_t)wanted,
		.nested = true,
	};
	return true;

err_syntax:
	kv_reply_syntax(call);
	return false;
}

void kv_cmd_zmpop(struct kv_call *call)
{
	struct pop pop;

	if (parse_mpop(call, 1, &pop) && !pop_of_keys(call, &pop))
		rf_resp_null_array(call->reply, call->proto);
}

void kv_cmd_bzmpop(struct kv_call *call)
{
	struct pop pop;

	if (parse_mpop(call, 2, &pop))
		pop_or_wait(call, &pop, 1);
}
