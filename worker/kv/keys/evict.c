/* SPDX-License-Identifier: MIT */
/* evict.c -- making room below maxmemory.
 *
 * Which keys go says the policy; which of those are the worst is not known
 * exactly: a few random ones are looked at each time, and the worst of all
 * that were seen stand in a small pool. The pool holds copies of keys in the
 * memory of this process: a key may be gone, or be better now, when its turn
 * comes. A successor starts with an empty one.
 *
 * A command waits for a bounded number of evictions. When memory is still above
 * the limit then it runs all the same, and the next ones go on, as in redis.
 * Only where there is nothing to evict is it refused.
 */
#include "worker/kv/client/client.h"
#include "worker/kv/keys/access.h"
#include "worker/kv/keys/root.h"
#include <stdlib.h>

#define POOL_COUNT    16
#define EVICTIONS_MAX 64   /* that one command waits for */
#define BURY_BUDGET   1000 /* elements of the dead, before that */
#define SLACK	      16   /* a part of the limit, left to the dead */
#define TRIES	      16   /* of meeting a key that expires */
#define BUCKETS	      64   /* gone through for one after that */

struct candidate {
	uint64_t score; /* the higher, the sooner it goes */
	uint32_t db, key_bytes;
	size_t room;
	char *key;
};

static struct {
	struct candidate at[POOL_COUNT]; /* the lowest score first */
	size_t count;
	uint64_t policy; /* that the scores are of */
} pool;

/* ---- what a policy wants ---- */

static uint64_t score_lru(const struct rf_dict_entry *entry, int64_t now_ms)
{
	return kv_idle_seconds(kv_value_of(entry), now_ms);
}

static uint64_t score_lfu(const struct rf_dict_entry *entry, int64_t now_ms)
{
	return UINT8_MAX - kv_frequency(kv_value_of(entry), now_ms);
}

static uint64_t score_ttl(const struct rf_dict_entry *entry, int64_t now_ms)
{
	(void)now_ms;
	return INT64_MAX - (uint64_t)kv_timer_of(entry)->timer.at_ms;
}

static uint64_t score_any(const struct rf_dict_entry *entry, int64_t now_ms)
{
	(void)entry;
	(void)now_ms;
	return kv_random();
}

static const struct policy {
	/* The higher, the sooner; NULL: nothing is evicted. */
	uint64_t (*score)(const struct rf_dict_entry *entry, int64_t now_ms);
	bool is_volatile; /* only keys that expire */
} policies[KV_POLICY_COUNT] = {
	[KV_NOEVICTION] = {NULL, false},
	[KV_ALLKEYS_LRU] = {score_lru, false},
	[KV_ALLKEYS_LFU] = {score_lfu, false},
	[KV_ALLKEYS_RANDOM] = {score_any, false},
	[KV_VOLATILE_LRU] = {score_lru, true},
	[KV_VOLATILE_LFU] = {score_lfu, true},
	[KV_VOLATILE_RANDOM] = {score_any, true},
	[KV_VOLATILE_TTL] = {score_ttl, true},
};

static const struct policy *policy(void)
{
	return &policies[kv_settings->maxmemory_policy];
}

/* ---- the pool ---- */

static bool copy_key(struct candidate *to, const struct rf_dict_entry *entry)
{
	char *key = to->key;

	if (to->room < entry->key_bytes || key == NULL) {
		key = realloc(to->key, entry->key_bytes + 1);
		if (key == NULL)
			return false;
		to->key = key;
		to->room = entry->key_bytes + 1;
	}
	memcpy(key, entry->key, entry->key_bytes);
	to->key_bytes = entry->key_bytes;
	return true;
}

static void consider(
	uint32_t db, const struct rf_dict_entry *entry, int64_t now_ms)
{
	uint64_t score = policy()->score(entry, now_ms);
	struct candidate fresh;
	size_t at = pool.count;

	if (pool.count == POOL_COUNT) {
		if (score <= pool.at[0].score)
			return;
		/* The lowest goes; its memory is that of the new one. */
		fresh = pool.at[0];
		memmove(pool.at, pool.at + 1,
			(POOL_COUNT - 1) * sizeof *pool.at);
		pool.at[POOL_COUNT - 1] = fresh;
		at = --pool.count;
	}
	fresh = pool.at[at];
	if (!copy_key(&fresh, entry))
		return;
	fresh.score = score;
	fresh.db = db;
	for (; at > 0 && pool.at[at - 1].score > score; at--)
		pool.at[at] = pool.at[at - 1];
	pool.at[at] = fresh;
	pool.count++;
}

/* ---- looking for candidates ---- */

static uint64_t count_in(const struct kv_keys *keys)
{
	return policy()->is_volatile ? keys->timers.count
				     : rf_dict_count(&keys->dict);
}

static bool is_allowed(const struct rf_dict_entry *entry)
{
	return !policy()->is_volatile || kv_timer_of(entry) != NULL;
}

static void keep_allowed(struct rf_dict_entry *entry, void *context)
{
	struct rf_dict_entry **found = context;

	if (is_allowed(entry))
		*found = entry;
}

/* A random key that the policy allows; NULL when none was met. */
static struct rf_dict_entry *meet(const struct kv_keys *keys)
{
	struct rf_dict_entry *entry = NULL;
	uint64_t cursor;

	for (int i = 0; i < TRIES; i++) {
		entry = rf_dict_random(&keys->dict, kv_random());
		if (entry == NULL || is_allowed(entry))
			return entry;
	}
	/* There are few of them. */
	entry = NULL;
	cursor = kv_random();
	for (int i = 0; i < BUCKETS && entry == NULL; i++)
		cursor =
			rf_dict_scan(&keys->dict, cursor, keep_allowed, &entry);
	return entry;
}

/* false: there is no key that may go. */
static bool sample(const struct kv_call *call)
{
	uint64_t samples = kv_settings->maxmemory_samples;
	bool any = false;

	if (policy()->score == score_any)
		samples = 1;
	if (pool.policy != kv_settings->maxmemory_policy)
		pool.count = 0;
	pool.policy = kv_settings->maxmemory_policy;
	for (uint32_t db = 0; db < kv_database_count(); db++) {
		const struct kv_keys *keys = kv_database(db);

		if (count_in(keys) == 0)
			continue;
		any = true;
		for (uint64_t i = 0; i < samples; i++) {
			struct rf_dict_entry *entry = meet(keys);

			if (entry != NULL)
				consider(db, entry, call->now_ms);
		}
	}
	return any;
}

/* ---- evicting ---- */

static size_t bytes_of(const struct rf_dict_entry *entry)
{
	const struct kv_timer *timer = kv_timer_of(entry);

	return rf_usable(entry) + kv_value_memory(kv_value_of(entry)) +
	       (timer != NULL ? rf_usable(timer) : 0);
}

/* The worst that still stands. Returns the bytes that come back with the
 * commit. */
static size_t evict_worst(const struct kv_call *call)
{
	struct kv_call there = *call;

	while (pool.count > 0) {
		const struct candidate *worst = &pool.at[--pool.count];
		struct rf_bytes key = {worst->key, worst->key_bytes};
		struct rf_dict_entry *entry;
		size_t bytes;

		if (worst->db >= kv_database_count())
			continue;
		there.db = worst->db;
		there.keys = kv_database(worst->db);
		entry = rf_dict_find(&there.keys->dict, key.at, key.bytes);
		if (entry == NULL || !is_allowed(entry))
			continue;
		bytes = bytes_of(entry);
		kv_delete(&there, entry);
		kv_count(KV_COUNT_EVICTED);
		kv_changed(&there, key, KV_CLASS_EVICTED, "evicted");
		return bytes;
	}
	return 0;
}

/* Without a maxmemory, so much that the arena never ends. */
static size_t limit(void)
{
	static size_t arena_max;
	struct rf_heap_stats stats;

	if (rf_likely(kv_settings->maxmemory_bytes > 0))
		return kv_settings->maxmemory_bytes;
	if (policy()->score == NULL)
		return SIZE_MAX;
	if (arena_max == 0) {
		rf_heap_stats(&stats);
		arena_max = stats.max_bytes;
	}
	return arena_max - arena_max / SLACK;
}

/* What has been deleted already goes before what has not: a little of it is
 * freed, unless far too much memory is taken for that to be enough. */
static bool bury_instead(size_t most)
{
	if (kv_root->dead_values == NULL && kv_root->dead_keys == NULL)
		return false;
	kv_bury_step(BURY_BUDGET);
	return rf_heap_used() - rf_heap_used() / SLACK <= most;
}

bool kv_make_room(struct kv_call *call)
{
	size_t most = limit(), used = rf_heap_used(), freed = 0;

	if (rf_likely(used <= most) || bury_instead(most))
		return true;
	for (int i = 0; i < EVICTIONS_MAX && used > most + freed; i++) {
		if (policy()->score == NULL || !sample(call))
			return false;
		freed += evict_worst(call);
	}
	return rf_tx_error() == 0;
}
