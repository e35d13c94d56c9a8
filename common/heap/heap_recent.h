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

#define RF_RECENT 16u /* a power of two */

#define RF_RECENT_INDEX_BITS 9
_Static_assert(RF_RUN_WORDS * 64 <= 1 << RF_RECENT_INDEX_BITS, "bits");

struct rf_recent {
	uint32_t top, count; /* a ring: a new one takes the oldest one's room */
	uint64_t at[RF_RECENT]; /* number of the run, index of the block */
};

static inline void rf_recent_push(
	struct rf_recent *recent, uint32_t number, uint32_t index)
{
	recent->at[recent->top++ % RF_RECENT] =
		(uint64_t)number << RF_RECENT_INDEX_BITS | index;
	recent->count += recent->count < RF_RECENT;
}

/* Whether it is a free block that may be taken: of a run of that class other
 * than the spare, which stays empty. */
static inline bool rf_recent_holds(const struct rf_heap_shm *heap,
	uint32_t number, const struct rf_run *run, uint32_t index,
	uint32_t klass)
{
	return number < heap->run_count && run->kind == RF_RUN_SMALL &&
	       run->klass == klass &&
	       !(run->bitmap[index / 64] >> (index % 64) & 1) &&
	       ((run->linked != 0) | (number != heap->spares[klass]));
}

/* The latest place that is still free; its run is NULL: there is none. */
static inline struct rf_place rf_recent_pop(
	struct rf_recent *recent, uint32_t klass)
{
	struct rf_super *super = rf_super_here();

	while (recent->count > 0) {
		uint64_t at = recent->at[--recent->top % RF_RECENT];
		uint32_t number = (uint32_t)(at >> RF_RECENT_INDEX_BITS);
		uint32_t index = at & ((1 << RF_RECENT_INDEX_BITS) - 1);
		struct rf_run *run =
			(struct rf_run *)((uint8_t *)super + super->runs_off) +
			number;

		recent->count--;
		if (rf_likely(rf_recent_holds(
			    &super->heap, number, run, index, klass)))
			return (struct rf_place){run, index};
	}
	return (struct rf_place){NULL, 0};
}

#endif
