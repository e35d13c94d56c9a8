/* SPDX-License-Identifier: MIT */
/* measure.h -- what the measuring programs share: time, chance, medians.
 *
 * QUICK=1 in the environment makes everything small: a test of the programs,
 * not of the machine.
 */
#ifndef MEASURE_H
#define MEASURE_H

#include <arena.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS 7 /* of each variant, in turn; the median counts */

static inline bool is_quick(void)
{
	return getenv("QUICK") != NULL;
}

static inline double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static inline uint64_t random_word(void)
{
	static uint64_t state = 88172645463325252u;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static inline int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static inline double median(double *values, size_t count)
{
	qsort(values, count, sizeof *values, by_value);
	return values[count / 2];
}

static inline _Noreturn void give_up(const char *what, int error)
{
	fprintf(stderr, "%s: %s\n", what, strerror(-error));
	exit(1);
}

/* An arena of this process's own; the lease is held. */
static inline void make_arena(uint64_t max_bytes)
{
	static struct rf_segment segment;
	struct rf_arena_conf conf = {
		.size_bytes = max_bytes,
		.max_bytes = max_bytes,
		.worker_name = "bench",
	};
	int error;

	segment = (struct rf_segment){
		.backend = RF_BACKEND_MEMFD,
		.max_bytes = rf_arena_segment_bytes(&conf),
		.name = "refork-bench",
	};
	error = rf_segment_create(&segment);
	if (error == 0)
		error = rf_segment_map(&segment, RF_ARENA_BASE);
	if (error == 0)
		error = rf_arena_format(&segment, &conf);
	if (error != 0)
		give_up("make an arena", error);
}

#endif
