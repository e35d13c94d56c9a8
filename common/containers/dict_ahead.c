/* SPDX-License-Identifier: MIT */
/* dict_ahead.c -- cache misses taken side by side.
 *
 * The problem. A look-up in a large dict is three dependent cache misses:
 * bucket, entry, value. Requests that run one after the other take them one
 * after the other.
 * The idea. For several keys that are known to come, ask for all buckets, then
 * for all entries, then for all values: the memory serves them at once.
 *
 * A prefetch never faults, but the reads in between could. They are made only
 * where the heap's bounds say that there is memory.
 */
#include "common/heap/pages.h"
#include "dict_table.h"
#include <string.h>

/* gcc takes a prefetch for no effect at all and drops functions that do nothing
 * else; the empty asm is one. */
static inline void fetch(const void *line)
{
	__builtin_prefetch(line);
	__asm__ volatile("" : : "r"(line));
}

/* The bucket of a key, on its way into the cache; 0 when the way to it leads
 * out of the heap. Addresses are numbers here: they may be nonsense. */
static uintptr_t fetch_bucket(const struct rf_dict *dict, struct rf_bytes key)
{
	uint64_t index =
		rf_dict_bucket_of(dict, rf_dict_hash(key.at, key.bytes));
	uintptr_t segment = (uintptr_t)dict->segments +
			    index / RF_DICT_SEGMENT * sizeof(void *);
	uintptr_t bucket;

	if (!rf_heap_holds((void *)segment, sizeof(void *)))
		return 0;
	bucket = *(const uintptr_t *)segment +
		 index % RF_DICT_SEGMENT * sizeof(void *);
	fetch((void *)bucket);
	return bucket;
}

/* Neighbours often are: many requests about one large value. */
static bool is_same(struct rf_bytes a, struct rf_bytes b)
{
	return a.bytes == b.bytes && memcmp(a.at, b.at, a.bytes) == 0;
}

static const struct rf_dict_entry *fetch_entry(uintptr_t bucket)
{
	const struct rf_dict_entry *entry;

	if (!rf_heap_holds((void *)bucket, sizeof entry))
		return NULL;
	entry = *(struct rf_dict_entry *const *)bucket;
	fetch(entry);
	return entry;
}

/* Two lines of what the word points to: a header and a short text. */
static void fetch_value(const struct rf_dict_entry *entry)
{
	if (!rf_heap_holds(entry, sizeof *entry))
		return;
	fetch(entry->value);
	fetch((void *)(entry->word + 64));
	fetch(entry->next);
}

void rf_dict_prefetch(
	const struct rf_dict *dict, const struct rf_bytes *keys, size_t count)
{
	uintptr_t buckets[RF_DICT_PREFETCH_MAX];
	const struct rf_dict_entry *entries[RF_DICT_PREFETCH_MAX];

	if (count > RF_DICT_PREFETCH_MAX)
		count = RF_DICT_PREFETCH_MAX;
	if (!rf_heap_holds(dict, sizeof *dict) || dict->bucket_count == 0)
		return;
	for (size_t i = 0; i < count; i++)
		buckets[i] = i > 0 && is_same(keys[i], keys[i - 1])
				     ? 0
				     : fetch_bucket(dict, keys[i]);
	for (size_t i = 0; i < count; i++)
		entries[i] = fetch_entry(buckets[i]);
	for (size_t i = 0; i < count; i++)
		fetch_value(entries[i]);
}
