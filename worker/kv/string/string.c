/* SPDX-License-Identifier: MIT */
/* string.c -- the SET and GET families. */
#include "worker/kv/string/string.h"

static void reply_value(struct kv_call *call, const struct kv_value *value)
{
	struct rf_bytes text = kv_string_text(value);

	if (value == NULL)
		rf_resp_null(call->reply, call->proto);
	else
		rf_resp_bulk(call->reply, text.at, text.bytes);
}

static struct rf_dict_entry *set(
	struct kv_call *call, uint32_t key, uint32_t value)
{
	struct rf_dict_entry *entry = kv_set(call, call->argv[key],
		call->argv[value].at, call->argv[value].bytes, false);

	kv_changed(call, call->argv[key], KV_CLASS_STRING, "set");
	return entry;
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
	struct kv_value *value;

	if (kv_look_kind(call, call->argv[1], KV_STRING, &value))
		reply_value(call, value);
}

void kv_cmd_getdel(struct kv_call *call)
{
	struct rf_dict_entry *entry;

	if (!kv_find_string(call, call->argv[1], &entry))
		return;
	reply_value(call, entry != NULL ? kv_value_of(entry) : NULL);
	if (entry == NULL)
		return;
	kv_delete(call, entry);
	kv_changed(call, call->argv[1], KV_CLASS_GENERIC, "del");
}

void kv_cmd_getset(struct kv_call *call)
{
	struct kv_value *value;

	if (!kv_look_kind(call, call->argv[1], KV_STRING, &value))
		return;
	reply_value(call, value);
	set(call, 1, 2);
}

/* What holds no string is not there. */
void kv_cmd_mget(struct kv_call *call)
{
	rf_resp_array(call->reply, call->argc - 1);
	for (uint32_t i = 1; i < call->argc; i++) {
		struct rf_dict_entry *entry = kv_look(call, call->argv[i]);
		struct kv_value *value =
			entry != NULL ? kv_value_of(entry) : NULL;

		if (value != NULL && kv_kind_of(value) != KV_STRING)
			value = NULL;
		reply_value(call, value);
	}
}

void kv_cmd_strlen(struct kv_call *call)
{
	struct kv_value *value;

	if (kv_look_kind(call, call->argv[1], KV_STRING, &value))
		rf_resp_int(call->reply, value != NULL ? value->bytes : 0);
}

/* ---- SET ---- */

enum set_flag {
	SET_NX = 1 << 0,
	SET_XX = 1 << 1,
	SET_GET = 1 << 2,
	SET_KEEPTTL = 1 << 3,
	SET_PERSIST = 1 << 4,
	SET_EXPIRES = 1 << 5, /* EX, PX, EXAT or PXAT */
};

#define SET_TAKES   (SET_NX | SET_XX | SET_GET | SET_KEEPTTL | SET_EXPIRES)
#define GETEX_TAKES (SET_PERSIST | SET_EXPIRES)
/* At most one of these. */
#define SET_ENDS (SET_KEEPTTL | SET_PERSIST | SET_EXPIRES)

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
	{"PERSIST", SET_PERSIST, SET_EXPIRES, 0, false},
	{"EX", SET_EXPIRES, SET_ENDS, 1000, true},
	{"PX", SET_EXPIRES, SET_ENDS, 1, true},
	{"EXAT", SET_EXPIRES, SET_ENDS, 1000, false},
	{"PXAT", SET_EXPIRES, SET_ENDS, 1, false},
	{NULL, 0, 0, 0, false},
};

struct set_how {
	uint32_t flags;
	uint32_t expire_index; /* the argument with the number */
	const struct set_option *expire;
	int64_t at_ms;
};

/* The options from argument `from` on, of those that the command takes. */
static bool parse_set(struct kv_call *call, uint32_t from, uint32_t takes,
	struct set_how *how)
{
	for (uint32_t i = from; i < call->argc; i++) {
		const struct set_option *option = set_options;

		while (option->name != NULL &&
			!kv_is(call->argv[i], option->name))
			option++;
		if (!(option->flag & takes) ||
			(how->flags & option->excludes) ||
			(option->unit != 0 && i + 1 == call->argc)) {
			kv_reply_syntax(call);
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

/* When the expiry among the options is; true when there is none. */
static bool parse_instant(struct kv_call *call, struct set_how *how)
{
	return how->expire == NULL ||
	       parse_expire(call, how->expire_index, how->expire->unit,
		       how->expire->relative ? call->now_ms : 0, &how->at_ms);
}

static void expire_at(
	struct kv_call *call, struct rf_dict_entry *entry, int64_t at_ms)
{
	kv_expire_at(call, entry, at_ms);
	kv_changed(call, call->argv[1], KV_CLASS_GENERIC, "expire");
}

static void set_with_options(struct kv_call *call)
{
	struct set_how how = {0};
	struct rf_dict_entry *entry;

	if (!parse_set(call, 3, SET_TAKES, &how) || !parse_instant(call, &how))
		return;
	if (how.flags & SET_GET) {
		struct kv_value *value;

		if (!kv_look_kind(call, call->argv[1], KV_STRING, &value))
			return;
		reply_value(call, value);
	}
	entry = kv_find(call, call->argv[1]);
	if (entry != NULL ? how.flags & SET_NX : how.flags & SET_XX) {
		if (!(how.flags & SET_GET))
			rf_resp_null(call->reply, call->proto);
		return;
	}
	entry = kv_set(call, call->argv[1], call->argv[2].at,
		call->argv[2].bytes, (how.flags & SET_KEEPTTL) != 0);
	kv_changed(call, call->argv[1], KV_CLASS_STRING, "set");
	if (how.flags & SET_EXPIRES && entry != NULL)
		expire_at(call, entry, how.at_ms);
	if (!(how.flags & SET_GET))
		kv_reply_ok(call);
}

void kv_cmd_set(struct kv_call *call)
{
	if (rf_unlikely(call->argc > 3)) {
		set_with_options(call);
		return;
	}
	set(call, 1, 2);
	kv_reply_ok(call);
}

void kv_cmd_setnx(struct kv_call *call)
{
	bool absent = kv_find(call, call->argv[1]) == NULL;

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
		expire_at(call, entry, at_ms);
	kv_reply_ok(call);
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
		kv_reply_ok(call);
}

void kv_cmd_msetnx(struct kv_call *call)
{
	for (uint32_t i = 1; call->argc % 2 != 0 && i < call->argc; i += 2)
		if (kv_find(call, call->argv[i]) != NULL) {
			rf_resp_int(call->reply, 0);
			return;
		}
	if (set_many(call))
		rf_resp_int(call->reply, 1);
}

/* ---- GETEX ---- */

void kv_cmd_getex(struct kv_call *call)
{
	struct set_how how = {0};
	struct rf_dict_entry *entry;
	struct kv_value *value;

	if (!parse_set(call, 2, GETEX_TAKES, &how) ||
		!kv_look_kind(call, call->argv[1], KV_STRING, &value))
		return;
	if (value != NULL && !parse_instant(call, &how))
		return;
	reply_value(call, value);
	if (value == NULL || how.flags == 0)
		return;
	entry = kv_find(call, call->argv[1]);
	if (how.flags & SET_PERSIST) {
		if (kv_persist(call, entry))
			kv_changed(call, call->argv[1], KV_CLASS_GENERIC,
				"persist");
	} else if (how.at_ms <= call->now_ms) {
		kv_delete(call, entry);
		kv_changed(call, call->argv[1], KV_CLASS_GENERIC, "del");
	} else {
		expire_at(call, entry, how.at_ms);
	}
}
