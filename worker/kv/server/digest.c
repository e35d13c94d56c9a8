/* SPDX-License-Identifier: MIT */
/* digest.c -- one number for all that is stored: DEBUG DIGEST.
 *
 * Equal data has equal digests, however it is encoded and in whatever order it
 * came. Each part is hashed by itself; what has no order is added up, what has
 * is chained. Against mistakes, not against an adversary.
 */
#include "worker/kv/server/debug.h"
#include <stdio.h>

#define WORDS 5

static uint32_t mix(uint32_t word)
{
	word ^= word >> 16;
	word *= UINT32_C(0x7feb352d);
	word ^= word >> 15;
	word *= UINT32_C(0x846ca68b);
	return word ^ word >> 16;
}

/* Chain some bytes to what the digest has seen; with their length, so that
 * "ab" "c" and "a" "bc" differ. */
static void chain(struct kv_digest *digest, const void *from, size_t bytes)
{
	const uint8_t *at = from;

	for (uint32_t w = 0; w < WORDS; w++) {
		uint32_t word = mix(digest->words[w] ^ (w + 1) * 0x9e3779b9u ^
				    (uint32_t)bytes);

		for (size_t i = 0; i < bytes; i++)
			word = (word ^ at[i]) * UINT32_C(0x01000193) + w;
		digest->words[w] = mix(word);
	}
}

static void add(struct kv_digest *digest, const struct kv_digest *part)
{
	for (uint32_t w = 0; w < WORDS; w++)
		digest->words[w] += part->words[w];
}

static void chain_item(struct kv_digest *digest, const struct rf_item *item)
{
	chain(digest, item->text.at, item->text.bytes);
}

/* ---- values ---- */

static void digest_string(
	struct kv_digest *digest, const struct kv_value *value)
{
	const struct rf_string *string =
		(const struct rf_string *)(const void *)value;

	chain(digest, string->text, string->bytes);
}

static void digest_list(struct kv_digest *digest, const struct kv_value *value)
{
	struct rf_list_at at;
	struct rf_item item;

	rf_list_seek(kv_list_of(value), 0, &at);
	while (rf_list_next(&at, &item))
		chain_item(digest, &item);
}

static void add_field(
	const struct rf_item *field, const struct rf_item *value, void *context)
{
	struct kv_digest part = {0};

	chain_item(&part, field);
	chain_item(&part, value);
	add(context, &part);
}

/* A scan may come by twice when the table shrinks; nothing changes it here. */
static void digest_hash(struct kv_digest *digest, const struct kv_value *value)
{
	uint64_t cursor = 0;

	do
		cursor = rf_map_scan(
			kv_map_of(value), cursor, add_field, digest);
	while (cursor != 0);
}

static void add_member(const struct rf_item *member, void *context)
{
	struct kv_digest part = {0};

	chain_item(&part, member);
	add(context, &part);
}

static void digest_set(struct kv_digest *digest, const struct kv_value *value)
{
	uint64_t cursor = 0;

	do
		cursor = rf_set_scan(
			kv_set_of(value), cursor, add_member, digest);
	while (cursor != 0);
}

static void digest_zset(struct kv_digest *digest, const struct kv_value *value)
{
	struct rf_sorted_at at;
	struct rf_item member;
	double score;

	rf_sorted_seek_rank(kv_sorted_of(value), 0, &at);
	while (rf_sorted_next(&at, &member, &score)) {
		chain_item(digest, &member);
		chain(digest, &score, sizeof score);
	}
}

void kv_digest_value(struct kv_digest *digest, const struct kv_value *value)
{
	static void (*const digests[KV_KIND_COUNT])(
		struct kv_digest * digest, const struct kv_value *value) = {
		[KV_STRING] = digest_string,
		[KV_LIST] = digest_list,
		[KV_HASH] = digest_hash,
		[KV_SET] = digest_set,
		[KV_ZSET] = digest_zset,
	};
	enum kv_kind kind = kv_kind_of(value);

	*digest = (struct kv_digest){{0}};
	chain(digest, &kind, sizeof kind);
	digests[kind](digest, value);
}

/* ---- databases ---- */

struct walk {
	struct kv_digest *sum;
	uint32_t db;
};

static void add_key(struct rf_dict_entry *entry, void *context)
{
	const struct walk *walk = context;
	const struct kv_timer *timer = kv_timer_of(entry);
	struct kv_digest part;

	kv_digest_value(&part, kv_value_of(entry));
	chain(&part, entry->key, entry->key_bytes);
	chain(&part, &walk->db, sizeof walk->db);
	chain(&part, "!", timer != NULL);
	add(walk->sum, &part);
}

void kv_digest_all(struct kv_digest *digest)
{
	struct walk walk = {.sum = digest};

	*digest = (struct kv_digest){{0}};
	for (; walk.db < kv_database_count(); walk.db++) {
		uint64_t cursor = 0;

		do
			cursor = rf_dict_scan(&kv_database(walk.db)->dict,
				cursor, add_key, &walk);
		while (cursor != 0);
	}
}

void kv_digest_print(const struct kv_digest *digest, char text[41])
{
	for (size_t w = 0; w < WORDS; w++)
		snprintf(text + 8 * w, 9, "%08x", digest->words[w]);
}
