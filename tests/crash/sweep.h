/* SPDX-License-Identifier: MIT */
/* sweep.h -- a death at every store of a scenario, and the judgement.
 *
 * A scenario's act() is done by a child, one instruction at a time. Whenever
 * that has changed shared memory, the judge takes a copy and does what a
 * successor would do, and the result must be one of the states that act() goes
 * through, in their order: a new one is allowed only at the store that empties
 * the undo log (T2 of tx.c).
 */
#ifndef SWEEP_H
#define SWEEP_H

#include "image.h"
#include <stdio.h>

#define TALE_BYTES 8192

/* What somebody outside has seen, as text. */
struct tale {
	char text[TALE_BYTES];
	size_t bytes;
};
void tale_add(struct tale *tale, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

struct scenario {
	const char *name;
	const struct geometry *geometry; /* NULL: a default */

	/* Its own transactions, to the state before; in a new arena. */
	void (*prepare)(const struct scenario *self);
	/* What is swept. Goes through `changes` states after that one (0: what
	 * it does comes to nothing). */
	void (*act)(const struct scenario *self);
	unsigned changes;

	/* All below may be NULL. */
	/* Walk what the scenario keeps; 0 when it is sound. */
	int (*check)(const struct scenario *self);
	/* image_forget() what means nothing; `image` is in place. */
	void (*forget)(const struct scenario *self, struct image *image);
	/* After the roll back of `undone` entries: what else a successor does
	 * at once. `rung`: the network child's bell was heard before. */
	void (*resume)(const struct scenario *self, size_t undone, bool rung);
	bool resume_changes; /* it brings act() further itself */
	/* Then: bring act() to its end. */
	void (*finish)(const struct scenario *self);
	void (*tell)(const struct scenario *self, struct tale *tale);
	const char *told; /* what it must be in the end */

	const void *arg;
};

struct verdict {
	bool condemned;
	char why[512];
	unsigned long steps, changed, recoveries, interrupted;
	struct tale tale; /* when nobody dies */
	bool rung;	  /* what the heir is told: see resume() */
};

/* Do all of it, in processes of its own. The verdict is shared memory, good
 * until the next call. */
const struct verdict *sweep(const struct scenario *scenario);

/* In a hook: this is wrong. */
_Noreturn void condemn(const char *format, ...)
	__attribute__((format(printf, 1, 2)));

/* The main() of a program that sweeps scenarios, as tests of their names. */
int sweep_main(char **argv, const struct scenario *scenarios, size_t count);

#endif
