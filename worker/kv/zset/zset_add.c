/* SPDX-License-Identifier: MIT */
/* zset_add.c -- members come, change their score and go: ZADD, ZINCRBY, ZREM.
 *
 * All arguments are read before anything changes, the scores twice: reading
 * one costs less than remembering it would.
 */
#include "worker/kv/keys/collection.h"
#include "worker/kv/zset/zset.h"
#include <math.h>

enum add_flag {
	ADD_NX = 1 << 0,
	ADD_XX = 1 << 1,
	ADD_GT = 1 << 2,
	ADD_LT = 1 << 3,
	ADD_CH = 1 << 4,
	ADD_INCR = 1 << 5,
};

static const struct add_option {
	const char *name;
	uint32_t flag;
} add_options[] = {
	{"NX", ADD_NX},
	{"XX", ADD_XX},
	{"GT", ADD_GT},
	{"LT", ADD_LT},
	{"CH", ADD_CH},
	{"INCR", ADD_INCR},
};
#define ADD_OPTIONS (sizeof add_options / sizeof *add_options)

/* What do not go together, in the order in which redis finds it out. */
static const struct add_conflict {
	uint32_t flags;
	const char *error;
} add_conflicts[] = {
	{ADD_NX | ADD_XX, "ERR XX and NX options at the same time are not "
			  "compatible"},
	{ADD_GT | ADD_NX, "ERR GT, LT, and/or NX options at the same time are "
			  "not compatible"},
	{ADD_LT | ADD_NX, "ERR GT, LT, and/or NX options at the same time are "
			  "not compatible"},
	{ADD_GT | ADD_LT, "ERR GT, LT, and/or NX options at the same time are "
			  "not compatible"},
};
#define ADD_CONFLICTS (sizeof add_conflicts / sizeof *add_conflicts)

struct add {
	uint32_t flags;
	uint32_t first; /* the first score */
	uint32_t added, updated;
	bool done;    /* the last one was not left alone */
	double score; /* its score now */
};

static uint32_t option_of(struct rf_bytes arg)
{
	for (size_t i = 0; i < ADD_OPTIONS; i++)
		if (kv_is(arg, add_options[i].name))
			return add_options[i].flag;
	return 0;
}

static const char *conflict_of(const struct add *add, uint32_t pairs)
{
	for (size_t i = 0; i < ADD_CONFLICTS; i++)
		if ((add->flags & add_conflicts[i].flags) ==
			add_conflicts[i].flags)
			return add_conflicts[i].error;
	if (add->flags & ADD_INCR && pairs > 1)
		return "ERR INCR option supports a single increment-element "
		       "pair";
	return NULL;
}

static bool parse(struct kv_call *call, struct add *add)
{
	const char *conflict;
	uint32_t flag, rest;
	double score;

	for (add->first = 2; add->first < call->argc; add->first++) {
		flag = option_of(call->argv[add->first]);
		if (flag == 0)
			break;
		add->flags |= flag;
	}
	rest = call->argc - add->first;
	if (rest == 0 || rest % 2 != 0) {
		kv_reply_syntax(call);
		return false;
	}
	conflict = conflict_of(add, rest / 2);
	if (conflict != NULL) {
		rf_resp_error(call->reply, "%s", conflict);
		return false;
	}
	for (uint32_t i = add->first; i < call->argc; i += 2)
		if (!kv_arg_double(call, i, &score))
			return false;
	return true;
}

/* Whether a member with this score is to get that one. */
static bool wanted(const struct add *add, double old, double score)
{
	return !(add->flags & ADD_NX) &&
	       (!(add->flags & ADD_GT) || score > old) &&
	       (!(add->flags & ADD_LT) || score < old);
}

/* false: the sum is not a number. */
static bool add_one(struct rf_sorted *sorted, struct rf_bytes member,
	double score, struct add *add)
{
	double old;
	bool exists = rf_sorted_score(sorted, member.at, member.bytes, &old);

	if (exists && add->flags & ADD_INCR && !(add->flags & ADD_NX))
		score += old;
	if (isnan(score))
		return false;
	add->score = score;
	add->done = exists ? wanted(add, old, score) : !(add->flags & ADD_XX);
	if (!add->done || (exists && score == old))
		return true;
	zset_put(sorted, member, score);
	if (exists)
		add->updated++;
	else
		add->added++;
	return true;
}

static bool add_all(
	struct kv_call *call, struct kv_value *value, struct add *add)
{
	for (uint32_t i = add->first; i < call->argc; i += 2) {
		double score = 0;

		kv_parse_double(call->argv[i].at, call->argv[i].bytes, &score);
		if (!add_one(kv_sorted_of(value), call->argv[i + 1], score,
			    add)) {
			rf_resp_error(call->reply,
				"ERR resulting score is not a number (NaN)");
			return false;
		}
	}
	return true;
}

static void reply_added(struct kv_call *call, const struct add *add)
{
	if (!(add->flags & ADD_INCR))
		rf_resp_int(call->reply, add->flags & ADD_CH
						 ? add->added + add->updated
						 : add->added);
	else if (add->done)
		rf_resp_double(call->reply, call->proto, add->score);
	else
		rf_resp_null(call->reply, call->proto);
}

/* value: NULL when there is none and none is to be made. */
static bool open_for(struct kv_call *call, struct rf_bytes key,
	const struct add *add, struct kv_value **value)
{
	if (add->flags & ADD_XX)
		return kv_find_kind(call, key, KV_ZSET, value);
	*value = kv_open(call, key, KV_ZSET);
	return *value != NULL;
}

static void add_members(struct kv_call *call, uint32_t flags)
{
	struct add add = {.flags = flags};
	struct rf_bytes key = call->argv[1];
	struct kv_value *value;

	if (!parse(call, &add) || !open_for(call, key, &add, &value))
		return;
	if (value != NULL && !add_all(call, value, &add))
		return;
	if (add.added > 0 || add.updated > 0)
		kv_changed(call, key, KV_CLASS_ZSET,
			add.flags & ADD_INCR ? "zincr" : "zadd");
	reply_added(call, &add);
}

void kv_cmd_zadd(struct kv_call *call)
{
	add_members(call, 0);
}

void kv_cmd_zincrby(struct kv_call *call)
{
	add_members(call, ADD_INCR);
}

void kv_cmd_zrem(struct kv_call *call)
{
	struct rf_bytes key = call->argv[1];
	struct kv_value *value;
	int64_t removed = 0;

	if (!kv_find_kind(call, key, KV_ZSET, &value))
		return;
	for (uint32_t i = 2; value != NULL && i < call->argc; i++)
		removed += rf_sorted_remove(kv_sorted_of(value),
			call->argv[i].at, call->argv[i].bytes);
	if (removed > 0) {
		kv_changed(call, key, KV_CLASS_ZSET, "zrem");
		kv_delete_if_empty(call, key);
	}
	rf_resp_int(call->reply, removed);
}
