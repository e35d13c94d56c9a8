/* SPDX-License-Identifier: MIT */
/* heap_paint.h -- red zones and poison, in builds with RF_HEAP_DEBUG only. */
#ifndef RF_HEAP_PAINT_H
#define RF_HEAP_PAINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef RF_HEAP_DEBUG
#define RF_HEAP_DEBUG 0
#endif

struct rf_run;

#if RF_HEAP_DEBUG

/* What a block needs beyond what is asked for: the end of its red zone. */
#define RF_ZONE_BYTES 8u

/* A block has been taken; `bytes` of its `room` were asked for. */
void rf_paint_taken(void *block, size_t bytes, size_t room, bool small);
/* It is to be given back when the transaction commits: its zone is looked at.
 */
void rf_paint_given(void *block, size_t room, bool small);
/* The transaction has ended. */
void rf_paint_end(bool committed);
/* Pages have become a run of small blocks, all of them free. */
void rf_paint_run(void *pages, size_t bytes);
/* What was asked for. */
size_t rf_zone_asked(const void *block, size_t room);
/* Whether the zones of all live blocks of a run are whole; logs each that is
 * not. */
bool rf_zone_check_run(const struct rf_run *run);
/* Before and after a roll back: a new process takes over the paint. */
void rf_paint_lift(void);
void rf_paint_anew(void);

#else

#define RF_ZONE_BYTES 0u

static inline void rf_paint_taken(
	void *block, size_t bytes, size_t room, bool small)
{
	(void)block, (void)bytes, (void)room, (void)small;
}
static inline void rf_paint_given(void *block, size_t room, bool small)
{
	(void)block, (void)room, (void)small;
}
static inline void rf_paint_end(bool committed)
{
	(void)committed;
}
static inline void rf_paint_run(void *pages, size_t bytes)
{
	(void)pages, (void)bytes;
}
static inline size_t rf_zone_asked(const void *block, size_t room)
{
	(void)block;
	return room;
}
static inline bool rf_zone_check_run(const struct rf_run *run)
{
	(void)run;
	return true;
}
static inline void rf_paint_lift(void)
{
}
static inline void rf_paint_anew(void)
{
}

#endif

#endif
