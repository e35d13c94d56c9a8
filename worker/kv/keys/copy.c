/* SPDX-License-Identifier: MIT */
/* copy.c -- a deep copy of a value of any kind. */
#include "worker/kv/keys/access.h"

static void copy_list(struct kv_value *to, const struct kv_value *from)
{
	struct rf_list_at at;
	struct rf_item item;

	rf_list_seek(kv_list_of(from), 0, &at);
	while (rf_list_next(&at, &item) && rf_tx_error() == 0)
		rf_list_push(
			kv_list_of(to), RF_TAIL, item.text.at, item.text.bytes);
}

static void put_field(
	const struct rf_item *field, const struct rf_item *value, void *context)
{
	rf_map_put(context, field->text.at, field->text.bytes, value->text.at,
		value->text.bytes);
}

static void copy_hash(struct kv_value *to, const struct kv_value *from)
{
	uint64_t cursor = 0;

	do
		cursor = rf_map_scan(
			kv_map_of(from), cursor, put_field, kv_map_of(to));
	while (cursor != 0 && rf_tx_error() == 0);
}

static void add_member(const struct rf_item *member, void *context)
{
	rf_set_add(context, member->text.at, member->text.bytes);
}

static void copy_set(struct kv_value *to, const struct kv_value *from)
{
	uint64_t cursor = 0;

	do
		cursor = rf_set_scan(
			kv_set_of(from), cursor, add_member, kv_set_of(to));
	while (cursor != 0 && rf_tx_error() == 0);
}

static void copy_zset(struct kv_value *to, const struct kv_value *from)
{
	struct rf_sorted_at at;
	struct rf_item member;
	double score;

	rf_sorted_seek_rank(kv_sorted_of(from), 0, &at);
	while (rf_sorted_next(&at, &member, &score) && rf_tx_error() == 0)
		rf_sorted_put(kv_sorted_of(to), member.text.at,
			member.text.bytes, score);
}

static void (*const copies[KV_KIND_COUNT])(
	struct kv_value *to, const struct kv_value *from) = {
	[KV_LIST] = copy_list,
	[KV_HASH] = copy_hash,
	[KV_SET] = copy_set,
	[KV_ZSET] = copy_zset,
};

struct kv_value *kv_value_copy(const struct kv_value *value, int64_t now_ms)
{
	struct kv_value *copy;

	if (kv_kind_of(value) == KV_STRING) {
		copy = kv_text_create(value->body, value->bytes, now_ms);
		if (copy != NULL)
			copy->head |= value->head & KV_VALUE_RAW;
		return copy;
	}
	copy = kv_value_create(kv_kind_of(value));
	if (copy != NULL)
		copies[kv_kind_of(value)](copy, value);
	return rf_tx_error() == 0 ? copy : NULL;
}
