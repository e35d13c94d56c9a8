/* SPDX-License-Identifier: MIT */
/* zset_read.c -- questions about a sorted set or one of its members. */
#include "worker/kv/zset/zset.h"

/* The sorted set of the key argv[1]; NULL: there is none. false: the error has
 * been replied. */
static bool look(struct kv_call *call, const struct rf_sorted **sorted)
{
	struct kv_value *value;

	if (!kv_look_kind(call, call->argv[1], KV_ZSET, &value))
		return false;
	*sorted = value != NULL ? kv_sorted_of(value) : NULL;
	return true;
}

void kv_cmd_zcard(struct kv_call *call)
{
	const struct rf_sorted *sorted;

	if (look(call, &sorted))
		rf_resp_int(call->reply,
			sorted != NULL ? (int64_t)rf_sorted_count(sorted) : 0);
}

static void reply_score(struct kv_call *call, const struct rf_sorted *sorted,
	struct rf_bytes member)
{
	double score;

	if (sorted != NULL &&
		rf_sorted_score(sorted, member.at, member.bytes, &score))
		rf_resp_double(call->reply, call->proto, score);
	else
		rf_resp_null(call->reply, call->proto);
}

void kv_cmd_zscore(struct kv_call *call)
{
	const struct rf_sorted *sorted;

	if (look(call, &sorted))
		reply_score(call, sorted, call->argv[2]);
}

void kv_cmd_zmscore(struct kv_call *call)
{
	const struct rf_sorted *sorted;

	if (!look(call, &sorted))
		return;
	rf_resp_array(call->reply, call->argc - 2);
	for (uint32_t i = 2; i < call->argc; i++)
		reply_score(call, sorted, call->argv[i]);
}

static void rank(struct kv_call *call, bool reverse)
{
	const struct rf_sorted *sorted;
	struct rf_bytes member = call->argv[2];
	uint64_t before;

	if (!look(call, &sorted))
		return;
	if (sorted == NULL ||
		!rf_sorted_rank(sorted, member.at, member.bytes, &before)) {
		rf_resp_null(call->reply, call->proto);
		return;
	}
	if (reverse)
		before = rf_sorted_count(sorted) - 1 - before;
	rf_resp_int(call->reply, (int64_t)before);
}

void kv_cmd_zrank(struct kv_call *call)
{
	rank(call, false);
}

void kv_cmd_zrevrank(struct kv_call *call)
{
	rank(call, true);
}

static void count(struct kv_call *call, enum zset_by by)
{
	const struct rf_sorted *sorted;
	struct zset_range range;
	struct zset_span span = {0};

	if (!zset_range_parse(call, by, 2, 3, &range) || !look(call, &sorted))
		return;
	if (sorted != NULL)
		span = zset_range_span(sorted, &range, false);
	rf_resp_int(call->reply, (int64_t)span.count);
}

void kv_cmd_zcount(struct kv_call *call)
{
	count(call, ZSET_BY_SCORE);
}

void kv_cmd_zlexcount(struct kv_call *call)
{
	count(call, ZSET_BY_LEX);
}
