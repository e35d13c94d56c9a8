/* SPDX-License-Identifier: MIT */
/* set.c -- sets: members one by one, and all of them. */
#include "worker/kv/keys/collection.h"

/* ---- reading ---- */

static bool has(const struct kv_value *value, struct rf_bytes member)
{
	return value != NULL &&
	       rf_set_has(kv_set_of(value), member.at, member.bytes);
}

void kv_cmd_sismember(struct kv_call *call)
{
	struct kv_value *value;

	if (kv_look_kind(call, call->argv[1], KV_SET, &value))
		rf_resp_int(call->reply, has(value, call->argv[2]));
}

void kv_cmd_smismember(struct kv_call *call)
{
	struct kv_value *value;

	if (!kv_look_kind(call, call->argv[1], KV_SET, &value))
		return;
	rf_resp_array(call->reply, call->argc - 2);
	for (uint32_t i = 2; i < call->argc; i++)
		rf_resp_int(call->reply, has(value, call->argv[i]));
}

void kv_cmd_scard(struct kv_call *call)
{
	struct kv_value *value;

	if (kv_look_kind(call, call->argv[1], KV_SET, &value))
		rf_resp_int(call->reply,
			value != NULL ? (int64_t)rf_set_count(kv_set_of(value))
				      : 0);
}

static void give(const struct rf_item *member, void *context)
{
	kv_reply_item(context, member);
}

void kv_cmd_smembers(struct kv_call *call)
{
	struct kv_value *value;
	uint64_t cursor = 0;

	if (!kv_look_kind(call, call->argv[1], KV_SET, &value))
		return;
	if (value == NULL) {
		rf_resp_set(call->reply, call->proto, 0);
		return;
	}
	rf_resp_set(call->reply, call->proto, rf_set_count(kv_set_of(value)));
	do
		cursor = rf_set_scan(kv_set_of(value), cursor, give, call);
	while (cursor != 0 && rf_tx_error() == 0);
}

static void scan_member(const struct rf_item *member, void *context)
{
	if (kv_scan_wants(context, member))
		kv_scan_reply(context, member);
}

void kv_cmd_sscan(struct kv_call *call)
{
	struct kv_scan scan;

	if (!kv_scan_begin(call, KV_SET, &scan))
		return;
	do
		scan.cursor = rf_set_scan(
			kv_set_of(scan.value), scan.cursor, scan_member, &scan);
	while (kv_scan_goes_on(&scan));
	kv_scan_end(&scan);
}

/* ---- writing ---- */

void kv_cmd_sadd(struct kv_call *call)
{
	struct kv_value *value = kv_open(call, call->argv[1], KV_SET);
	int64_t added = 0;

	if (value == NULL)
		return;
	for (uint32_t i = 2; i < call->argc; i++)
		added += rf_set_add(kv_set_of(value), call->argv[i].at,
			call->argv[i].bytes);
	rf_resp_int(call->reply, added);
	if (added > 0)
		kv_changed(call, call->argv[1], KV_CLASS_SET, "sadd");
}

void kv_cmd_srem(struct kv_call *call)
{
	struct kv_value *value;
	int64_t removed = 0;

	if (!kv_find_kind(call, call->argv[1], KV_SET, &value))
		return;
	for (uint32_t i = 2; i < call->argc && value != NULL; i++)
		removed += rf_set_remove(kv_set_of(value), call->argv[i].at,
			call->argv[i].bytes);
	rf_resp_int(call->reply, removed);
	if (removed == 0)
		return;
	kv_changed(call, call->argv[1], KV_CLASS_SET, "srem");
	kv_delete_if_empty(call, call->argv[1]);
}

/* Both keys are sets, or there is no second one. */
static void move(
	struct kv_call *call, struct kv_value *from, struct kv_value *to)
{
	struct rf_bytes member = call->argv[3];

	rf_set_remove(kv_set_of(from), member.at, member.bytes);
	kv_changed(call, call->argv[1], KV_CLASS_SET, "srem");
	kv_delete_if_empty(call, call->argv[1]);
	if (to == NULL)
		to = kv_create(call, call->argv[2], KV_SET);
	if (to != NULL && rf_set_add(kv_set_of(to), member.at, member.bytes))
		kv_changed(call, call->argv[2], KV_CLASS_SET, "sadd");
}

void kv_cmd_smove(struct kv_call *call)
{
	struct kv_value *from, *to;
	bool there;

	if (!kv_find_kind(call, call->argv[1], KV_SET, &from))
		return;
	if (from == NULL) { /* whatever the other key is */
		rf_resp_int(call->reply, 0);
		return;
	}
	if (!kv_find_kind(call, call->argv[2], KV_SET, &to))
		return;
	there = has(from, call->argv[3]);
	rf_resp_int(call->reply, there);
	if (there && from != to)
		move(call, from, to);
}
