/* SPDX-License-Identifier: MIT */
/* scratch_arena.h -- an arena of its own for a unit test. */
#ifndef SCRATCH_ARENA_H
#define SCRATCH_ARENA_H

#include <arena.h>
#include <refork/heap.h>
#include <refork/tx.h>
#include <stdio.h>

static struct rf_segment scratch_segment;

/* Make it, mapped and published, with the lease held. 0 or -errno. */
static inline int scratch_arena_create(uint64_t max_bytes)
{
	struct rf_arena_conf conf = {
		.size_bytes = max_bytes < (1 << 20) ? max_bytes : (1 << 20),
		.max_bytes = max_bytes,
		.worker_name = "test",
		.state_version = 1,
	};
	int error;

	scratch_segment = (struct rf_segment){
		.backend = RF_BACKEND_MEMFD,
		.max_bytes = rf_arena_segment_bytes(&conf),
	};
	snprintf(scratch_segment.name, sizeof scratch_segment.name,
		"refork-unit-test");
	error = rf_segment_create(&scratch_segment);
	if (error == 0)
		error = rf_segment_map(&scratch_segment, RF_ARENA_BASE);
	if (error == 0)
		error = rf_arena_format(&scratch_segment, &conf);
	if (error == 0)
		rf_arena_publish();
	return error;
}

/* Whatever a failed test left open. */
static inline void scratch_arena_destroy(void)
{
	if (rf_tx_is_open())
		rf_tx_abort();
	rf_lease_give();
	rf_segment_close(&scratch_segment);
}

#endif
