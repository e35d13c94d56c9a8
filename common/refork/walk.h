/* SPDX-License-Identifier: MIT */
/* walk.h -- naming everything that a worker's state reaches.
 *
 * `reforkctl arena verify` walks the state of a service that is held, or of
 * one that has ended: it knows every block that is taken, the worker tells
 * which of them its slots lead to, and what is left over has leaked. A worker
 * takes part by its hook `walk`: it goes from the roots of its slots through
 * all that hangs on them, and hands each block it comes to to rf_walk_block(),
 * each container to that container's walker.
 *
 * Nothing is believed. What stands in the arena may be damaged: no pointer is
 * to be followed before rf_walk_block() has said true for it, no number to be
 * counted up to that no block bears out, and no recursion to go deeper than the
 * code says. A block is said true for once only, so a walk ends.
 *
 * It runs in a process of its own, over a copy or a view that nobody changes;
 * nothing of the arena may be written, and `build` and `start` have not run.
 * The _check functions of the containers are the same walkers, alone.
 */
#ifndef REFORK_WALK_H
#define REFORK_WALK_H

#include <refork/bytes.h>
#include <refork/check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rf_walk; /* lives as long as the hook's call */

/* ---- where the walk is ---- */

/* Part of the words that a problem is told with: "key 'user:7'". */
struct rf_walk_scope {
	const char *what;     /* "key"; "" when the name says all */
	struct rf_bytes name; /* may be of no bytes */
	struct rf_walk_scope *outer;
};

/* From here on the walk is inside of this; scope and name stay the caller's
 * until rf_walk_leave(), which takes back what was entered last. ~2 ns. */
RF_API void rf_walk_enter(struct rf_walk *walk, struct rf_walk_scope *scope,
	const char *what, const void *name, size_t bytes);
RF_API void rf_walk_leave(struct rf_walk *walk);

/* What `arena dump` shows here: "db 0: dict, 1,204 items". For what an
 * operator knows by name, not for every key. */
RF_API void rf_walk_thing(
	struct rf_walk *walk, const void *at, const char *kind, uint64_t items);

/* ---- blocks ---- */

/* The root of a slot, which becomes where the walk is (until the next call).
 * NULL: there is no such slot, or not of that type, version and size (which is
 * a problem, and has been told). */
RF_API void *rf_walk_slot(struct rf_walk *walk, const char *name,
	const char *type, uint32_t version, size_t bytes);

/* A pointer was found that should lead to a block of at least so many bytes,
 * whose owner is who found it.
 *
 * at       any bits
 * what     "entry", "list node": a text that stays; blocks are counted by it
 * Returns  true: it is, and nobody has come to it before: go into it. Else the
 *          problem has been told: no live block, too short, reached twice
 * Cost     ~5 ns in cache */
RF_API bool rf_walk_block(
	struct rf_walk *walk, const void *at, size_t bytes, const char *what);

/* The same of a pointer to a block that another one owns (a way back, a second
 * list): whether it is a live block. Tells and marks nothing. */
RF_API bool rf_walk_holds(struct rf_walk *walk, const void *at, size_t bytes);

/* Bytes usable in a block for which one of these has said true. */
RF_API size_t rf_walk_usable(struct rf_walk *walk, const void *at);

/* Bytes that the blocks of the heap have together: what stands in the arena can
 * be no more. */
RF_API size_t rf_walk_bytes_max(const struct rf_walk *walk);

/* Something at `at` is not as it should be. */
RF_API void rf_walk_problem(struct rf_walk *walk, const void *at,
	const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Told so far. */
RF_API uint64_t rf_walk_problems(const struct rf_walk *walk);

/* A hint: have the cache lines fetched that rf_walk_block(at) and the first
 * bytes of the block will need. Any bits. */
RF_API void rf_walk_prefetch(const struct rf_walk *walk, const void *at);

/* ---- connections ---- */

struct rf_conn;

/* The open connections, one after the other; NULL at both ends. Their records
 * are sound; what stands in user[] is the worker's. */
RF_API const struct rf_conn *rf_walk_conn(
	struct rf_walk *walk, const struct rf_conn *after);
/* A pointer that was found leads to the record of an open connection. */
RF_API bool rf_walk_is_conn(struct rf_walk *walk, const struct rf_conn *conn);

/* For a hook `verify` that is the same walk: 0, or -EBADMSG after logging every
 * problem; -ENOMEM. Leaks are not looked for. */
RF_API int rf_walk_check(void (*walk)(struct rf_walk *walk));

/* ---- containers: all blocks of one, each of its rules ----
 *
 * The container itself stands in a block that has been walked. What its items
 * lead to is walked by `item`, which is called for each sound one. Where a
 * walker finds damage it tells, leaves out what cannot be trusted and goes on.
 * False: it has told something. */

struct rf_string;
struct rf_pack;
struct rf_list;
struct rf_map;
struct rf_set;
struct rf_sorted;
struct rf_dict;
struct rf_dict_entry;
struct rf_timers;
struct rf_timer;
struct rf_history;

/* These two are blocks themselves: any pointer. */
RF_API bool rf_walk_string(
	struct rf_walk *walk, const struct rf_string *string);
RF_API bool rf_walk_pack(struct rf_walk *walk, const struct rf_pack *pack);

RF_API bool rf_walk_list(struct rf_walk *walk, const struct rf_list *list);
RF_API bool rf_walk_map(struct rf_walk *walk, const struct rf_map *map);
RF_API bool rf_walk_set(struct rf_walk *walk, const struct rf_set *set);
RF_API bool rf_walk_sorted(
	struct rf_walk *walk, const struct rf_sorted *sorted);
RF_API bool rf_walk_history(
	struct rf_walk *walk, const struct rf_history *history);

/* item  for each entry, once; may be NULL. The blocks that the words of the
 *       entries lead to (their low three bits left out) are being fetched
 *       meanwhile */
RF_API bool rf_walk_dict(struct rf_walk *walk, const struct rf_dict *dict,
	void (*item)(struct rf_walk *walk, const struct rf_dict_entry *entry,
		void *context),
	void *context);

/* is_timer  whether the owner knows this pointer (any bits): a timer that
 *           another walk has or will come to */
RF_API bool rf_walk_timers(struct rf_walk *walk, const struct rf_timers *timers,
	bool (*is_timer)(struct rf_walk *walk, const struct rf_timer *timer,
		void *context),
	void *context);

#endif
