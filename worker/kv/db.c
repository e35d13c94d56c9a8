/* SPDX-License-Identifier: MIT */
/* db.c -- the keys.
 *
 *   kv_db.keys -> dict: key -> entry.word -> value
 *                                 or     -> timer -> value   (KV_TIMED set)
 *         .dead -> dicts that were flushed, being freed
 *         .wheel: the timers again, by time
 *
 * Flushing puts the whole dict aside and an empty one in its place: O(1). The
 * dead are freed a little with each tick (kv_bury_step). They are on a list in
 * the arena, so a successor goes on burying.
 */
#include "kv.h"
#include <errno.h>
#include <refork/log.h>

struct kv_db *kv_db;

static struct rf_dict *dict(void)
{
	return &kv_db->keys->dict;
}

void kv_db_create(void)
{
	RF_SET(kv_db->keys, rf_alloc(sizeof *kv_db->keys));
	RF_SET(kv_db->spare, rf_alloc(sizeof *kv_db->spare));
}

bool kv_expired(const struct rf_dict_entry *entry, int64_t now_ms)
{
	const struct kv_timer *timer = kv_timer_of(entry);

	return timer != NULL && now_ms > timer->at_ms;
}

struct rf_dict_entry *kv_find(int64_t now_ms, struct rf_bytes key)
{
	struct rf_dict_entry *entry = rf_dict_find(dict(), key.at, key.bytes);

	if (entry == NULL || rf_likely(!kv_expired(entry, now_ms)))
		return entry;
	RF_SET(kv_db->expired, kv_db->expired + 1);
	kv_delete(entry);
	return NULL;
}

void kv_entry_set(struct rf_dict_entry *entry, struct kv_value *value)
{
	struct kv_timer *timer = kv_timer_of(entry);

	if (timer != NULL)
		RF_SET(timer->value, value);
	else
		RF_SET(entry->value, value);
}

struct rf_dict_entry *kv_set(
	struct rf_bytes key, const void *from, size_t bytes)
{
	struct rf_dict_entry *entry =
		rf_dict_put(dict(), key.at, key.bytes, NULL);

	if (rf_unlikely(entry == NULL))
		return NULL;
	kv_persist(entry);
	kv_value_set(entry, from, bytes);
	return entry;
}

void kv_delete(struct rf_dict_entry *entry)
{
	kv_persist(entry);
	rf_free(kv_value_of(entry));
	rf_dict_remove(dict(), entry);
}

/* ---- flushing ---- */

void kv_flush(void)
{
	struct kv_keys *dead = kv_db->keys;
	struct kv_keys *fresh = kv_db->spare;

	if (rf_dict_count(&dead->dict) == 0)
		return;
	if (fresh == NULL)
		fresh = rf_alloc(sizeof *fresh);
	if (fresh == NULL)
		return;
	RF_SET(dead->next, kv_db->dead);
	RF_SET(kv_db->dead, dead);
	RF_SET(kv_db->keys, fresh);
	RF_SET(kv_db->spare, NULL);
	kv_wheel_reset();
}

/* The wheel has forgotten the timers of the dead. */
static void bury(struct rf_dict_entry *entry)
{
	rf_free(kv_value_of(entry));
	rf_free(kv_timer_of(entry));
}

bool kv_bury_step(size_t budget)
{
	struct kv_keys *dead = kv_db->dead;

	if (rf_likely(dead == NULL))
		return false;
	if (!rf_dict_clear_step(&dead->dict, budget, bury))
		return true;
	RF_SET(kv_db->dead, dead->next);
	if (kv_db->spare == NULL) {
		RF_SET(dead->next, NULL);
		RF_SET(kv_db->spare, dead);
	} else {
		rf_free(dead);
	}
	return kv_db->dead != NULL;
}

/* ---- the walker ----
 *
 * No pointer is followed before the heap has said that it is a block. */

struct walk {
	uint64_t timed;
	bool dead; /* the wheel has forgotten their timers */
	int error;
};

static const char *timer_fault(const struct rf_dict_entry *entry, bool dead)
{
	const struct kv_timer *timer = kv_timer_of(entry);

	if (timer == NULL)
		return NULL;
	if (!rf_is_block(timer, sizeof *timer))
		return "has a timer that is no block";
	if (timer->entry != entry)
		return "has the timer of another key";
	if (!dead && !kv_timer_hangs(timer))
		return "has a timer that does not hang in the wheel";
	return NULL;
}

static const char *value_fault(const struct kv_value *value)
{
	if (!rf_is_block(value, sizeof *value))
		return "has no value";
	if ((value->shape & KV_SHAPE_KIND) != KV_STRING)
		return "has a value of an unknown kind";
	if ((value->shape & ~KV_SHAPE_KIND) < sizeof *value ||
		!rf_is_block(value, value->shape & ~KV_SHAPE_KIND) ||
		value->bytes > kv_value_room(value))
		return "has a value larger than its block";
	return NULL;
}

static void check_entry(struct rf_dict_entry *entry, void *context)
{
	struct walk *walk = context;
	const char *what = timer_fault(entry, walk->dead);

	walk->timed += kv_timer_of(entry) != NULL;
	if (what == NULL)
		what = value_fault(kv_value_of(entry));
	if (what == NULL)
		return;
	rf_log(RF_LOG_ERROR, "kv check: key '%.*s' %s",
		entry->key_bytes < 64 ? (int)entry->key_bytes : 64, entry->key,
		what);
	walk->error = -EBADMSG;
}

static int damaged(const char *what)
{
	rf_log(RF_LOG_ERROR, "kv check: %s", what);
	return -EBADMSG;
}

static int check_keys(const struct kv_keys *keys, struct walk *walk)
{
	uint64_t cursor = 0;

	walk->error = rf_dict_check(&keys->dict, "keys");
	if (walk->error != 0)
		return walk->error;
	do
		cursor = rf_dict_scan(&keys->dict, cursor, check_entry, walk);
	while (cursor != 0);
	return walk->error;
}

static bool is_keys(const struct kv_keys *keys)
{
	return rf_is_block(keys, sizeof *keys);
}

/* A list that bites its tail is found by a second walker at half the speed. */
static int check_dead(void)
{
	const struct kv_keys *slow = kv_db->dead;
	struct walk walk = {.dead = true};
	bool step = false;
	int error = 0;

	for (const struct kv_keys *at = kv_db->dead; at != NULL && error == 0;
		at = at->next) {
		if (!is_keys(at))
			return damaged("a flushed dict is no block");
		error = check_keys(at, &walk);
		if (step)
			slow = slow->next;
		step = !step;
		if (at->next != NULL && at->next == slow)
			return damaged("the list of flushed dicts is a ring");
	}
	return error;
}

int kv_verify(void)
{
	struct walk live = {0};
	int error;

	if (!is_keys(kv_db->keys))
		return damaged("the keys are in no block");
	if (kv_db->spare != NULL &&
		(!is_keys(kv_db->spare) ||
			rf_dict_count(&kv_db->spare->dict) != 0))
		return damaged("the spare dict is none, or not empty");
	error = check_keys(kv_db->keys, &live);
	if (error == 0)
		error = check_dead();
	if (error == 0)
		error = kv_wheel_check();
	if (error == 0 && live.timed != kv_db->wheel.count) {
		rf_log(RF_LOG_ERROR,
			"kv check: %llu keys expire, %llu timers are counted",
			(unsigned long long)live.timed,
			(unsigned long long)kv_db->wheel.count);
		error = -EBADMSG;
	}
	return error;
}
