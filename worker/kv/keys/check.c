/* SPDX-License-Identifier: MIT */
/* check.c -- the walker of databases, keys, values and timers.
 *
 * No pointer is followed before the heap has said that it is a block.
 */
#include "worker/kv/client/client.h"
#include "worker/kv/keys/bury.h"
#include "worker/kv/keys/kinds.h"
#include "worker/kv/keys/root.h"
#include <errno.h>
#include <refork/log.h>
#include <stdio.h>

#define NAME_BYTES 64

struct walk {
	const struct kv_keys *keys;
	uint64_t timed;
	bool dead; /* the timers have been forgotten */
	int error;
};

static int damaged(const char *what)
{
	rf_log(RF_LOG_ERROR, "kv check: %s", what);
	return -EBADMSG;
}

static bool is_keys(const struct kv_keys *keys)
{
	return rf_is_block(keys, sizeof *keys);
}

/* ---- keys and values ---- */

static bool is_timer(const struct rf_timer *at)
{
	const struct kv_timer *timer =
		(const struct kv_timer *)(const void *)at;

	return rf_is_block(timer, sizeof *timer) &&
	       rf_is_block(timer->entry, sizeof *timer->entry) &&
	       kv_timer_of(timer->entry) == timer;
}

static const char *timer_fault(
	const struct rf_dict_entry *entry, const struct walk *walk)
{
	const struct kv_timer *timer = kv_timer_of(entry);

	if (timer == NULL)
		return NULL;
	if (!rf_is_block(timer, sizeof *timer))
		return "has a timer that is no block";
	if (timer->entry != entry)
		return "has the timer of another key";
	if (walk->dead)
		return NULL;
	if (timer->keys != walk->keys)
		return "has the timer of another database";
	if (timer->timer.link == NULL)
		return "has a timer that is not armed";
	return NULL;
}

static int check_value(const struct kv_value *value, const char *name)
{
	if (!rf_is_block(value, sizeof *value))
		return damaged("a key has no value");
	if (kv_kind_of(value) == KV_STRING)
		return rf_string_check(kv_string_of(value), name);
	if (kv_kind_of(value) >= KV_KIND_COUNT ||
		kv_kinds[kv_kind_of(value)].check == NULL)
		return damaged("a value is of an unknown kind");
	if (!rf_is_block(value, sizeof *value + sizeof *value->body))
		return damaged("a collection has no root");
	return kv_kinds[kv_kind_of(value)].check(value->body, name);
}

/* No key holds nothing. */
static const char *live_fault(const struct kv_value *value)
{
	if (kv_kind_of(value) == KV_STRING)
		return NULL;
	if (value->bytes != 0)
		return "has a collection with the length of a text";
	return kv_value_count(value) == 0 ? "has an empty collection" : NULL;
}

static void check_entry(struct rf_dict_entry *entry, void *context)
{
	struct walk *walk = context;
	const char *what = timer_fault(entry, walk);
	char name[NAME_BYTES + 8];

	snprintf(name, sizeof name, "key '%.*s'",
		entry->key_bytes < NAME_BYTES ? (int)entry->key_bytes
					      : NAME_BYTES,
		entry->key);
	walk->timed += kv_timer_of(entry) != NULL;
	if (what == NULL && check_value(kv_value_of(entry), name) == 0) {
		what = walk->dead ? NULL : live_fault(kv_value_of(entry));
		if (what == NULL)
			return;
	}
	rf_log(RF_LOG_ERROR, "kv check: %s %s", name,
		what != NULL ? what : "has a damaged value");
	walk->error = -EBADMSG;
}

static int check_dict(struct walk *walk)
{
	uint64_t cursor = 0;

	walk->error = rf_dict_check(&walk->keys->dict, "keys");
	if (walk->error != 0)
		return walk->error;
	do
		cursor = rf_dict_scan(
			&walk->keys->dict, cursor, check_entry, walk);
	while (cursor != 0);
	return walk->error;
}

/* All timers of the queue are those of keys, and as many: so all of those. */
static int check_live(const struct kv_keys *keys, uint64_t db)
{
	struct walk walk = {.keys = keys};
	int error;

	if (!is_keys(keys))
		return damaged("a database is no block");
	if (keys->db != db)
		return damaged("a database has the number of another one");
	error = check_dict(&walk);
	if (error == 0)
		error = rf_timers_check(&keys->timers, is_timer, "expiry");
	if (error == 0 && walk.timed != keys->timers.count) {
		rf_log(RF_LOG_ERROR,
			"kv check: %llu keys expire, %llu timers are counted",
			(unsigned long long)walk.timed,
			(unsigned long long)keys->timers.count);
		error = -EBADMSG;
	}
	return error;
}

/* ---- the lists of the root ----
 *
 * One that bites its tail is found by a second walker at half the speed. */

static int check_dead_keys(void)
{
	const struct kv_keys *slow = kv_root->dead_keys;
	bool step = false;
	int error = 0;

	for (const struct kv_keys *at = slow; at != NULL && error == 0;
		at = at->next) {
		struct walk walk = {.keys = at, .dead = true};

		if (!is_keys(at))
			return damaged("a flushed database is no block");
		error = check_dict(&walk);
		if (step)
			slow = slow->next;
		step = !step;
		if (at->next != NULL && at->next == slow)
			return damaged("the list of the flushed is a ring");
	}
	return error;
}

static int check_dead_values(void)
{
	const struct kv_value *slow = kv_root->dead_values;
	uint64_t count = 0;
	bool step = false;
	int error = 0;

	for (const struct kv_value *at = slow; at != NULL && error == 0;
		at = kv_dead_next(at)) {
		if (!rf_is_block(at, sizeof *at + sizeof *at->body) ||
			kv_kind_of(at) == KV_STRING)
			return damaged("a dead value is none");
		count++;
		error = check_value(at, "a dead value");
		if (step)
			slow = kv_dead_next(slow);
		step = !step;
		if (kv_dead_next(at) != NULL && kv_dead_next(at) == slow)
			return damaged("the list of dead values is a ring");
	}
	if (error == 0 && count != kv_root->dead_value_count)
		return damaged("dead values are not as many as counted");
	return error;
}

static int check_spare(void)
{
	const struct kv_keys *at = kv_root->spare;
	uint64_t count = 0;

	for (; at != NULL && count < kv_root->spare_count; at = at->next) {
		if (!is_keys(at) || rf_dict_count(&at->dict) != 0 ||
			at->timers.count != 0)
			return damaged("a spare database is none, or not "
				       "empty");
		count++;
	}
	if (at != NULL || count != kv_root->spare_count)
		return damaged("spare databases are not as many as counted");
	return 0;
}

int kv_verify(void)
{
	uint64_t count = kv_root->database_count;
	int error = 0;

	if (count == 0 || count > UINT32_MAX ||
		!rf_is_block(
			kv_root->databases, count * sizeof *kv_root->databases))
		return damaged("the databases are in no block");
	for (uint64_t db = 0; db < count && error == 0; db++)
		error = check_live(kv_root->databases[db], db);
	if (error == 0)
		error = check_spare();
	if (error == 0)
		error = check_dead_keys();
	if (error == 0)
		error = check_dead_values();
	if (error == 0)
		error = kv_client_verify();
	if (error == 0)
		error = kv_server_verify();
	return error;
}
