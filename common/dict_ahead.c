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
#include "dict_table.h"
#include "pages.h"

/* gcc takes a prefetch for no effect at all and drops functions that do nothing
 * else; the empty asm is one. */
static inline void fetch(const void *line)
{
	__builtin_prefetch(line);
	__asm__ volatile("" : : "r"(line));
}

/* The bucket of a key, on its way into the cache; NULL when the way to it
 * leads out of the heap. */
static struct rf_dict_entry **fetch_bucket(
	const struct rf_dict *dict, struct rf_bytes key)
{
	uint64_t index =
		rf_dict_bucket_of(dict, rf_dict_hash(key.at, key.bytes));
	struct rf_dict_entry ***segment =
		&dict->segments[index / RF_DICT_SEGMENT];
	struct rf_dict_entry **bucket;

	if (!rf_heap_holds(segment, sizeof *segment))
		return NULL;
	bucket = &(*segment)[index % RF_DICT_SEGMENT];
	fetch(bucket);
	return bucket;
}

static struct rf_dict_entry *fetch_entry(struct rf_dict_entry **bucket)
{
	if (bucket == NULL || !rf_heap_holds(bucket, sizeof *bucket))
		return NULL;
	fetch(*bucket);
	return *bucket;
}

/* Two lines of what the word points to: a header and a short text. */
static void fetch_value(const struct rf_dict_entry *entry)
{
	if (entry == NULL || !rf_heap_holds(entry, sizeof *entry))
		return;
	fetch(entry->value);
	fetch((const char *)entry->value + 64);
	fetch(entry->next);
}

void rf_dict_prefetch(
	const struct rf_dict *dict, const struct rf_bytes *keys, size_t count)
{
	struct rf_dict_entry **buckets[RF_DICT_PREFETCH_MAX];
	struct rf_dict_entry *entries[RF_DICT_PREFETCH_MAX];

	if (count > RF_DICT_PREFETCH_MAX)
		count = RF_DICT_PREFETCH_MAX;
	if (!rf_heap_holds(dict, sizeof *dict) || dict->bucket_count == 0)
		return;
	for (size_t i = 0; i < count; i++)
		buckets[i] = fetch_bucket(dict, keys[i]);
	for (size_t i = 0; i < count; i++)
		entries[i] = fetch_entry(buckets[i]);
	for (size_t i = 0; i < count; i++)
		fetch_value(entries[i]);
}
