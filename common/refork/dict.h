/* SPDX-License-Identifier: MIT */
/* dict.h -- a recoverable hash map from byte strings to one word.
 *
 * Lives in the arena. Every change is part of the open transaction: undone by
 * its abort, and by the death of the process. Nothing here begins or commits,
 * and no call ever touches the whole table, but those that say so.
 */
#ifndef REFORK_DICT_H
#define REFORK_DICT_H

#include <refork/bytes.h>
#include <refork/check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RF_DICT_KEY_BYTES_MAX UINT32_MAX

/* One key. Never moves while it is in the dict. */
struct rf_dict_entry {
	struct rf_dict_entry *next; /* in its bucket */
	uint32_t hash;
	uint32_t key_bytes;
	union { /* the user's: RF_SET to change */
		void *value;
		uint64_t word;
	};
	char key[];
};
_Static_assert(sizeof(struct rf_dict_entry) == 24, "format");

/* Stands in a root or a block of the arena and never moves. Not to be looked
 * into: the fields are here for their size. */
struct rf_dict {
	uint64_t count;
	uint64_t bucket_count; /* 0: nothing allocated */
	uint64_t mask;	       /* 2^n - 1, the smallest >= bucket_count - 1 */
	struct rf_dict_entry ***segments; /* directory */
	uint64_t directory_slots;	  /* 1: it is `first` */
	struct rf_dict_entry **first;
};
_Static_assert(sizeof(struct rf_dict) == 48, "format");

/* Make zeroed or new memory an empty dict. Takes no block; needs a
 * transaction. A zeroed rf_dict is an empty dict already. */
RF_API void rf_dict_init(struct rf_dict *dict);

/* Free some entries, the table with the last of them.
 *
 * budget   entries and buckets to go through
 * drop     called for each entry before it is freed, to free what its value
 *          refers to; must not change the dict; may be NULL
 * Returns  true when the dict is empty and owns no memory any more. Between
 *          calls it is an ordinary dict with fewer keys.
 * Cost     O(budget); memory comes back with each commit */
RF_API bool rf_dict_clear_step(struct rf_dict *dict, size_t budget,
	void (*drop)(struct rf_dict_entry *entry));

/* Free everything at once. Cost: O(count), in one transaction. */
RF_API void rf_dict_fini(
	struct rf_dict *dict, void (*drop)(struct rf_dict_entry *entry));

static inline uint64_t rf_dict_count(const struct rf_dict *dict)
{
	return dict->count;
}

/* The entry of a key, or NULL. Cost: O(1), ~25 ns in cache. */
RF_API struct rf_dict_entry *rf_dict_find(
	const struct rf_dict *dict, const void *key, size_t key_bytes);

/* Have the cache lines fetched that finding these keys will need, and those
 * their words point to, all at once instead of one after the other. A hint:
 * changes nothing, and follows no pointer that leads out of the heap, however
 * damaged the dict.
 *
 * count   1 .. RF_DICT_PREFETCH_MAX
 * Cost    ~15 ns a key; saves up to ~200 ns a key where nothing is cached */
#define RF_DICT_PREFETCH_MAX 16
RF_API void rf_dict_prefetch(
	const struct rf_dict *dict, const struct rf_bytes *keys, size_t count);

/* Find a key, or insert it with word 0.
 *
 * created  may be NULL
 * Returns  the entry; NULL when there is no memory: the transaction then
 *          carries -ENOMEM (-EMSGSIZE: key longer than the maximum)
 * Cost     O(1): one block, and at most one bucket split. When the
 *          buckets have doubled, their directory (one word for 512 of
 *          them) is copied. */
RF_API struct rf_dict_entry *rf_dict_put(
	struct rf_dict *dict, const void *key, size_t key_bytes, bool *created);

/* Take an entry out and free it. What its value refers to is the caller's.
 * Cost: O(1), at most four bucket merges. */
RF_API void rf_dict_remove(struct rf_dict *dict, struct rf_dict_entry *entry);

/* Visit one bucket (and its split image) and move the cursor on.
 *
 * cursor   0 to start
 * visit    must not change the dict
 * Returns  the next cursor, 0 when the scan is complete
 * Guarantee  what is in the dict from the start of a scan to its end is
 *          visited at least once, whatever is inserted and removed between
 *          the calls. An entry may be visited more than once when the dict
 *          shrinks. */
RF_API uint64_t rf_dict_scan(const struct rf_dict *dict, uint64_t cursor,
	void (*visit)(struct rf_dict_entry *entry, void *context),
	void *context);

/* Any entry, all equally likely; NULL when the dict is empty.
 * random: 64 random bits. Cost: O(1) expected, ~1 us. */
RF_API struct rf_dict_entry *rf_dict_random(
	const struct rf_dict *dict, uint64_t random);

/* Bytes of the arena that it takes: an estimate from some of its entries.
 * value    adds what an entry's word refers to; may be NULL
 * Cost     O(1), ~100 ns */
RF_API size_t rf_dict_memory(const struct rf_dict *dict,
	size_t (*value)(const struct rf_dict_entry *entry));

/* Walk everything: counts, places, chains. 0, or -EBADMSG after reporting
 * through rf_log, which calls the dict `name`. Cost: O(count). */
RF_API int rf_dict_check(const struct rf_dict *dict, const char *name);

#endif
