/* SPDX-License-Identifier: MIT */
/* dict_walk.c -- going through a dict: scan, random choice, the check. */
#include "dict_table.h"
#include <errno.h>
#include <refork/heap.h>
#include <refork/log.h>
#include <string.h>

#define RANDOM_DEPTH 16u /* no chain is longer */
#define RANDOM_TRIES 1000u

static uint64_t reverse(uint64_t word)
{
	word = __builtin_bswap64(word);
	word = (word >> 4 & UINT64_C(0x0f0f0f0f0f0f0f0f)) |
	       (word & UINT64_C(0x0f0f0f0f0f0f0f0f)) << 4;
	word = (word >> 2 & UINT64_C(0x3333333333333333)) |
	       (word & UINT64_C(0x3333333333333333)) << 2;
	return (word >> 1 & UINT64_C(0x5555555555555555)) |
	       (word & UINT64_C(0x5555555555555555)) << 1;
}

static void visit_bucket(const struct rf_dict *dict, uint64_t index,
	void (*visit)(struct rf_dict_entry *entry, void *context),
	void *context)
{
	struct rf_dict_entry *entry, *next;

	for (entry = *rf_dict_bucket(dict, index); entry != NULL;
		entry = next) {
		next = entry->next;
		visit(entry, context);
	}
}

/* The cursor counts with its bits reversed, the highest bit used by all
 * buckets first: what it has passed stays passed when buckets are split by
 * one bit more, and at worst comes again when they are merged. (The idea is
 * Pieter Noordhuis's.) */
uint64_t rf_dict_scan(const struct rf_dict *dict, uint64_t cursor,
	void (*visit)(struct rf_dict_entry *entry, void *context),
	void *context)
{
	uint64_t low = dict->mask >> 1;
	uint64_t index = cursor & low;

	if (dict->count == 0)
		return 0;
	visit_bucket(dict, index, visit, context);
	if (index + low + 1 < dict->bucket_count)
		visit_bucket(dict, index + low + 1, visit, context);
	return reverse(reverse(cursor | ~low) + 1);
}

/* A random place (bucket, depth) until there is an entry at it: every entry
 * stands at one place, so each is as likely as any other. */
struct rf_dict_entry *rf_dict_random(
	const struct rf_dict *dict, uint64_t random)
{
	struct rf_dict_entry *entry = NULL;
	uint64_t index = 0;

	if (dict->count == 0)
		return NULL;
	for (uint32_t i = 0; entry == NULL && i < RANDOM_TRIES; i++) {
		uint32_t depth;

		random = random * UINT64_C(6364136223846793005) +
			 UINT64_C(1442695040888963407);
		index = ((random >> 32) * dict->bucket_count) >> 32;
		entry = *rf_dict_bucket(dict, index);
		depth = (uint32_t)(random >> 16) % RANDOM_DEPTH;
		for (; entry != NULL && depth > 0; depth--)
			entry = entry->next;
	}
	/* Hardly any entry left of many: the next one will do. */
	while (entry == NULL) {
		index = index + 1 < dict->bucket_count ? index + 1 : 0;
		entry = *rf_dict_bucket(dict, index);
	}
	return entry;
}

/* ---- the walker ---- */

static int bad(const struct rf_dict *dict, const char *name, uint64_t bucket,
	const char *what)
{
	rf_log(RF_LOG_ERROR, "dict check: %s at %p: bucket %llu of %llu: %s",
		name, (const void *)dict, (unsigned long long)bucket,
		(unsigned long long)dict->bucket_count, what);
	return -EBADMSG;
}

/* Before a word of it is followed, and before anything is counted up to a
 * number that stands in it. */
static int check_shape(const struct rf_dict *dict, const char *name)
{
	uint64_t buckets = dict->bucket_count;
	uint64_t slots = dict->directory_slots;
	uint64_t mask = 0;

	if (buckets == 0)
		return dict->count == 0 && dict->segments == NULL
			       ? 0
			       : bad(dict, name, 0, "keys without a table");
	if (buckets > RF_DICT_BUCKETS_MAX)
		return bad(dict, name, buckets, "too many buckets");
	if (dict->count > rf_heap_used() / sizeof(struct rf_dict_entry))
		return bad(dict, name, 0, "more keys than the heap has room");
	while (mask < buckets - 1)
		mask = mask * 2 + 1;
	if (dict->mask != mask)
		return bad(dict, name, buckets, "mask does not fit");
	if (slots > RF_DICT_BUCKETS_MAX || slots * RF_DICT_SEGMENT < buckets ||
		(slots == 1) != (dict->segments == &dict->first) ||
		(slots != 1 &&
			!rf_is_block(dict->segments, slots * sizeof(void *))))
		return bad(dict, name, buckets, "directory does not fit");
	return 0;
}

/* The buckets of one segment that are in use. */
static uint64_t used_of(const struct rf_dict *dict, uint64_t segment)
{
	uint64_t rest = dict->bucket_count - segment * RF_DICT_SEGMENT;

	return rest < RF_DICT_SEGMENT ? rest : RF_DICT_SEGMENT;
}

static int check_segments(const struct rf_dict *dict, const char *name)
{
	uint64_t count =
		(dict->bucket_count + RF_DICT_SEGMENT - 1) / RF_DICT_SEGMENT;

	for (uint64_t i = 0; i < count; i++) {
		struct rf_dict_entry **segment = dict->segments[i];
		uint64_t used = used_of(dict, i);
		uint64_t slots = i == 0 ? used : RF_DICT_SEGMENT;

		if (!rf_is_block(segment, slots * sizeof *segment))
			return bad(dict, name, i * RF_DICT_SEGMENT,
				"segment is missing");
		slots = rf_usable(segment) / sizeof *segment;
		for (; used < slots && used < RF_DICT_SEGMENT; used++)
			if (segment[used] != NULL)
				return bad(dict, name,
					i * RF_DICT_SEGMENT + used,
					"keys beyond the last bucket");
	}
	return 0;
}

static const char *entry_fault(const struct rf_dict *dict, uint64_t index,
	const struct rf_dict_entry *entry)
{
	const struct rf_dict_entry *other = *rf_dict_bucket(dict, index);

	if (rf_dict_bucket_of(dict, entry->hash) != index)
		return "a key of another bucket";
	if (rf_dict_hash(entry->key, entry->key_bytes) != entry->hash)
		return "a key with a wrong hash";
	for (; other != entry; other = other->next)
		if (other->hash == entry->hash &&
			other->key_bytes == entry->key_bytes &&
			memcmp(other->key, entry->key, entry->key_bytes) == 0)
			return "a key twice";
	return NULL;
}

static int check_bucket(const struct rf_dict *dict, const char *name,
	uint64_t index, uint64_t *seen)
{
	const struct rf_dict_entry *entry = *rf_dict_bucket(dict, index);

	for (; entry != NULL; entry = entry->next) {
		const char *fault;

		if (!rf_is_block(entry, sizeof *entry) ||
			!rf_is_block(entry, sizeof *entry + entry->key_bytes))
			return bad(dict, name, index, "not an entry");
		if (++*seen > dict->count)
			return bad(dict, name, index, "more keys than counted");
		fault = entry_fault(dict, index, entry);
		if (fault != NULL)
			return bad(dict, name, index, fault);
	}
	return 0;
}

int rf_dict_check(const struct rf_dict *dict, const char *name)
{
	uint64_t seen = 0;
	int error = check_shape(dict, name);

	if (error == 0 && dict->bucket_count > 0)
		error = check_segments(dict, name);
	for (uint64_t i = 0; error == 0 && i < dict->bucket_count; i++)
		error = check_bucket(dict, name, i, &seen);
	if (error == 0 && seen != dict->count)
		error = bad(dict, name, 0, "fewer keys than counted");
	return error;
}
