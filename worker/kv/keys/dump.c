/* SPDX-License-Identifier: MIT */
/* dump.c -- DUMP and RESTORE, and the writing half of dump.h's format. */
#include "worker/kv/keys/dump.h"
#include "worker/kv/keys/access.h"
#include "worker/kv/keys/crc64.h"

/* ---- writing ---- */

static void put_number(struct rf_reply *reply, uint64_t number)
{
	char bytes[10];
	size_t count = 0;

	for (; number >= 128; number >>= 7)
		bytes[count++] = (char)(number | 128);
	bytes[count++] = (char)number;
	rf_reply_bytes(reply, bytes, count);
}

static void put_bytes(struct rf_reply *reply, const void *at, size_t bytes)
{
	put_number(reply, bytes);
	rf_reply_bytes(reply, at, bytes);
}

static void put_item(struct rf_reply *reply, const struct rf_item *item)
{
	put_bytes(reply, item->text.at, item->text.bytes);
}

static void put_string(struct rf_reply *reply, const struct kv_value *value)
{
	put_bytes(reply, value->body, value->bytes);
}

static void put_list(struct rf_reply *reply, const struct kv_value *value)
{
	struct rf_list_at at;
	struct rf_item item;

	put_number(reply, rf_list_count(kv_list_of(value)));
	rf_list_seek(kv_list_of(value), 0, &at);
	while (rf_list_next(&at, &item))
		put_item(reply, &item);
}

static void visit_field(
	const struct rf_item *field, const struct rf_item *value, void *reply)
{
	put_item(reply, field);
	put_item(reply, value);
}

static void put_hash(struct rf_reply *reply, const struct kv_value *value)
{
	uint64_t cursor = 0;

	put_number(reply, rf_map_count(kv_map_of(value)));
	do
		cursor = rf_map_scan(
			kv_map_of(value), cursor, visit_field, reply);
	while (cursor != 0);
}

static void visit_member(const struct rf_item *member, void *reply)
{
	put_item(reply, member);
}

static void put_set(struct rf_reply *reply, const struct kv_value *value)
{
	uint64_t cursor = 0;

	put_number(reply, rf_set_count(kv_set_of(value)));
	do
		cursor = rf_set_scan(
			kv_set_of(value), cursor, visit_member, reply);
	while (cursor != 0);
}

static void put_zset(struct rf_reply *reply, const struct kv_value *value)
{
	struct rf_sorted_at at;
	struct rf_item item;
	double score;

	put_number(reply, rf_sorted_count(kv_sorted_of(value)));
	rf_sorted_seek_rank(kv_sorted_of(value), 0, &at);
	while (rf_sorted_next(&at, &item, &score)) {
		rf_reply_bytes(reply, &score, sizeof score);
		put_item(reply, &item);
	}
}

static void (*const put[KV_KIND_COUNT])(
	struct rf_reply *reply, const struct kv_value *value) = {
	[KV_STRING] = put_string,
	[KV_LIST] = put_list,
	[KV_HASH] = put_hash,
	[KV_SET] = put_set,
	[KV_ZSET] = put_zset,
};

static void put_footer(struct rf_reply *reply, size_t mark)
{
	const char *end;
	uint64_t crc;

	rf_reply_bytes(reply, KV_DUMP_VERSION, KV_DUMP_VERSION_BYTES);
	end = rf_reply_room(reply, 0);
	if (end == NULL)
		return;
	crc = kv_crc64(end - (rf_reply_size(reply) - mark),
		rf_reply_size(reply) - mark);
	rf_reply_bytes(reply, &crc, sizeof crc);
}

/* All of it as one bulk. */
static void put_dump(struct rf_reply *reply, const struct kv_value *value)
{
	size_t mark = rf_reply_size(reply), bytes;
	char kind = (char)kv_kind_of(value);
	char head[RF_DECIMAL_MAX + 3] = "$";

	rf_reply_bytes(reply, &kind, sizeof kind);
	put[kv_kind_of(value)](reply, value);
	put_footer(reply, mark);
	bytes = 1 + rf_resp_decimal(
			    head + 1, (int64_t)(rf_reply_size(reply) - mark));
	memcpy(head + bytes, "\r\n", 2);
	rf_reply_insert(reply, mark, head, bytes + 2);
	rf_reply_bytes(reply, "\r\n", 2);
}

void kv_cmd_dump(struct kv_call *call)
{
	struct rf_dict_entry *entry = kv_look(call, call->argv[1]);

	if (entry == NULL)
		rf_resp_null(call->reply, call->proto);
	else
		put_dump(call->reply, kv_value_of(entry));
}

/* ---- RESTORE ---- */

struct how {
	bool replace, absolute;
	int64_t idle_s, freq; /* -1: not told */
};

static bool arg_up_to(struct kv_call *call, uint32_t index, int64_t most,
	int64_t *out, const char *error)
{
	if (!kv_arg_int(call, index, out))
		return false;
	if (*out >= 0 && *out <= most)
		return true;
	rf_resp_error(call->reply, "%s", error);
	return false;
}

static bool parse(struct kv_call *call, struct how *how)
{
	for (uint32_t i = 4; i < call->argc; i++) {
		bool more = i + 1 < call->argc;

		if (kv_is(call->argv[i], "REPLACE")) {
			how->replace = true;
		} else if (kv_is(call->argv[i], "ABSTTL")) {
			how->absolute = true;
		} else if (kv_is(call->argv[i], "IDLETIME") && more &&
			   how->freq < 0) {
			if (!arg_up_to(call, ++i, INT64_MAX, &how->idle_s,
				    "ERR Invalid IDLETIME value, must be >= 0"))
				return false;
		} else if (kv_is(call->argv[i], "FREQ") && more &&
			   how->idle_s < 0) {
			if (!arg_up_to(call, ++i, 255, &how->freq,
				    "ERR Invalid FREQ value, must be >= 0 and "
				    "<= 255"))
				return false;
		} else {
			kv_reply_syntax(call);
			return false;
		}
	}
	return true;
}

/* 0: never. false: the error has been replied. */
static bool parse_expiry(
	struct kv_call *call, const struct how *how, int64_t *at_ms)
{
	int64_t ttl_ms;

	if (!kv_arg_int(call, 2, &ttl_ms))
		return false;
	if (ttl_ms < 0) {
		rf_resp_error(
			call->reply, "ERR Invalid TTL value, must be >= 0");
		return false;
	}
	*at_ms = ttl_ms;
	if (ttl_ms == 0 || how->absolute)
		return true;
	return kv_instant(ttl_ms, 1, call->now_ms, at_ms);
}

static struct kv_value *read_value(struct kv_call *call)
{
	struct kv_value *value;

	if (!kv_dump_is_whole(call->argv[3])) {
		rf_resp_error(call->reply,
			"ERR DUMP payload version or checksum are wrong");
		return NULL;
	}
	value = kv_dump_read(call->argv[3]);
	if (value == NULL && rf_tx_error() == 0)
		rf_resp_error(call->reply, "ERR Bad data format");
	return value;
}

void kv_cmd_restore(struct kv_call *call)
{
	struct how how = {.idle_s = -1, .freq = -1};
	struct rf_dict_entry *entry;
	struct kv_value *value;
	int64_t at_ms;
	bool taken;

	if (!parse(call, &how))
		return;
	taken = kv_find(call, call->argv[1]) != NULL;
	if (taken && !how.replace) {
		rf_resp_error(
			call->reply, "BUSYKEY Target key name already exists.");
		return;
	}
	if (!parse_expiry(call, &how, &at_ms))
		return;
	value = read_value(call);
	if (value == NULL)
		return;
	/* Over already: as if it had been there and expired. */
	if (at_ms != 0 && at_ms <= call->now_ms) {
		kv_value_drop(value);
		entry = kv_find(call, call->argv[1]);
		if (entry != NULL) {
			kv_delete(call, entry);
			kv_changed(
				call, call->argv[1], KV_CLASS_GENERIC, "del");
		}
		kv_reply_ok(call);
		return;
	}
	kv_put(call, call->argv[1], value);
	entry = kv_find(call, call->argv[1]);
	if (entry != NULL && at_ms != 0)
		kv_expire_at(call, entry, at_ms);
	if (how.idle_s >= 0 && !kv_policy_is_lfu())
		kv_set_idle(value, call->now_ms, (uint64_t)how.idle_s);
	if (how.freq >= 0 && kv_policy_is_lfu())
		kv_set_frequency(value, call->now_ms, (uint32_t)how.freq);
	kv_changed(call, call->argv[1], KV_CLASS_GENERIC, "restore");
	kv_reply_ok(call);
}
