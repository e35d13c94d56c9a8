/* SPDX-License-Identifier: MIT */
/* dict.c -- linear hashing under the undo log.
 *
 * The problem. A table that doubles must move every entry; done at once that
 * is a pause and a huge undo log, done bit by bit it needs two tables and
 * every lookup has to know which one.
 * The idea. Linear hashing: the table grows by one bucket at a time. With n
 * buckets and 2^k the largest power of two below n, the buckets below n - 2^k
 * have been split by one more bit of the hash, the others not yet:
 *
 *        0        n - 2^k         2^k          n
 *        | k+1 bits  |   k bits    | images of |
 *        |  used     |   used      | the first |
 *
 * so the place of an entry is a function of its hash and n alone, and each
 * insertion above one entry per bucket pays for one split. Going back merges
 * the last bucket into the one it came from.
 *
 * Buckets stand in segments of 512 (a page), made as n reaches them; a
 * directory of segment pointers doubles when full. A small dict has one
 * segment, shorter than a page, and no directory: `segments` points to `first`
 * within the dict itself (so a dict cannot be moved).
 *
 * Invariants, which rf_dict_check() walks:
 *   D1  mask is the smallest 2^m - 1 >= bucket_count - 1
 *   D2  an entry stands in bucket bucket_of(hash), and hash is that of its key
 *   D3  count is the number of entries
 *   D4  the others but segment 0 hold 512 buckets, and those from
 *       bucket_count on are empty
 *
 * A table that cannot grow, or be made smaller, for want of memory is left as
 * it is: longer chains are better than a failed insertion.
 *
 * Source. Litwin, "Linear hashing", VLDB 1980; Larson, "Dynamic hash tables",
 * CACM 1988.
 */
#include "siphash.h"
#include <errno.h>
#include <refork/dict.h>
#include <refork/heap.h>
#include <refork/log.h>
#include <refork/tx.h>
#include <refork/worker.h>

#define SEGMENT_BUCKETS	 512u
#define BUCKETS_MIN	 16u
#define BUCKETS_MAX	 ((uint64_t)1 << 32) /* of a 32-bit hash */
#define SPARSE		 4u /* merge above so many buckets per entry */
#define MERGES_PER_ENTRY 4u
#define SAMPLE		 16u

static inline uint32_t hash_of(const void *key, size_t key_bytes)
{
	return (uint32_t)rf_siphash13(key, key_bytes, rf_arena_seed());
}

static inline uint64_t bucket_of(const struct rf_dict *dict, uint32_t hash)
{
	uint64_t index = hash & dict->mask;

	return index < dict->bucket_count ? index : hash & (dict->mask >> 1);
}

static inline struct rf_dict_entry **bucket_at(
	const struct rf_dict *dict, uint64_t index)
{
	return &dict->segments[index / SEGMENT_BUCKETS]
			      [index % SEGMENT_BUCKETS];
}

static inline struct rf_dict_entry *find_in(struct rf_dict_entry *entry,
	uint32_t hash, const void *key, size_t key_bytes)
{
	for (; entry != NULL; entry = entry->next)
		if (entry->hash == hash && entry->key_bytes == key_bytes &&
			memcmp(entry->key, key, key_bytes) == 0)
			break;
	return entry;
}

/* ---- the table: memory behind the buckets ---- */

static uint64_t first_slots(uint64_t mask)
{
	if (mask < BUCKETS_MIN)
		return BUCKETS_MIN;
	return mask < SEGMENT_BUCKETS ? mask + 1 : SEGMENT_BUCKETS;
}

static void *try_alloc_zeroed(size_t bytes)
{
	void *block = rf_try_alloc(bytes);

	return block != NULL ? memset(block, 0, bytes) : NULL;
}

/* Segment 0 from one size to another; `keep` buckets are in use. */
static bool resize_first(struct rf_dict *dict, uint64_t slots, uint64_t keep)
{
	struct rf_dict_entry **old = dict->segments[0];
	struct rf_dict_entry **fresh = try_alloc_zeroed(slots * sizeof *fresh);

	if (fresh == NULL)
		return false;
	memcpy(fresh, old, keep * sizeof *fresh);
	RF_SET(dict->segments[0], fresh);
	rf_free(old);
	return true;
}

/* One slot needs no block: it is dict->first. The dict is logged. */
static bool resize_directory(struct rf_dict *dict, uint64_t slots)
{
	uint64_t keep =
		slots < dict->directory_slots ? slots : dict->directory_slots;
	struct rf_dict_entry ***fresh = &dict->first;

	if (slots > 1)
		fresh = try_alloc_zeroed(slots * sizeof *fresh);
	if (fresh == NULL)
		return false;
	memcpy(fresh, dict->segments, keep * sizeof *fresh);
	if (dict->directory_slots > 1)
		rf_free(dict->segments);
	dict->segments = fresh;
	dict->directory_slots = slots;
	return true;
}

static bool add_segment(struct rf_dict *dict, uint64_t index)
{
	struct rf_dict_entry **fresh;

	if (index == dict->directory_slots &&
		!resize_directory(dict, index * 2))
		return false;
	fresh = try_alloc_zeroed(SEGMENT_BUCKETS * sizeof *fresh);
	if (fresh == NULL)
		return false;
	RF_SET(dict->segments[index], fresh);
	return true;
}

static void remove_segment(struct rf_dict *dict, uint64_t index)
{
	rf_free(dict->segments[index]);
	if (index == 1)
		resize_directory(dict, 1);
	else if (index * SPARSE <= dict->directory_slots)
		resize_directory(dict, dict->directory_slots / 2);
}

/* Room for bucket number bucket_count. */
static bool make_room(struct rf_dict *dict)
{
	uint64_t count = dict->bucket_count;

	if (count % SEGMENT_BUCKETS == 0)
		return add_segment(dict, count / SEGMENT_BUCKETS);
	if (count < SEGMENT_BUCKETS &&
		count * sizeof(void *) == rf_usable(dict->segments[0]))
		return resize_first(dict, count * 2, count);
	return true;
}

/* The last bucket, which is empty, goes. The dict is logged. */
static void remove_bucket(struct rf_dict *dict)
{
	uint64_t last = --dict->bucket_count;
	uint64_t slots = first_slots(dict->mask);

	if (last > 0 && last - 1 <= dict->mask >> 1)
		dict->mask >>= 1;
	if (last == 0) {
		rf_free(dict->segments[0]);
		if (dict->directory_slots > 1)
			rf_free(dict->segments);
		memset(dict, 0, sizeof *dict);
	} else if (last % SEGMENT_BUCKETS == 0) {
		remove_segment(dict, last / SEGMENT_BUCKETS);
	} else if (first_slots(dict->mask) != slots) {
		resize_first(dict, slots / 2, last);
	}
}

/* ---- growing and shrinking, a bucket at a time ---- */

/* Bucket number bucket_count takes over its half of the bucket below. */
static void split(struct rf_dict *dict)
{
	uint64_t index = dict->bucket_count;
	uint64_t mask = index > dict->mask ? dict->mask * 2 + 1 : dict->mask;
	struct rf_dict_entry **low, **high, *entry, *next;

	if (index == BUCKETS_MAX || !make_room(dict))
		return;
	low = bucket_at(dict, index & (mask >> 1));
	high = bucket_at(dict, index);
	for (entry = *low; entry != NULL; entry = next) {
		struct rf_dict_entry ***to =
			(entry->hash & mask) == index ? &high : &low;

		next = entry->next;
		if (**to != entry)
			RF_SET(**to, entry);
		*to = &entry->next;
	}
	if (*low != NULL)
		RF_SET(*low, NULL);
	if (*high != NULL)
		RF_SET(*high, NULL);
	dict->mask = mask;
	dict->bucket_count = index + 1;
}

/* The last bucket goes back into the one it was split from. */
static void merge(struct rf_dict *dict)
{
	uint64_t last = dict->bucket_count - 1;
	struct rf_dict_entry **high = bucket_at(dict, last);
	struct rf_dict_entry **low = bucket_at(dict, last & (dict->mask >> 1));

	if (*high != NULL) {
		while (*low != NULL)
			low = &(*low)->next;
		RF_SET(*low, *high);
		RF_SET(*high, NULL);
	}
	remove_bucket(dict);
}

static bool make_table(struct rf_dict *dict)
{
	struct rf_dict_entry **first =
		rf_alloc(BUCKETS_MIN * sizeof(struct rf_dict_entry *));

	if (first == NULL || rf_tx_log(dict, sizeof *dict) != 0)
		return false;
	*dict = (struct rf_dict){
		.bucket_count = BUCKETS_MIN,
		.mask = BUCKETS_MIN - 1,
		.segments = &dict->first,
		.directory_slots = 1,
		.first = first,
	};
	return true;
}

/* ---- the public calls ---- */

void rf_dict_init(struct rf_dict *dict)
{
	if (rf_tx_log(dict, sizeof *dict) == 0)
		memset(dict, 0, sizeof *dict);
}

struct rf_dict_entry *rf_dict_find(
	const struct rf_dict *dict, const void *key, size_t key_bytes)
{
	uint32_t hash;

	if (dict->count == 0)
		return NULL;
	hash = hash_of(key, key_bytes);
	return find_in(
		*bucket_at(dict, bucket_of(dict, hash)), hash, key, key_bytes);
}

static struct rf_dict_entry *insert(
	struct rf_dict *dict, uint32_t hash, const void *key, size_t key_bytes)
{
	struct rf_dict_entry **bucket = bucket_at(dict, bucket_of(dict, hash));
	struct rf_dict_entry *entry =
		rf_alloc_uninit(sizeof *entry + key_bytes);

	if (entry == NULL || rf_tx_log(dict, sizeof *dict) != 0)
		return NULL;
	entry->next = *bucket;
	entry->hash = hash;
	entry->key_bytes = (uint32_t)key_bytes;
	entry->word = 0;
	memcpy(entry->key, key, key_bytes);
	RF_SET(*bucket, entry);
	dict->count++;
	if (dict->count > dict->bucket_count)
		split(dict);
	return entry;
}

struct rf_dict_entry *rf_dict_put(
	struct rf_dict *dict, const void *key, size_t key_bytes, bool *created)
{
	struct rf_dict_entry *entry = NULL;
	uint32_t hash;

	if (created != NULL)
		*created = false;
	if (rf_unlikely(key_bytes > RF_DICT_KEY_BYTES_MAX)) {
		rf_tx_fail(-EMSGSIZE);
		return NULL;
	}
	hash = hash_of(key, key_bytes);
	if (rf_likely(dict->bucket_count > 0))
		entry = find_in(*bucket_at(dict, bucket_of(dict, hash)), hash,
			key, key_bytes);
	else if (!make_table(dict))
		return NULL;
	if (entry != NULL)
		return entry;
	entry = insert(dict, hash, key, key_bytes);
	if (created != NULL)
		*created = entry != NULL;
	return entry;
}

void rf_dict_remove(struct rf_dict *dict, struct rf_dict_entry *entry)
{
	struct rf_dict_entry **link =
		bucket_at(dict, bucket_of(dict, entry->hash));

	while (*link != entry) {
		RF_CHECK(*link != NULL);
		link = &(*link)->next;
	}
	if (rf_tx_log(dict, sizeof *dict) != 0)
		return;
	RF_SET(*link, entry->next);
	rf_free(entry);
	dict->count--;
	for (uint32_t i = 0; i < MERGES_PER_ENTRY; i++)
		if (dict->bucket_count > BUCKETS_MIN &&
			dict->count * SPARSE < dict->bucket_count)
			merge(dict);
}

bool rf_dict_clear_step(struct rf_dict *dict, size_t budget,
	void (*drop)(struct rf_dict_entry *entry))
{
	if (rf_tx_log(dict, sizeof *dict) != 0)
		return false;
	while (dict->bucket_count > 0 && budget > 0) {
		struct rf_dict_entry **bucket =
			bucket_at(dict, dict->bucket_count - 1);
		struct rf_dict_entry *entry = *bucket, *next;

		for (; entry != NULL && budget > 0; entry = next, budget--) {
			next = entry->next;
			if (drop != NULL)
				drop(entry);
			rf_free(entry);
			dict->count--;
		}
		if (*bucket != entry)
			RF_SET(*bucket, entry);
		if (budget == 0)
			break;
		remove_bucket(dict);
		budget--;
	}
	return dict->bucket_count == 0;
}

void rf_dict_fini(
	struct rf_dict *dict, void (*drop)(struct rf_dict_entry *entry))
{
	rf_dict_clear_step(dict, SIZE_MAX, drop);
}

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

	for (entry = *bucket_at(dict, index); entry != NULL; entry = next) {
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

/* The entries of neighbouring buckets, from a random one on, then one of them.
 * Choosing a bucket first would favour keys that are alone in theirs. */
struct rf_dict_entry *rf_dict_random(
	const struct rf_dict *dict, uint64_t random)
{
	struct rf_dict_entry *sample[2 * SAMPLE];
	uint64_t index = ((random & UINT32_MAX) * dict->bucket_count) >> 32;
	size_t found = 0;

	if (dict->count == 0)
		return NULL;
	for (uint64_t i = 0; i < dict->bucket_count && found < SAMPLE; i++) {
		struct rf_dict_entry *entry = *bucket_at(dict, index);

		for (; entry != NULL && found < 2 * SAMPLE; entry = entry->next)
			sample[found++] = entry;
		index = index + 1 < dict->bucket_count ? index + 1 : 0;
	}
	return sample[(random >> 32) % found];
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

static int check_shape(const struct rf_dict *dict, const char *name)
{
	uint64_t buckets = dict->bucket_count;
	uint64_t mask = 0;

	if (buckets == 0)
		return dict->count == 0 && dict->segments == NULL
			       ? 0
			       : bad(dict, name, 0, "keys without a table");
	while (mask < buckets - 1)
		mask = mask * 2 + 1;
	if (buckets > BUCKETS_MAX || dict->mask != mask)
		return bad(dict, name, buckets, "mask does not fit");
	if (dict->segments == NULL ||
		(dict->directory_slots == 1) !=
			(dict->segments == &dict->first) ||
		dict->directory_slots <
			(buckets + SEGMENT_BUCKETS - 1) / SEGMENT_BUCKETS)
		return bad(dict, name, buckets, "directory does not fit");
	return 0;
}

static int check_bucket(const struct rf_dict *dict, const char *name,
	uint64_t index, uint64_t *seen)
{
	const struct rf_dict_entry *entry;

	if (dict->segments[index / SEGMENT_BUCKETS] == NULL)
		return bad(dict, name, index, "segment is missing");
	entry = *bucket_at(dict, index);
	for (; entry != NULL; entry = entry->next) {
		if ((uintptr_t)entry % 16 != 0)
			return bad(dict, name, index, "not an entry");
		if (++*seen > dict->count)
			return bad(dict, name, index, "more keys than counted");
		if (bucket_of(dict, entry->hash) != index)
			return bad(
				dict, name, index, "a key of another bucket");
		if (hash_of(entry->key, entry->key_bytes) != entry->hash)
			return bad(
				dict, name, index, "a key with a wrong hash");
	}
	return 0;
}

int rf_dict_check(const struct rf_dict *dict, const char *name)
{
	uint64_t seen = 0;
	int error = check_shape(dict, name);

	for (uint64_t i = 0; error == 0 && i < dict->bucket_count; i++)
		error = check_bucket(dict, name, i, &seen);
	if (error == 0 && seen != dict->count)
		error = bad(dict, name, 0, "fewer keys than counted");
	return error;
}
