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
 * Invariants, walked by rf_dict_check():
 *   D1  mask is the smallest 2^m - 1 >= bucket_count - 1
 *   D2  an entry stands in the bucket that its hash says, and its hash is that
 *       of its key
 *   D3  count is the number of entries
 *   D4  every segment but the first holds 512 buckets, the first at least
 *       those in use; a bucket from bucket_count on is empty
 *
 * A table that cannot grow, or be made smaller, for want of memory is left as
 * it is: longer chains are better than a failed insertion.
 *
 * When an error sticks to the transaction in the middle of a change, every
 * entry that is counted can still be walked to, though maybe not found: who
 * goes on reading until the abort comes to an end.
 *
 * Source. Litwin, "Linear hashing", VLDB 1980; Larson, "Dynamic hash tables",
 * CACM 1988.
 */
#include "common/tx_log.h"
#include "dict_table.h"
#include <errno.h>
#include <refork/heap.h>
#include <refork/tx.h>

#define BUCKETS_MIN	 4u
#define SPARSE		 4u /* merge above so many buckets per entry */
#define MERGES_PER_ENTRY 4u
#define REMEMBERED	 64u

static inline struct rf_dict_entry *find_in(struct rf_dict_entry *entry,
	uint32_t hash, const void *key, size_t key_bytes)
{
	for (; entry != NULL; entry = entry->next)
		if (entry->hash == hash && entry->key_bytes == key_bytes &&
			memcmp(entry->key, key, key_bytes) == 0)
			break;
	return entry;
}

/* ---- what needs a log ---- */

/* The last dicts whose table was made in the open transaction: all of their
 * blocks are new, and need none (rule T4 of tx.c). Private to the process. */
static struct {
	const struct rf_dict *dict;
	uint64_t serial; /* of that transaction */
} remembered[REMEMBERED];

static inline size_t memory_of(const struct rf_dict *dict)
{
	return (uintptr_t)dict / 16 % REMEMBERED;
}

static void remember(const struct rf_dict *dict)
{
	remembered[memory_of(dict)].dict = dict;
	remembered[memory_of(dict)].serial = rf_tx_state.serial;
}

static inline bool is_fresh(const struct rf_dict *dict)
{
	return remembered[memory_of(dict)].dict == dict &&
	       remembered[memory_of(dict)].serial == rf_tx_state.serial;
}

static inline int log_link(
	const struct rf_dict *dict, struct rf_dict_entry **link)
{
	return is_fresh(dict) ? rf_tx_error() : rf_tx_log(link, sizeof *link);
}

static inline void set_link(const struct rf_dict *dict,
	struct rf_dict_entry **link, struct rf_dict_entry *entry)
{
	if (rf_likely(log_link(dict, link) == 0))
		*link = entry;
}

/* ---- the table: memory behind the buckets ---- */

static uint64_t first_slots(uint64_t mask)
{
	if (mask < BUCKETS_MIN)
		return BUCKETS_MIN;
	return mask < RF_DICT_SEGMENT ? mask + 1 : RF_DICT_SEGMENT;
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
	fresh = try_alloc_zeroed(RF_DICT_SEGMENT * sizeof *fresh);
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

	if (count % RF_DICT_SEGMENT == 0)
		return add_segment(dict, count / RF_DICT_SEGMENT);
	if (count < RF_DICT_SEGMENT &&
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
	} else if (last % RF_DICT_SEGMENT == 0) {
		remove_segment(dict, last / RF_DICT_SEGMENT);
	} else if (first_slots(dict->mask) != slots) {
		resize_first(dict, slots / 2, last);
	}
}

/* ---- growing and shrinking, a bucket at a time ---- */

/* Bucket number bucket_count takes over its half of the bucket below. Where the
 * log ends in between, what is left to do stands in both. */
static void split(struct rf_dict *dict)
{
	uint64_t index = dict->bucket_count;
	uint64_t mask = index > dict->mask ? dict->mask * 2 + 1 : dict->mask;
	struct rf_dict_entry **low, **high, *entry, *next;

	if (index == RF_DICT_BUCKETS_MAX || !make_room(dict) ||
		rf_tx_error() != 0)
		return;
	low = rf_dict_bucket(dict, index & (mask >> 1));
	high = rf_dict_bucket(dict, index);
	for (entry = *low; entry != NULL; entry = next) {
		struct rf_dict_entry ***to =
			(entry->hash & mask) == index ? &high : &low;

		next = entry->next;
		if (**to != entry)
			set_link(dict, *to, entry);
		*to = &entry->next;
	}
	if (*low != NULL)
		set_link(dict, low, NULL);
	if (*high != NULL)
		set_link(dict, high, NULL);
	dict->mask = mask;
	dict->bucket_count = index + 1;
}

/* The last bucket goes back into the one it was split from. */
static void merge(struct rf_dict *dict)
{
	uint64_t last = dict->bucket_count - 1;
	struct rf_dict_entry **high = rf_dict_bucket(dict, last);
	struct rf_dict_entry **low =
		rf_dict_bucket(dict, last & (dict->mask >> 1));

	if (*high != NULL) {
		while (*low != NULL)
			low = &(*low)->next;
		if (log_link(dict, low) != 0 || log_link(dict, high) != 0)
			return;
		*low = *high;
		*high = NULL;
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
	remember(dict);
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
	hash = rf_dict_hash(key, key_bytes);
	return find_in(*rf_dict_bucket(dict, rf_dict_bucket_of(dict, hash)),
		hash, key, key_bytes);
}

static struct rf_dict_entry *insert(
	struct rf_dict *dict, uint32_t hash, const void *key, size_t key_bytes)
{
	struct rf_dict_entry **bucket =
		rf_dict_bucket(dict, rf_dict_bucket_of(dict, hash));
	struct rf_dict_entry *entry =
		rf_alloc_uninit(sizeof *entry + key_bytes);

	if (entry == NULL || rf_tx_log(dict, sizeof *dict) != 0 ||
		log_link(dict, bucket) != 0)
		return NULL;
	entry->next = *bucket;
	entry->hash = hash;
	entry->key_bytes = (uint32_t)key_bytes;
	entry->word = 0;
	memcpy(entry->key, key, key_bytes);
	*bucket = entry;
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
	hash = rf_dict_hash(key, key_bytes);
	if (rf_likely(dict->bucket_count > 0))
		entry = find_in(
			*rf_dict_bucket(dict, rf_dict_bucket_of(dict, hash)),
			hash, key, key_bytes);
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
		rf_dict_bucket(dict, rf_dict_bucket_of(dict, entry->hash));

	if (rf_tx_log(dict, sizeof *dict) != 0)
		return;
	while (*link != entry) {
		RF_CHECK(*link != NULL);
		link = &(*link)->next;
	}
	if (log_link(dict, link) != 0)
		return;
	*link = entry->next;
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
			rf_dict_bucket(dict, dict->bucket_count - 1);
		struct rf_dict_entry *entry = *bucket, *next;

		for (; entry != NULL && budget > 0; entry = next, budget--) {
			next = entry->next;
			if (drop != NULL)
				drop(entry);
			rf_free(entry);
			dict->count--;
		}
		if (*bucket != entry)
			set_link(dict, bucket, entry);
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
