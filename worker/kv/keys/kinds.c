/* SPDX-License-Identifier: MIT */
/* kinds.c -- the kinds of values, each a row of what can be asked of any. */
#include "worker/kv/keys/kinds.h"

/* The calls of a container for a root of no declared type. */
#define KIND(type)                                                             \
	static uint64_t type##_count(const void *root)                         \
	{                                                                      \
		return rf_##type##_count(root);                                \
	}                                                                      \
	static size_t type##_memory(const void *root)                          \
	{                                                                      \
		return rf_##type##_memory(root);                               \
	}                                                                      \
	static bool type##_is_compact(const void *root)                        \
	{                                                                      \
		return rf_##type##_is_compact(root);                           \
	}                                                                      \
	static bool type##_clear_step(void *root, size_t budget)               \
	{                                                                      \
		return rf_##type##_clear_step(root, budget);                   \
	}                                                                      \
	static bool type##_walk(struct rf_walk *walk, const void *root)        \
	{                                                                      \
		return rf_walk_##type(walk, root);                             \
	}
#define ROW(type)                                                              \
	type##_count, type##_memory, type##_is_compact, type##_clear_step,     \
		type##_walk

KIND(list)
KIND(map)
KIND(set)
KIND(sorted)

const struct kv_kind_row kv_kinds[KV_KIND_COUNT] = {
	[KV_LIST] = {"quicklist", "quicklist", ROW(list)},
	[KV_HASH] = {"listpack", "hashtable", ROW(map)},
	[KV_SET] = {"intset", "hashtable", ROW(set)},
	[KV_ZSET] = {"listpack", "skiplist", ROW(sorted)},
};

const char *const kv_kind_names[KV_KIND_COUNT] = {
	[KV_STRING] = "string",
	[KV_LIST] = "list",
	[KV_HASH] = "hash",
	[KV_SET] = "set",
	[KV_ZSET] = "zset",
};

#define EMBSTR_BYTES 44 /* redis keeps shorter ones in one block */

static const char *encoding_of_string(const struct kv_value *value)
{
	int64_t number;

	if (value->head & KV_VALUE_RAW)
		return "raw";
	if (kv_parse_int((const char *)value->body, value->bytes, &number))
		return "int";
	return value->bytes <= EMBSTR_BYTES ? "embstr" : "raw";
}

const char *kv_encoding_of(const struct kv_value *value)
{
	const struct kv_kind_row *row = &kv_kinds[kv_kind_of(value)];

	if (kv_kind_of(value) == KV_STRING)
		return encoding_of_string(value);
	return row->is_compact(value->body) ? row->compact : row->large;
}

size_t kv_value_memory(const struct kv_value *value)
{
	size_t bytes = rf_usable(value);

	if (kv_kind_of(value) != KV_STRING)
		bytes += kv_kinds[kv_kind_of(value)].memory(value->body);
	return bytes;
}

uint64_t kv_value_count(const struct kv_value *value)
{
	if (kv_kind_of(value) == KV_STRING)
		return value->bytes;
	return kv_kinds[kv_kind_of(value)].count(value->body);
}
