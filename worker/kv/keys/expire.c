/* SPDX-License-Identifier: MIT */
/* expire.c -- the EXPIRE and TTL families. */
#include "worker/kv/keys/keys.h"

enum expire_flag {
	EXPIRE_NX = 1 << 0,
	EXPIRE_XX = 1 << 1,
	EXPIRE_GT = 1 << 2,
	EXPIRE_LT = 1 << 3,
};

static const struct {
	const char *name;
	uint32_t flag;
} expire_options[] = {
	{"NX", EXPIRE_NX},
	{"XX", EXPIRE_XX},
	{"GT", EXPIRE_GT},
	{"LT", EXPIRE_LT},
};

static uint32_t option(struct rf_bytes arg)
{
	for (size_t i = 0; i < sizeof expire_options / sizeof *expire_options;
		i++)
		if (kv_is(arg, expire_options[i].name))
			return expire_options[i].flag;
	return 0;
}

static bool parse_options(struct kv_call *call, uint32_t *flags)
{
	*flags = 0;
	for (uint32_t i = 3; i < call->argc; i++) {
		uint32_t flag = option(call->argv[i]);

		if (flag == 0) {
			rf_resp_error(call->reply,
				"ERR Unsupported option %.*s",
				(int)call->argv[i].bytes, call->argv[i].at);
			return false;
		}
		*flags |= flag;
	}
	if (*flags & EXPIRE_NX && *flags & ~(uint32_t)EXPIRE_NX) {
		rf_resp_error(call->reply,
			"ERR NX and XX, GT or LT options at the same time are "
			"not compatible");
		return false;
	}
	if (*flags & EXPIRE_GT && *flags & EXPIRE_LT) {
		rf_resp_error(call->reply,
			"ERR GT and LT options at the same time are not "
			"compatible");
		return false;
	}
	return true;
}

/* No expiry counts as one that never comes. */
static bool allowed(
	const struct rf_dict_entry *entry, uint32_t flags, int64_t at_ms)
{
	const struct kv_timer *timer = kv_timer_of(entry);

	if (timer == NULL)
		return !(flags & (EXPIRE_XX | EXPIRE_GT));
	if (flags & EXPIRE_NX)
		return false;
	if (flags & EXPIRE_GT && at_ms <= timer->timer.at_ms)
		return false;
	return !(flags & EXPIRE_LT && at_ms >= timer->timer.at_ms);
}

static void expire(struct kv_call *call, int64_t unit, int64_t base_ms)
{
	struct rf_dict_entry *entry;
	int64_t count, at_ms;
	uint32_t flags;

	if (!parse_options(call, &flags) || !kv_arg_int(call, 2, &count))
		return;
	if (!kv_instant(count, unit, base_ms, &at_ms)) {
		rf_resp_error(call->reply,
			"ERR invalid expire time in '%s' command",
			call->command->name);
		return;
	}
	entry = kv_find(call, call->argv[1]);
	if (entry == NULL || !allowed(entry, flags, at_ms)) {
		rf_resp_int(call->reply, 0);
		return;
	}
	if (at_ms <= call->now_ms)
		kv_delete(call, entry);
	else
		kv_expire_at(call, entry, at_ms);
	kv_changed(call, call->argv[1], KV_CLASS_GENERIC,
		at_ms <= call->now_ms ? "del" : "expire");
	rf_resp_int(call->reply, 1);
}

void kv_cmd_expire(struct kv_call *call)
{
	expire(call, 1000, call->now_ms);
}

void kv_cmd_pexpire(struct kv_call *call)
{
	expire(call, 1, call->now_ms);
}

void kv_cmd_expireat(struct kv_call *call)
{
	expire(call, 1000, 0);
}

void kv_cmd_pexpireat(struct kv_call *call)
{
	expire(call, 1, 0);
}

void kv_cmd_persist(struct kv_call *call)
{
	struct rf_dict_entry *entry = kv_find(call, call->argv[1]);
	bool had = entry != NULL && kv_persist(call, entry);

	if (had)
		kv_changed(call, call->argv[1], KV_CLASS_GENERIC, "persist");
	rf_resp_int(call->reply, had);
}

/* ---- asking ---- */

/* -2: no such key; -1: no expiry; else the instant, rounded to `unit`. */
static void tell(struct kv_call *call, int64_t unit, int64_t base_ms)
{
	struct rf_dict_entry *entry = kv_peek(call, call->argv[1]);
	const struct kv_timer *timer;
	int64_t ms;

	if (entry == NULL) {
		rf_resp_int(call->reply, -2);
		return;
	}
	timer = kv_timer_of(entry);
	if (timer == NULL) {
		rf_resp_int(call->reply, -1);
		return;
	}
	ms = timer->timer.at_ms - base_ms;
	rf_resp_int(call->reply, unit == 1 ? ms : (ms + unit / 2) / unit);
}

void kv_cmd_ttl(struct kv_call *call)
{
	tell(call, 1000, call->now_ms);
}

void kv_cmd_pttl(struct kv_call *call)
{
	tell(call, 1, call->now_ms);
}

void kv_cmd_expiretime(struct kv_call *call)
{
	tell(call, 1000, 0);
}

void kv_cmd_pexpiretime(struct kv_call *call)
{
	tell(call, 1, 0);
}
