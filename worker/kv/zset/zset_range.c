/* SPDX-License-Identifier: MIT */
/* zset_range.c -- ZRANGE with its options, and the older commands, each of
 * which is ZRANGE with some options given by its name.
 */
#include "worker/kv/keys/collection.h"
#include "worker/kv/zset/zset.h"

enum range_flag {
	RANGE_BYSCORE = 1 << 0,
	RANGE_BYLEX = 1 << 1,
	RANGE_REV = 1 << 2,
	RANGE_SCORES = 1 << 3,
	RANGE_LIMIT = 1 << 4,
};
#define RANGE_BY (RANGE_BYSCORE | RANGE_BYLEX)

/* What a command is by its name. */
struct range_form {
	uint32_t key;	  /* the argument with the key */
	uint32_t flags;	  /* these are given */
	uint32_t options; /* these may be */
};

#define RANGE_OLD (RANGE_SCORES | RANGE_LIMIT)
static const struct range_form zrange = {
	1, 0, RANGE_BY | RANGE_REV | RANGE_OLD};
static const struct range_form zrangestore = {
	2, 0, RANGE_BY | RANGE_REV | RANGE_LIMIT};
static const struct range_form zrevrange = {1, RANGE_REV, RANGE_OLD};
static const struct range_form zrangebyscore = {1, RANGE_BYSCORE, RANGE_OLD};
static const struct range_form zrevrangebyscore = {
	1, RANGE_BYSCORE | RANGE_REV, RANGE_OLD};
static const struct range_form zrangebylex = {1, RANGE_BYLEX, RANGE_OLD};
static const struct range_form zrevrangebylex = {
	1, RANGE_BYLEX | RANGE_REV, RANGE_OLD};

static const struct range_option {
	const char *name;
	uint32_t flag;
	uint32_t numbers; /* that follow */
	uint32_t excludes;
} range_options[] = {
	{"WITHSCORES", RANGE_SCORES, 0, 0},
	{"LIMIT", RANGE_LIMIT, 2, 0},
	{"REV", RANGE_REV, 0, RANGE_REV},
	{"BYLEX", RANGE_BYLEX, 0, RANGE_BY},
	{"BYSCORE", RANGE_BYSCORE, 0, RANGE_BY},
};
#define RANGE_OPTIONS (sizeof range_options / sizeof *range_options)

struct query {
	uint32_t flags;
	int64_t offset, limit; /* negative: all */
	struct zset_range range;
};

static const struct range_option *find_option(
	struct rf_bytes arg, uint32_t allowed, uint32_t flags)
{
	for (size_t i = 0; i < RANGE_OPTIONS; i++) {
		const struct range_option *option = &range_options[i];

		if (kv_is(arg, option->name))
			return (option->flag & allowed) &&
					       !(option->excludes & flags)
				       ? option
				       : NULL;
	}
	return NULL;
}

static bool parse_options(struct kv_call *call, const struct range_form *form,
	struct query *query)
{
	for (uint32_t i = form->key + 3; i < call->argc; i++) {
		const struct range_option *option =
			find_option(call->argv[i], form->options, query->flags);

		if (option == NULL || call->argc - 1 - i < option->numbers) {
			kv_reply_syntax(call);
			return false;
		}
		query->flags |= option->flag;
		if (option->numbers > 0) {
			if (!kv_arg_int(call, i + 1, &query->offset) ||
				!kv_arg_int(call, i + 2, &query->limit))
				return false;
			i += option->numbers;
		}
	}
	return true;
}

static bool options_agree(struct kv_call *call, const struct query *query)
{
	const char *error = NULL;

	if (query->limit != -1 && !(query->flags & RANGE_BY))
		error = "ERR syntax error, LIMIT is only supported in "
			"combination with either BYSCORE or BYLEX";
	else if (query->flags & RANGE_SCORES && query->flags & RANGE_BYLEX)
		error = "ERR syntax error, WITHSCORES not supported in "
			"combination with BYLEX";
	if (error != NULL)
		rf_resp_error(call->reply, "%s", error);
	return error == NULL;
}

static bool parse(struct kv_call *call, const struct range_form *form,
	struct query *query)
{
	uint32_t min = form->key + 1, max = form->key + 2;
	enum zset_by by = ZSET_BY_RANK;

	*query = (struct query){.flags = form->flags, .limit = -1};
	if (!parse_options(call, form, query) || !options_agree(call, query))
		return false;
	if (query->flags & RANGE_BY) {
		by = query->flags & RANGE_BYLEX ? ZSET_BY_LEX : ZSET_BY_SCORE;
		if (query->flags & RANGE_REV) {
			min = form->key + 2;
			max = form->key + 1;
		}
	}
	return zset_range_parse(call, by, min, max, &query->range);
}

/* The part of the span that LIMIT leaves. */
static struct zset_span limit(const struct query *query, struct zset_span span)
{
	uint64_t skip = (uint64_t)query->offset, wanted, left;

	if (query->offset < 0 || skip >= span.count)
		return (struct zset_span){0};
	left = span.count - skip;
	wanted = query->limit < 0 || (uint64_t)query->limit > left
			 ? left
			 : (uint64_t)query->limit;
	if (query->flags & RANGE_REV)
		span.rank += left - wanted;
	else
		span.rank += skip;
	span.count = wanted;
	return span;
}

static struct zset_span span_of(
	const struct rf_sorted *sorted, const struct query *query)
{
	return limit(query, zset_range_span(sorted, &query->range,
				    query->flags & RANGE_REV));
}

static void reply_span(struct kv_call *call, const struct rf_sorted *sorted,
	const struct query *query)
{
	struct zset_span span = span_of(sorted, query);
	enum zset_shape shape = zset_shape(call, query->flags & RANGE_SCORES);
	bool reverse = query->flags & RANGE_REV;
	struct rf_sorted_at at;
	struct rf_item member;
	double score;

	zset_reply_head(call, shape, span.count);
	if (span.count == 0)
		return;
	rf_sorted_seek_rank(
		sorted, reverse ? span.rank + span.count : span.rank, &at);
	for (uint64_t i = 0; i < span.count && rf_tx_error() == 0; i++) {
		if (reverse)
			rf_sorted_prev(&at, &member, &score);
		else
			rf_sorted_next(&at, &member, &score);
		zset_reply_one(call, shape, member.text, score);
	}
}

static void range(struct kv_call *call, const struct range_form *form)
{
	struct kv_value *value;
	struct query query;

	if (!parse(call, form, &query) ||
		!kv_look_kind(call, call->argv[form->key], KV_ZSET, &value))
		return;
	if (value != NULL)
		reply_span(call, kv_sorted_of(value), &query);
	else
		rf_resp_array(call->reply, 0);
}

void kv_cmd_zrange(struct kv_call *call)
{
	range(call, &zrange);
}

void kv_cmd_zrevrange(struct kv_call *call)
{
	range(call, &zrevrange);
}

void kv_cmd_zrangebyscore(struct kv_call *call)
{
	range(call, &zrangebyscore);
}

void kv_cmd_zrevrangebyscore(struct kv_call *call)
{
	range(call, &zrevrangebyscore);
}

void kv_cmd_zrangebylex(struct kv_call *call)
{
	range(call, &zrangebylex);
}

void kv_cmd_zrevrangebylex(struct kv_call *call)
{
	range(call, &zrevrangebylex);
}

static void copy_span(struct rf_sorted *to, const struct rf_sorted *from,
	struct zset_span span)
{
	struct rf_sorted_at at;
	struct rf_item member;
	double score;

	if (span.count == 0)
		return;
	rf_sorted_seek_rank(from, span.rank, &at);
	for (uint64_t i = 0; i < span.count && rf_tx_error() == 0; i++) {
		rf_sorted_next(&at, &member, &score);
		zset_put(to, member.text, score);
	}
}

void kv_cmd_zrangestore(struct kv_call *call)
{
	struct kv_value *from, *to;
	struct query query;

	if (!parse(call, &zrangestore, &query) ||
		!kv_look_kind(
			call, call->argv[zrangestore.key], KV_ZSET, &from))
		return;
	to = kv_value_create(KV_ZSET);
	if (to == NULL)
		return;
	if (from != NULL)
		copy_span(kv_sorted_of(to), kv_sorted_of(from),
			span_of(kv_sorted_of(from), &query));
	kv_store(call, call->argv[1], to, KV_CLASS_ZSET, "zrangestore");
}

/* ---- ZREMRANGEBY... ---- */

static void remove_range(
	struct kv_call *call, enum zset_by by, const char *event)
{
	struct rf_bytes key = call->argv[1];
	struct zset_range of;
	struct zset_span span = {0};
	struct kv_value *value;

	if (!zset_range_parse(call, by, 2, 3, &of) ||
		!kv_find_kind(call, key, KV_ZSET, &value))
		return;
	if (value != NULL)
		span = zset_range_span(kv_sorted_of(value), &of, false);
	if (span.count > 0)
		zset_span_remove(call, key, kv_sorted_of(value), span, event);
	rf_resp_int(call->reply, (int64_t)span.count);
}

void kv_cmd_zremrangebyrank(struct kv_call *call)
{
	remove_range(call, ZSET_BY_RANK, "zremrangebyrank");
}

void kv_cmd_zremrangebyscore(struct kv_call *call)
{
	remove_range(call, ZSET_BY_SCORE, "zremrangebyscore");
}

void kv_cmd_zremrangebylex(struct kv_call *call)
{
	remove_range(call, ZSET_BY_LEX, "zremrangebylex");
}
