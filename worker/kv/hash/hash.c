/* SPDX-License-Identifier: MIT */
/* hash.c -- hashes: fields one by one, and all of them. */
#include "worker/kv/keys/collection.h"
#include <math.h>

/* ---- reading ---- */

/* The value of the field argv[2]. false: there is none, `reply_none` has been
 * called, or WRONGTYPE has been replied. */
static bool read_field(struct kv_call *call, struct rf_item *item,
	void (*reply_none)(struct kv_call *call))
{
	struct kv_value *value;

	if (!kv_look_kind(call, call->argv[1], KV_HASH, &value))
		return false;
	if (value != NULL && rf_map_get(kv_map_of(value), call->argv[2].at,
				     call->argv[2].bytes, item))
		return true;
	reply_none(call);
	return false;
}

static void reply_null(struct kv_call *call)
{
	rf_resp_null(call->reply, call->proto);
}

static void reply_zero(struct kv_call *call)
{
	rf_resp_int(call->reply, 0);
}

void kv_cmd_hget(struct kv_call *call)
{
	struct rf_item item;

	if (read_field(call, &item, reply_null))
		kv_reply_item(call, &item);
}

void kv_cmd_hexists(struct kv_call *call)
{
	struct rf_item item;

	if (read_field(call, &item, reply_zero))
		rf_resp_int(call->reply, 1);
}

void kv_cmd_hstrlen(struct kv_call *call)
{
	struct rf_item item;

	if (read_field(call, &item, reply_zero))
		rf_resp_int(call->reply, (int64_t)item.text.bytes);
}

void kv_cmd_hmget(struct kv_call *call)
{
	struct kv_value *value;
	struct rf_item item;

	if (!kv_look_kind(call, call->argv[1], KV_HASH, &value))
		return;
	rf_resp_array(call->reply, call->argc - 2);
	for (uint32_t i = 2; i < call->argc; i++)
		if (value != NULL &&
			rf_map_get(kv_map_of(value), call->argv[i].at,
				call->argv[i].bytes, &item))
			kv_reply_item(call, &item);
		else
			reply_null(call);
}

void kv_cmd_hlen(struct kv_call *call)
{
	struct kv_value *value;

	if (kv_look_kind(call, call->argv[1], KV_HASH, &value))
		rf_resp_int(call->reply,
			value != NULL ? (int64_t)rf_map_count(kv_map_of(value))
				      : 0);
}

/* ---- all of it ---- */

static void give_field(
	const struct rf_item *field, const struct rf_item *value, void *context)
{
	(void)value;
	kv_reply_item(context, field);
}

static void give_value(
	const struct rf_item *field, const struct rf_item *value, void *context)
{
	(void)field;
	kv_reply_item(context, value);
}

static void give_both(
	const struct rf_item *field, const struct rf_item *value, void *context)
{
	kv_reply_item(context, field);
	kv_reply_item(context, value);
}

static void give_all(struct kv_call *call,
	void (*give)(const struct rf_item *field, const struct rf_item *value,
		void *context))
{
	struct kv_value *value;
	uint64_t count = 0, cursor = 0;

	if (!kv_look_kind(call, call->argv[1], KV_HASH, &value))
		return;
	if (value != NULL)
		count = rf_map_count(kv_map_of(value));
	if (give == give_both)
		rf_resp_map(call->reply, call->proto, count);
	else
		rf_resp_array(call->reply, count);
	if (value == NULL)
		return;
	do
		cursor = rf_map_scan(kv_map_of(value), cursor, give, call);
	while (cursor != 0 && rf_tx_error() == 0);
}

void kv_cmd_hkeys(struct kv_call *call)
{
	give_all(call, give_field);
}

void kv_cmd_hvals(struct kv_call *call)
{
	give_all(call, give_value);
}

void kv_cmd_hgetall(struct kv_call *call)
{
	give_all(call, give_both);
}

static void scan_field(
	const struct rf_item *field, const struct rf_item *value, void *context)
{
	if (kv_scan_wants(context, field)) {
		kv_scan_reply(context, field);
		kv_scan_reply(context, value);
	}
}

void kv_cmd_hscan(struct kv_call *call)
{
	struct kv_scan scan;

	if (!kv_scan_begin(call, KV_HASH, &scan))
		return;
	do
		scan.cursor = rf_map_scan(
			kv_map_of(scan.value), scan.cursor, scan_field, &scan);
	while (kv_scan_goes_on(&scan));
	kv_scan_end(&scan);
}

/* ---- writing ---- */

/* Returns how many fields are new, -1 after an error. */
static int64_t set_fields(struct kv_call *call)
{
	struct kv_value *value;
	int64_t created = 0;

	if (call->argc % 2 != 0) {
		kv_wrong_arity(call);
		return -1;
	}
	value = kv_open(call, call->argv[1], KV_HASH);
	if (value == NULL)
		return -1;
	for (uint32_t i = 2; i < call->argc; i += 2)
		created += rf_map_put(kv_map_of(value), call->argv[i].at,
			call->argv[i].bytes, call->argv[i + 1].at,
			call->argv[i + 1].bytes);
	kv_changed(call, call->argv[1], KV_CLASS_HASH, "hset");
	return created;
}

void kv_cmd_hset(struct kv_call *call)
{
	int64_t created = set_fields(call);

	if (created >= 0)
		rf_resp_int(call->reply, created);
}

void kv_cmd_hmset(struct kv_call *call)
{
	if (set_fields(call) >= 0)
		kv_reply_ok(call);
}

/* Set the field argv[2]. */
static void put(struct kv_call *call, struct kv_value *value, const char *from,
	size_t bytes, const char *event)
{
	rf_map_put(kv_map_of(value), call->argv[2].at, call->argv[2].bytes,
		from, bytes);
	kv_changed(call, call->argv[1], KV_CLASS_HASH, event);
}

static bool find(struct kv_call *call, const struct kv_value *value,
	struct rf_item *item)
{
	return value != NULL && rf_map_get(kv_map_of(value), call->argv[2].at,
					call->argv[2].bytes, item);
}

void kv_cmd_hsetnx(struct kv_call *call)
{
	struct kv_value *value = kv_open(call, call->argv[1], KV_HASH);
	struct rf_item item;

	if (value == NULL)
		return;
	if (find(call, value, &item)) {
		rf_resp_int(call->reply, 0);
		return;
	}
	put(call, value, call->argv[3].at, call->argv[3].bytes, "hset");
	rf_resp_int(call->reply, 1);
}

void kv_cmd_hdel(struct kv_call *call)
{
	struct kv_value *value;
	int64_t removed = 0;

	if (!kv_find_kind(call, call->argv[1], KV_HASH, &value))
		return;
	for (uint32_t i = 2; i < call->argc && value != NULL; i++)
		removed += rf_map_remove(kv_map_of(value), call->argv[i].at,
			call->argv[i].bytes);
	rf_resp_int(call->reply, removed);
	if (removed == 0)
		return;
	kv_changed(call, call->argv[1], KV_CLASS_HASH, "hdel");
	kv_delete_if_empty(call, call->argv[1]);
}

/* ---- counting ---- */

void kv_cmd_hincrby(struct kv_call *call)
{
	char text[RF_DECIMAL_MAX];
	struct kv_value *value;
	struct rf_item item;
	int64_t number = 0, increment;

	if (!kv_arg_int(call, 3, &increment))
		return;
	value = kv_open(call, call->argv[1], KV_HASH);
	if (value == NULL)
		return;
	if (find(call, value, &item) &&
		!kv_parse_int(item.text.at, item.text.bytes, &number)) {
		rf_resp_error(call->reply, "ERR hash value is not an integer");
		return;
	}
	if (__builtin_add_overflow(number, increment, &number)) {
		rf_resp_error(call->reply,
			"ERR increment or decrement would overflow");
		return;
	}
	put(call, value, text, rf_resp_decimal(text, number), "hincrby");
	rf_resp_int(call->reply, number);
}

void kv_cmd_hincrbyfloat(struct kv_call *call)
{
	struct rf_bytes arg = call->argv[3];
	long double number = 0, increment;
	char text[KV_FLOAT_MAX];
	struct kv_value *value;
	struct rf_item item;
	size_t bytes;

	if (!kv_parse_float(arg.at, arg.bytes, &increment)) {
		rf_resp_error(call->reply, KV_ERR_FLOAT);
		return;
	}
	if (isinf(increment)) {
		rf_resp_error(call->reply, "ERR value is NaN or Infinity");
		return;
	}
	value = kv_open(call, call->argv[1], KV_HASH);
	if (value == NULL)
		return;
	if (find(call, value, &item) &&
		!kv_parse_float(item.text.at, item.text.bytes, &number)) {
		rf_resp_error(call->reply, "ERR hash value is not a float");
		return;
	}
	number += increment;
	if (isnan(number) || isinf(number)) {
		rf_resp_error(call->reply,
			"ERR increment would produce NaN or Infinity");
		return;
	}
	bytes = kv_format_float(text, number);
	put(call, value, text, bytes, "hincrbyfloat");
	rf_resp_bulk(call->reply, text, bytes);
}
