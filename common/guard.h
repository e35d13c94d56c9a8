/* SPDX-License-Identifier: MIT */
/* guard.h -- who may write to the arena, held by the processor. See guard.c. */
#ifndef RF_GUARD_H
#define RF_GUARD_H

#include "segment.h"
#include "super.h"
#include <refork/guard.h>
#include <stdbool.h>

/* What this process guards the arena with. */
enum rf_guard_by {
	RF_GUARD_BY_KEY = 1,	 /* closed outside of transactions */
	RF_GUARD_BY_COMPARE = 2, /* what changes in one is compared with the
				    log: undo_check.c */
};
extern unsigned rf_guard_by; /* 0: nothing */

/* Cover the arena with a protection key. It stays open to the calling thread
 * until rf_guard_close().
 *
 * Returns  0; -ENOSPC, -ENOSYS, ...: this machine has no keys, nothing is
 *          guarded; -errno */
int rf_guard_arm(const struct rf_segment *seg);

/* A restored process (CRIU) has lost its key, and was not told: cover the arena
 * again. Outside of transactions. Cost: a system call. 0 or -errno. */
int rf_guard_rearm(void);

/* This thread may write; or not. Signal handlers begin with no access at all to
 * what is guarded: rf_guard_open() first. */
void rf_guard_open_now(void);
void rf_guard_close_now(void);

static inline void rf_guard_open(void)
{
	if (rf_unlikely(rf_guard_by != 0))
		rf_guard_open_now();
}

static inline void rf_guard_close(void)
{
	if (rf_unlikely(rf_guard_by != 0))
		rf_guard_close_now();
}

/* While it is on, what a transaction opens stays open behind it: for several in
 * a row with nobody's code but our own in between. Off, it is closed at once,
 * unless it may be open. Threads have one each. */
void rf_guard_batch_now(bool on);

static inline void rf_guard_batch(bool on)
{
	if (rf_unlikely(rf_guard_by != 0))
		rf_guard_batch_now(on);
}

/* This thread is between rf_unguarded_begin() and its end. */
bool rf_guard_is_lifted(void);

/* Where the guarded part begins. Before it: the first page of the superblock,
 * and what shares a huge page with that. */
uint64_t rf_guard_from(const struct rf_segment *seg);

#endif
