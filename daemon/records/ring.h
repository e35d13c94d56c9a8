/* SPDX-License-Identifier: MIT */
/* ring.h -- the records that a ring holds. */
#ifndef RING_H
#define RING_H

#include "common/crash.h"

/* The slot of an id, whatever is in it. */
static inline struct rf_crash *ring_slot(
	struct rf_crash_ring *ring, uint64_t id)
{
	return &ring->records[id % RF_CRASH_KEEP_MAX];
}

/* NULL: there is no such record (any more). */
static inline const struct rf_crash *ring_find(
	const struct rf_crash_ring *ring, uint64_t id)
{
	const struct rf_crash *r = &ring->records[id % RF_CRASH_KEEP_MAX];

	return id && r->id == id ? r : NULL;
}

/* Before the oldest id that the ring can hold. */
static inline uint64_t ring_floor(const struct rf_crash_ring *ring)
{
	return ring->last_id > RF_CRASH_KEEP_MAX
		       ? ring->last_id - RF_CRASH_KEEP_MAX
		       : 0;
}

#endif
