/* SPDX-License-Identifier: MIT */
/* timers.h -- a recoverable timer queue for millions of deadlines.
 *
 * Timers are part of the owner's own blocks. Arming, disarming and finding
 * what is due cost O(1) each (amortised, whatever the number of timers).
 * Every change is part of the open transaction: undone by its abort, and by
 * the death of the process.
 */
#ifndef REFORK_TIMERS_H
#define REFORK_TIMERS_H

#include <refork/check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rf_timer { /* in a block of the arena; not to be looked into but: */
	struct rf_timer *next;
	struct rf_timer **link; /* what points here; NULL: not armed */
	int64_t at_ms;		/* when it is due; read only */
};
_Static_assert(sizeof(struct rf_timer) == 24, "format");

struct rf_timers_wheel;
struct rf_timers { /* zeroed: empty */
	uint64_t count;
	uint64_t sum_ms;	       /* of all at_ms, modulo 2^64 */
	struct rf_timers_wheel *wheel; /* made with the first timer */
};
_Static_assert(sizeof(struct rf_timers) == 24, "format");

/* Arm a timer, or change when it is due. A block with a new timer must have
 * its link NULL. No memory (for the first one): the transaction carries
 * -ENOMEM.
 * at_ms    may be past: due at the next run
 * now_ms   needed for the first timer only; any clock, always the same one */
RF_API void rf_timers_arm(struct rf_timers *timers, struct rf_timer *timer,
	int64_t at_ms, int64_t now_ms);
/* Allowed for one that is not armed (link NULL). */
RF_API void rf_timers_disarm(struct rf_timers *timers, struct rf_timer *timer);
/* Its block has been copied to a new one: here it stands now. Before anything
 * else is done to it, and before the old block is freed. */
RF_API void rf_timers_moved(struct rf_timer *timer);

/* Disarm what is due (at_ms <= now_ms) and hand it to `due`, which may arm and
 * disarm any timer and free this one's block.
 *
 * budget   timers and slots to look at
 * Returns  true when the budget ended first */
RF_API bool rf_timers_run(struct rf_timers *timers, int64_t now_ms,
	size_t budget, void (*due)(struct rf_timer *timer, void *context),
	void *context);

/* No timer is due before this; INT64_MAX when there is none. A lower bound,
 * exact to the millisecond for what is due within 256 ms of the last run that
 * came to its end. Cost: O(1). */
RF_API int64_t rf_timers_next_ms(const struct rf_timers *timers);

/* How long, on average, until a timer is due; 0 when there is none or the
 * average is past. Exact while all of it together is below 2^63 ms. O(1). */
RF_API int64_t rf_timers_average_ms(
	const struct rf_timers *timers, int64_t now_ms);

/* Forget all timers (their blocks are the caller's) and free the wheel. O(1).*/
RF_API void rf_timers_reset(struct rf_timers *timers);

/* Walk everything; `is_timer` says whether the owner knows this pointer (it
 * must believe nothing; rf_is_block). 0 or -EBADMSG after rf_log. */
RF_API int rf_timers_check(const struct rf_timers *timers,
	bool (*is_timer)(const struct rf_timer *timer), const char *name);

#endif
