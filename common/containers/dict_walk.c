/* SPDX-License-Identifier: MIT */
/* dict_walk.c -- going through a dict: scan, random choice, the check. */
#include "common/verify/walk_form.h"
#include "dict_table.h"
#include <errno.h>
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

/* ---- the walker ----
 *
 * The entries of a large dict stand anywhere: reading one after the other would
 * be to wait for the memory each time. So an entry that has been found waits in
 * a queue while its cache lines are being fetched; and when it has been looked
 * at it waits in another one while what its word leads to is.
 */

#define QUEUE 32u

struct found {
	const struct rf_dict_entry *entry;
	uint64_t bucket;
};

struct walk {
	struct rf_walk *to;
	const struct rf_dict *dict;
	void (*item)(struct rf_walk *walk, const struct rf_dict_entry *entry,
		void *context);
	void *context;
	uint64_t seen, most;
	struct found found[QUEUE];
	const struct rf_dict_entry *sound[QUEUE];
	uint32_t found_count, found_first; /* the last ones are the latest */
	uint32_t sound_count, sound_first;
};

static void bad(const struct walk *walk, uint64_t bucket, const void *at,
	const char *what)
{
	rf_walk_problem(walk->to, at, "dict at %p: bucket %llu of %llu: %s",
		(const void *)walk->dict, (unsigned long long)bucket,
		(unsigned long long)walk->dict->bucket_count, what);
}

/* Before a word of it is followed, and before anything is counted up to a
 * number that stands in it. */
static const char *shape_fault(const struct walk *walk)
{
	const struct rf_dict *dict = walk->dict;
	uint64_t buckets = dict->bucket_count;
	uint64_t slots = dict->directory_slots;
	uint64_t mask = 0;

	if (buckets == 0)
		return dict->count == 0 && dict->segments == NULL
			       ? NULL
			       : "keys without a table";
	if (buckets > RF_DICT_BUCKETS_MAX ||
		buckets > rf_walk_bytes_max(walk->to) / sizeof(void *))
		return "too many buckets";
	while (mask < buckets - 1)
		mask = mask * 2 + 1;
	if (dict->mask != mask)
		return "mask does not fit";
	if (slots > RF_DICT_BUCKETS_MAX || slots * RF_DICT_SEGMENT < buckets ||
		(slots == 1) != (dict->segments == &dict->first))
		return "directory does not fit";
	return NULL;
}

/* ---- the two queues ---- */

static void give_sound(struct walk *walk)
{
	const struct rf_dict_entry *entry =
		walk->sound[walk->sound_first++ % QUEUE];

	walk->sound_count--;
	walk->item(walk->to, entry, walk->context);
}

static void add_sound(struct walk *walk, const struct rf_dict_entry *entry)
{
	if (walk->item == NULL)
		return;
	if (walk->sound_count == QUEUE)
		give_sound(walk);
	rf_walk_prefetch(walk->to, (const void *)(entry->word & ~UINT64_C(7)));
	walk->sound[(walk->sound_first + walk->sound_count++) % QUEUE] = entry;
}

static void add_found(
	struct walk *walk, const struct rf_dict_entry *entry, uint64_t bucket)
{
	rf_walk_prefetch(walk->to, entry);
	__builtin_prefetch((const char *)entry + 40);
	walk->found[(walk->found_first + walk->found_count++) % QUEUE] =
		(struct found){entry, bucket};
}

/* ---- entries ---- */

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

/* The first that was found. Its chain has been followed up to it. */
static void look(struct walk *walk)
{
	struct found at = walk->found[walk->found_first++ % QUEUE];
	const struct rf_dict_entry *entry = at.entry;
	const char *fault;

	walk->found_count--;
	if (walk->seen > walk->most ||
		!rf_walk_block(walk->to, entry, sizeof *entry, "dict entry"))
		return;
	/* Where no block is marked, a chain may be a ring. */
	if (++walk->seen > walk->most) {
		bad(walk, at.bucket, entry, "more keys than there can be");
		return;
	}
	if (entry->key_bytes >
		rf_walk_usable(walk->to, entry) - sizeof *entry) {
		bad(walk, at.bucket, entry, "a key longer than its block");
		return;
	}
	fault = entry_fault(walk->dict, at.bucket, entry);
	if (fault != NULL)
		bad(walk, at.bucket, entry, fault);
	if (entry->next != NULL)
		add_found(walk, entry->next, at.bucket);
	add_sound(walk, entry);
}

/* ---- the table ---- */

/* The buckets of one segment that are in use. */
static uint64_t used_of(const struct rf_dict *dict, uint64_t segment)
{
	uint64_t rest = dict->bucket_count - segment * RF_DICT_SEGMENT;

	return rest < RF_DICT_SEGMENT ? rest : RF_DICT_SEGMENT;
}

static void walk_segment(struct walk *walk, uint64_t number)
{
	struct rf_dict_entry **segment = walk->dict->segments[number];
	uint64_t used = used_of(walk->dict, number);
	uint64_t slots = number == 0 ? used : RF_DICT_SEGMENT;
	uint64_t bucket = number * RF_DICT_SEGMENT;

	if (!rf_walk_block(
		    walk->to, segment, slots * sizeof *segment, "dict buckets"))
		return;
	for (uint64_t i = 0; i < used; i++) {
		if (segment[i] == NULL)
			continue;
		while (walk->found_count == QUEUE)
			look(walk);
		add_found(walk, segment[i], bucket + i);
	}
	slots = rf_walk_usable(walk->to, segment) / sizeof *segment;
	for (; used < slots && used < RF_DICT_SEGMENT; used++)
		if (segment[used] != NULL)
			bad(walk, bucket + used, segment,
				"keys beyond the last bucket");
}

static void walk_table(struct walk *walk)
{
	const struct rf_dict *dict = walk->dict;
	uint64_t segments =
		(dict->bucket_count + RF_DICT_SEGMENT - 1) / RF_DICT_SEGMENT;

	if (dict->directory_slots > 1 &&
		!rf_walk_block(walk->to, dict->segments,
			dict->directory_slots * sizeof(void *),
			"dict directory"))
		return;
	for (uint64_t i = 0; i < segments; i++)
		walk_segment(walk, i);
	while (walk->found_count > 0)
		look(walk);
	while (walk->sound_count > 0)
		give_sound(walk);
	if (walk->seen != dict->count)
		rf_walk_problem(walk->to, dict,
			"dict: %llu keys are counted, %llu stand there",
			(unsigned long long)dict->count,
			(unsigned long long)walk->seen);
}

bool rf_walk_dict(struct rf_walk *walk, const struct rf_dict *dict,
	void (*item)(struct rf_walk *walk, const struct rf_dict_entry *entry,
		void *context),
	void *context)
{
	uint64_t before = rf_walk_problems(walk);
	struct walk own;
	const char *fault;

	memset(&own, 0, offsetof(struct walk, found));
	own.to = walk;
	own.dict = dict;
	own.item = item;
	own.context = context;
	own.most = rf_walk_bytes_max(walk) / sizeof(struct rf_dict_entry);
	if (walk->index == NULL && own.most > dict->count)
		own.most = dict->count;
	own.found_count = own.found_first = 0;
	own.sound_count = own.sound_first = 0;
	fault = shape_fault(&own);
	if (fault != NULL)
		bad(&own, 0, dict, fault);
	else if (dict->bucket_count > 0)
		walk_table(&own);
	return rf_walk_problems(walk) == before;
}

int rf_dict_check(const struct rf_dict *dict, const char *name)
{
	struct rf_walk_alone alone;

	return rf_walk_dict(rf_walk_alone(&alone, name), dict, NULL, NULL)
		       ? 0
		       : -EBADMSG;
}
