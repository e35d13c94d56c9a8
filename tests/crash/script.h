/* SPDX-License-Identifier: MIT */
/* script.h -- what a scenario does in the arena, as a table of moves.
 *
 *	SCRIPT(name, changes, BEFORE(TAKE(0, 3, 40), COMMIT),
 *		ACT(GIVE(1, 1), COMMIT))
 *
 * A transaction is open at the start and after each end of one. All stands in
 * one root: blocks by number, a dict with the keys "key0" ..., a few plain
 * variables.
 */
#ifndef SCRIPT_H
#define SCRIPT_H

#include "sweep.h"

enum script_verb {
	SCRIPT_END,
	SCRIPT_COMMIT,
	SCRIPT_COMMIT_FAILS, /* with the error `bytes` */
	SCRIPT_ABORT,
	SCRIPT_TAKE,	/* blocks first .. first + count - 1, of `bytes` */
	SCRIPT_TRY,	/* the same, and there must be no memory */
	SCRIPT_GIVE,	/* blocks first .. */
	SCRIPT_WRITE,	/* `bytes` into block `first`, at offset `count` */
	SCRIPT_SET,	/* variables of all sizes, to `first` */
	SCRIPT_PUT,	/* keys first .., with values of `bytes` */
	SCRIPT_REMOVE,	/* keys first .. */
	SCRIPT_CLEAR,	/* the dict, by `count` at most */
	SCRIPT_SLOT,	/* create slot number `first` with `bytes` */
	SCRIPT_MIGRATE, /* that slot, to a new root with `bytes` */
	SCRIPT_RESIZE,	/* block `first`, to `bytes` */
	SCRIPT_ALIGN,	/* take block `first`, of `bytes`, at `count` */
	SCRIPT_TRIM	/* `bytes` at most, in no transaction */
};

struct script_move {
	enum script_verb verb;
	unsigned first, count;
	int bytes;
};

struct script {
	const struct script_move *before, *act;
};

#define COMMIT                                                                 \
	{                                                                      \
		SCRIPT_COMMIT, 0, 0, 0                                         \
	}
#define COMMIT_FAILS(error)                                                    \
	{                                                                      \
		SCRIPT_COMMIT_FAILS, 0, 0, error                               \
	}
#define ABORT                                                                  \
	{                                                                      \
		SCRIPT_ABORT, 0, 0, 0                                          \
	}
#define TAKE(i, count, bytes)                                                  \
	{                                                                      \
		SCRIPT_TAKE, i, count, bytes                                   \
	}
#define TRY(bytes)                                                             \
	{                                                                      \
		SCRIPT_TRY, 0, 0, bytes                                        \
	}
#define GIVE(i, count)                                                         \
	{                                                                      \
		SCRIPT_GIVE, i, count, 0                                       \
	}
#define WRITE(i, off, bytes)                                                   \
	{                                                                      \
		SCRIPT_WRITE, i, off, bytes                                    \
	}
#define SET(value)                                                             \
	{                                                                      \
		SCRIPT_SET, value, 0, 0                                        \
	}
#define PUT(i, count, bytes)                                                   \
	{                                                                      \
		SCRIPT_PUT, i, count, bytes                                    \
	}
#define REMOVE(i, count)                                                       \
	{                                                                      \
		SCRIPT_REMOVE, i, count, 0                                     \
	}
#define CLEAR(budget)                                                          \
	{                                                                      \
		SCRIPT_CLEAR, 0, budget, 0                                     \
	}
#define SLOT(i, bytes)                                                         \
	{                                                                      \
		SCRIPT_SLOT, i, 0, bytes                                       \
	}
#define MIGRATE(i, bytes)                                                      \
	{                                                                      \
		SCRIPT_MIGRATE, i, 0, bytes                                    \
	}
#define RESIZE(i, bytes)                                                       \
	{                                                                      \
		SCRIPT_RESIZE, i, 0, bytes                                     \
	}
#define ALIGN(i, alignment, bytes)                                             \
	{                                                                      \
		SCRIPT_ALIGN, i, alignment, bytes                              \
	}
#define TRIM(bytes)                                                            \
	{                                                                      \
		SCRIPT_TRIM, 0, 0, bytes                                       \
	}

#define BEFORE(...)                                                            \
	((const struct script_move[]){__VA_ARGS__, {SCRIPT_END, 0, 0, 0}})
#define ACT(...) BEFORE(__VA_ARGS__)
#define SCRIPT(name, changes, before, act)                                     \
	SCRIPT_IN(NULL, name, changes, before, act)
#define SCRIPT_IN(the_geometry, the_name, the_changes, the_before, the_act)    \
	{                                                                      \
		.name = the_name, .geometry = the_geometry,                    \
		.prepare = script_prepare, .act = script_act,                  \
		.changes = the_changes, .check = script_check,                 \
		.arg = &(const struct script)                                  \
		{                                                              \
			.before = the_before, .act = the_act                   \
		}                                                              \
	}

void script_prepare(const struct scenario *self);
void script_act(const struct scenario *self);
int script_check(const struct scenario *self);

/* The root's variables, for acts that are written out. */
struct script_root {
	void *blocks[300];
	struct rf_dict *dict;
	uint8_t byte;
	uint16_t half;
	uint32_t word;
	uint64_t wide;
	struct {
		uint64_t parts[5];
	} object;
};
struct script_root *script_root(void);

#endif
