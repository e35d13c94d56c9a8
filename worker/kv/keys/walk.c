/* SPDX-License-Identifier: MIT */
/* walk.c -- databases, keys, values and timers, and what has been flushed. */
#include "worker/kv/walk.h"
#include "worker/kv/keys/bury.h"
#include "worker/kv/keys/kinds.h"
#include "worker/kv/keys/root.h"
#include <stdio.h>

struct room {
	const struct kv_keys *keys;
	uint64_t timed;
	bool dead; /* the timers have been forgotten */
};

/* ---- keys and values ---- */

static bool is_timer(
	struct rf_walk *walk, const struct rf_timer *at, void *context)
{
	const struct kv_timer *timer =
		(const struct kv_timer *)(const void *)at;

	(void)context;
	return rf_walk_holds(walk, timer, sizeof *timer) &&
	       rf_walk_holds(walk, timer->entry, sizeof *timer->entry) &&
	       kv_timer_of(timer->entry) == timer;
}

static const char *timer_fault(const struct kv_timer *timer,
	const struct rf_dict_entry *entry, const struct room *room)
{
	if (timer->entry != entry)
		return "has the timer of another key";
	if (room->dead)
		return NULL;
	if (timer->keys != room->keys)
		return "has the timer of another database";
	if (timer->timer.link == NULL)
		return "has a timer that is not armed";
	return NULL;
}

static const char *string_fault(
	struct rf_walk *walk, const struct kv_value *value)
{
	if (value->bytes > rf_walk_usable(walk, value) - sizeof *value)
		return "has a text longer than its block";
	if (value->head >> 24 & 15 & ~(KV_VALUE_RAW >> 24))
		return "has flags that mean nothing";
	return NULL;
}

static const char *collection_fault(
	struct rf_walk *walk, const struct kv_value *value, bool dead)
{
	const struct kv_kind_row *row;

	if (kv_kind_of(value) >= KV_KIND_COUNT)
		return "has a value of an unknown kind";
	row = &kv_kinds[kv_kind_of(value)];
	if (row->walk == NULL)
		return "has a value of an unknown kind";
	if (rf_walk_usable(walk, value) < sizeof *value + sizeof *value->body)
		return "has a collection without a root";
	if (!row->walk(walk, value->body) || dead)
		return NULL; /* told */
	if (value->bytes != 0 || value->head >> 24 & 15)
		return "has a collection with the length of a text";
	return row->count(value->body) == 0 ? "has an empty collection" : NULL;
}

static const char *walk_value(
	struct rf_walk *walk, const struct kv_value *value, bool dead)
{
	if (!rf_walk_block(walk, value, sizeof *value, "value"))
		return NULL; /* told */
	return kv_kind_of(value) == KV_STRING
		       ? string_fault(walk, value)
		       : collection_fault(walk, value, dead);
}

static void walk_entry(
	struct rf_walk *walk, const struct rf_dict_entry *entry, void *context)
{
	const struct kv_timer *timer = kv_timer_of(entry);
	struct room *room = context;
	const char *fault = NULL;
	struct rf_walk_scope scope;

	rf_walk_enter(walk, &scope, "key", entry->key, entry->key_bytes);
	if (timer == NULL) {
		fault = walk_value(walk, entry->value, room->dead);
	} else if (rf_walk_block(walk, timer, sizeof *timer, "key's timer")) {
		room->timed++;
		fault = timer_fault(timer, entry, room);
		if (fault != NULL)
			rf_walk_problem(walk, timer, "%s", fault);
		fault = walk_value(walk, timer->value, room->dead);
	}
	if (fault != NULL)
		rf_walk_problem(walk, entry, "%s", fault);
	rf_walk_leave(walk);
}

/* ---- databases ---- */

static void walk_keys(
	struct rf_walk *walk, const struct kv_keys *keys, bool dead)
{
	struct room room = {.keys = keys, .dead = dead};

	if (!dead || rf_dict_count(&keys->dict) != 0)
		rf_walk_thing(walk, keys, "dict", rf_dict_count(&keys->dict));
	rf_walk_dict(walk, &keys->dict, walk_entry, &room);
	rf_walk_timers(walk, &keys->timers, is_timer, NULL);
	if (!dead && room.timed != keys->timers.count)
		rf_walk_problem(walk, keys,
			"%llu keys expire, %llu timers are counted",
			(unsigned long long)room.timed,
			(unsigned long long)keys->timers.count);
}

static void walk_database(
	struct rf_walk *walk, const struct kv_keys *keys, uint64_t db)
{
	struct rf_walk_scope scope;
	char name[32];
	int bytes =
		snprintf(name, sizeof name, "db %llu", (unsigned long long)db);

	rf_walk_enter(walk, &scope, "", name, (size_t)bytes);
	if (rf_walk_block(walk, keys, sizeof *keys, "database")) {
		if (keys->db != db || keys->next != NULL)
			rf_walk_problem(walk, keys,
				"a database with the number of another one, "
				"or in a list");
		walk_keys(walk, keys, false);
	}
	rf_walk_leave(walk);
}

static void walk_databases(struct rf_walk *walk, const struct kv_root *root)
{
	uint64_t count = root->database_count;

	if (count == 0 ||
		count > rf_walk_bytes_max(walk) / sizeof *root->databases) {
		rf_walk_problem(walk, root, "%llu databases",
			(unsigned long long)count);
		return;
	}
	if (!rf_walk_block(walk, root->databases,
		    count * sizeof *root->databases, "databases"))
		return;
	for (uint64_t db = 0; db < count; db++)
		walk_database(walk, root->databases[db], db);
}

/* ---- the lists of the root: no block is come to twice ---- */

static void walk_spare(struct rf_walk *walk, const struct kv_root *root)
{
	uint64_t count = 0;

	for (const struct kv_keys *at = root->spare; at != NULL;
		at = at->next, count++) {
		if (!rf_walk_block(walk, at, sizeof *at, "spare database"))
			break;
		if (rf_dict_count(&at->dict) != 0 || at->timers.count != 0)
			rf_walk_problem(
				walk, at, "a spare database is not empty");
		walk_keys(walk, at, true);
	}
	if (count != root->spare_count)
		rf_walk_problem(walk, root,
			"spare databases are not as many as counted");
}

static void walk_dead_keys(struct rf_walk *walk, const struct kv_root *root)
{
	struct rf_walk_scope scope;

	rf_walk_enter(walk, &scope, "flushed", NULL, 0);
	for (const struct kv_keys *at = root->dead_keys; at != NULL;
		at = at->next) {
		if (!rf_walk_block(walk, at, sizeof *at, "database"))
			break;
		walk_keys(walk, at, true);
	}
	rf_walk_leave(walk);
}

static void walk_dead_values(struct rf_walk *walk, const struct kv_root *root)
{
	const struct kv_value *next;
	struct rf_walk_scope scope;
	uint64_t count = 0;

	rf_walk_enter(walk, &scope, "dead value", NULL, 0);
	for (const struct kv_value *at = root->dead_values; at != NULL;
		at = next, count++) {
		const char *fault;

		if (!rf_walk_block(walk, at, sizeof *at, "value"))
			break;
		next = kv_dead_next(at);
		fault = kv_kind_of(at) == KV_STRING
				? "is a text"
				: collection_fault(walk, at, true);
		if (fault != NULL)
			rf_walk_problem(walk, at, "%s", fault);
	}
	if (count != root->dead_value_count)
		rf_walk_problem(
			walk, root, "dead values are not as many as counted");
	rf_walk_leave(walk);
}

void kv_keys_walk(struct rf_walk *walk, const struct kv_root *root)
{
	walk_databases(walk, root);
	walk_spare(walk, root);
	walk_dead_keys(walk, root);
	walk_dead_values(walk, root);
}
