/* SPDX-License-Identifier: MIT */
/* string.c -- the SET and GET families. */
#include "kv.h"

static void reply_value(struct kv_call *call, const struct rf_dict_entry *entry)
{
	const struct kv_value *value;

	if (entry == NULL) {
		rf_resp_null(call->reply, call->proto);
		return;
	}
	value = kv_value_of(entry);
	rf_resp_bulk(call->reply, value->text, value->bytes);
}

static void reply_ok(struct kv_call *call)
{
	rf_reply_bytes(call->reply, "+OK\r\n", 5);
}

static struct rf_dict_entry *set(
	struct kv_call *call, uint32_t key, uint32_t value)
{
	return kv_set(
		call->argv[key], call->argv[value].at, call->argv[value].bytes);
}

static void bad_expire(struct kv_call *call)
{
	rf_resp_error(call->reply, "ERR invalid expire time in '%s' command",
		call->command->name);
}

/* When argument `index`, in `unit` ms from `base_ms`, is. */
static bool parse_expire(struct kv_call *call, uint32_t index, int64_t unit,
	int64_t base_ms, int64_t *at_ms)
{
	int64_t count;

	if (!kv_arg_int(call, index, &count))
		return false;
	if (count <= 0 || !kv_instant(count, unit, base_ms, at_ms)) {
		bad_expire(call);
		return false;
	}
	return true;
}

/* ---- GET ---- */

void kv_cmd_get(struct kv_call *call)
{
	reply_value(call, kv_find(call->now_ms, call->argv[1]));
}

void kv_cmd_getdel(struct kv_call *call)
{
	struct rf_dict_entry *entry = kv_find(call->now_ms, call->argv[1]);

	reply_value(call, entry);
	if (entry != NULL)
		kv_delete(entry);
}

void kv_cmd_getset(struct kv_call *call)
{
	reply_value(call, kv_find(call->now_ms, call->argv[1]));
	set(call, 1, 2);
}

void kv_cmd_mget(struct kv_call *call)
{
	rf_resp_array(call->reply, call->argc - 1);
	for (uint32_t i = 1; i < call->argc; i++)
		reply_value(call, kv_find(call->now_ms, call->argv[i]));
}

void kv_cmd_strlen(struct kv_call *call)
{
	struct rf_dict_entry *entry = kv_find(call->now_ms, call->argv[1]);

	rf_resp_int(call->reply, entry != NULL ? kv_value_of(entry)->bytes : 0);
}

/* ---- SET ---- */

enum set_flag {
	SET_NX = 1 << 0,
	SET_XX = 1 << 1,
	SET_GET = 1 << 2,
	SET_KEEPTTL = 1 << 3,
	SET_EXPIRES = 1 << 4, /* EX, PX, EXAT or PXAT */
};

static const struct set_option {
	const char *name;
	uint32_t flag;
	uint32_t excludes;
	int64_t unit; /* of the number that follows; 0: none does */
	bool relative;
} set_options[] = {
	{"NX", SET_NX, SET_XX, 0, false},
	{"XX", SET_XX, SET_NX, 0, false},
	{"GET", SET_GET, 0, 0, false},
	{"KEEPTTL", SET_KEEPTTL, SET_EXPIRES, 0, false},
	{"EX", SET_EXPIRES, SET_EXPIRES | SET_KEEPTTL, 1000, true},
	{"PX", SET_EXPIRES, SET_EXPIRES | SET_KEEPTTL, 1, true},
	{"EXAT", SET_EXPIRES, SET_EXPIRES | SET_KEEPTTL, 1000, false},
	{"PXAT", SET_EXPIRES, SET_EXPIRES | SET_KEEPTTL, 1, false},
	{NULL, 0, 0, 0, false},
};

struct set_how {
	uint32_t flags;
	uint32_t expire_index; /* the argument with the number */
	const struct set_option *expire;
};

static bool parse_set(struct kv_call *call, struct set_how *how)
{
	for (uint32_t i = 3; i < call->argc; i++) {
		const struct set_option *option = set_options;

		while (option->name != NULL &&
			!kv_is(call->argv[i], option->name))
			option++;
		if (option->name == NULL || (how->flags & option->excludes) ||
			(option->unit != 0 && i + 1 == call->argc)) {
			rf_resp_error(call->reply, KV_ERR_SYNTAX);
			return false;
		}
		how->flags |= option->flag;
		if (option->unit != 0) {
			how->expire = option;
			how->expire_index = ++i;
		}
	}
	return true;
}

static void set_with_options(struct kv_call *call)
{
	struct set_how how = {0};
	struct rf_dict_entry *entry;
	int64_t at_ms = 0;

	if (!parse_set(call, &how))
		return;
	if (how.expire != NULL &&
		!parse_expire(call, how.expire_index, how.expire->unit,
			how.expire->relative ? call->now_ms : 0, &at_ms))
		return;
	entry = kv_find(call->now_ms, call->argv[1]);
	if (how.flags & SET_GET)
		reply_value(call, entry);
	if (entry != NULL ? how.flags & SET_NX : how.flags & SET_XX) {
		if (!(how.flags & SET_GET))
			rf_resp_null(call->reply, call->proto);
		return;
	}
	if (entry != NULL && how.flags & (SET_KEEPTTL | SET_EXPIRES))
		kv_value_set(entry, call->argv[2].at, call->argv[2].bytes);
	else
		entry = set(call, 1, 2);
	if (how.flags & SET_EXPIRES && entry != NULL)
		kv_expire_at(entry, at_ms);
	if (!(how.flags & SET_GET))
		reply_ok(call);
}

void kv_cmd_set(struct kv_call *call)
{
	if (rf_unlikely(call->argc > 3)) {
		set_with_options(call);
		return;
	}
	set(call, 1, 2);
	reply_ok(call);
}

void kv_cmd_setnx(struct kv_call *call)
{
	bool absent = kv_find(call->now_ms, call->argv[1]) == NULL;

	if (absent)
		set(call, 1, 2);
	rf_resp_int(call->reply, absent);
}

static void set_expiring(struct kv_call *call, int64_t unit)
{
	struct rf_dict_entry *entry;
	int64_t at_ms = 0;

	if (!parse_expire(call, 2, unit, call->now_ms, &at_ms))
		return;
	entry = set(call, 1, 3);
	if (entry != NULL)
		kv_expire_at(entry, at_ms);
	reply_ok(call);
}

void kv_cmd_setex(struct kv_call *call)
{
	set_expiring(call, 1000);
}

void kv_cmd_psetex(struct kv_call *call)
{
	set_expiring(call, 1);
}

static bool set_many(struct kv_call *call)
{
	if (call->argc % 2 == 0) {
		kv_wrong_arity(call);
		return false;
	}
	for (uint32_t i = 1; i < call->argc; i += 2)
		set(call, i, i + 1);
	return true;
}

void kv_cmd_mset(struct kv_call *call)
{
	if (set_many(call))
		reply_ok(call);
}

void kv_cmd_msetnx(struct kv_call *call)
{
	for (uint32_t i = 1; call->argc % 2 != 0 && i < call->argc; i += 2)
		if (kv_find(call->now_ms, call->argv[i]) != NULL) {
			rf_resp_int(call->reply, 0);
			return;
		}
	if (set_many(call))
		rf_resp_int(call->reply, 1);
}
