/* SPDX-License-Identifier: MIT */
/* stage.h -- one set of shared memory: an arena and a channel.
 *
 * The process that is stepped has one, the judge has another one: all in the
 * same geometry, each process with its own mapped at RF_ARENA_BASE.
 */
#ifndef STAGE_H
#define STAGE_H

#include "common/channel.h"
#include "common/super.h"

struct geometry {
	uint32_t page_max; /* of the arena */
	struct {
		uint32_t first, count;
	} heap[2];  /* pages that images hold */
	bool large; /* images hold the ends of large messages, too */
};

/* Large messages have this length. */
#define STAGE_LARGE_BYTES 300000

struct stage {
	struct rf_segment arena;
	struct rf_channel channel;
};

/* The one that this process has mapped at RF_ARENA_BASE. */
extern struct stage *stage_here;

/* 0 or -errno. The arena can be seen by this process, but has no address yet
 * that its pointers would fit. */
int stage_create(struct stage *stage, const struct geometry *geometry);

/* Map its arena at RF_ARENA_BASE and use it. */
int stage_enter(struct stage *stage);

/* Lay out a new arena in the stage of this process. */
int stage_format(const struct geometry *geometry);

/* Every transaction begins without the hints of those before it: so who goes on
 * in another process takes the same blocks. */
extern bool stage_without_hints;

/* Has its network child's bell been rung? */
bool stage_hears(const struct stage *stage);
/* Let the bell be silent. */
void stage_silence(const struct stage *stage);

#endif
