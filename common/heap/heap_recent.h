/* SPDX-License-Identifier: MIT */
/* heap_recent.h -- where blocks were given back last: handed out again first.
 *
 * The idea. What was given back a moment ago is likely to be in the cache, and
 * so are its books. For each class a process remembers the last few places, the
 * latest on top. They are hints: a take looks whether the place is still a free
 * block of the class, and drops what is not. So nothing here is shared, nothing
 * needs the log, and no abort or death has to put it right.
 */
#ifndef RF_HEAP_RECENT_H
#define RF_HEAP_RECENT_H

#include "heap_private.h"

static rf_inline bool rf_recent_is_full(const struct rf_class *class)
{
	return class->recent_count == RF_RECENT;
}

/* Where there is room. */
static rf_inline void rf_recent_push(struct rf_class *class, uint64_t place)
{
	class->recent[class->recent_count++] = place;
}

/* The older half makes room, so that this is rare. */
static inline void rf_recent_forget_half(struct rf_class *class)
{
	class->recent_count = RF_RECENT / 2;
	memmove(class->recent, class->recent + RF_RECENT / 2,
		RF_RECENT / 2 * sizeof *class->recent);
}

/* Whether it is a free block that may be taken: of a run of that class other
 * than the spare, which stays empty. A spare one is not linked; that is asked
 * last, as it is anybody's guess of the others. */
static rf_inline bool rf_recent_holds(struct rf_super *super,
	const struct rf_class *class, uint64_t place, struct rf_run *run)
{
	uint32_t number = rf_place_number(place);

	return number < super->heap.run_count &&
	       rf_run_sort(run) == class->sort &&
	       !(*rf_place_word(run, place) & rf_place_bit(place)) &&
	       (number != super->heap.spares[run->klass] || run->linked != 0);
}

#endif
