/* SPDX-License-Identifier: MIT */
/* alloc_run.h -- the same steps for every allocator. C and C++.
 *
 * The file that includes it also defines
 *
 *   static void run_open(void);
 *   static void run_swap(size_t slot, size_t bytes, uint64_t word);
 *        give back what the slot holds (if anything), take a block of `bytes`
 *        (0: take none) and put `word` into it; one transaction where there is
 *        one
 *
 * and is then a program: PROGRAM WHAT... prints "WHAT;NANOSECONDS" for each, of
 * the process's own time on the processor. Where RUN_IN_USE is defined, as an
 * expression for the bytes of memory in use, ";TIMES" follows for a load: how
 * many times the bytes of its live objects that is, at the end of it.
 *
 *   1000  so many blocks of 16 to 1024 bytes are live. A step gives a random
 *         one back and takes another of a random size: lifetimes are random.
 *   ETC   a load of alloc_trace.h with 64 MiB live; a step is one taking or one
 *         giving back. The steps are made up before the clock is started.
 */
#ifndef ALLOC_RUN_H
#define ALLOC_RUN_H

#include "alloc_trace.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RUN_LIVE_MAX   1000000
#define RUN_LOAD_BYTES ((uint64_t)64 << 20)
#define RUN_SLOTS      (RUN_LOAD_BYTES / 16 + 1)
#define RUN_WARM_PART  4 /* a quarter of the time is not counted */
#define RUN_BURST      1000

static void run_open(void);
static void run_swap(size_t slot, size_t bytes, uint64_t word);

static double run_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static uint64_t run_chance = UINT64_C(88172645463325252);

static inline uint64_t run_next(void)
{
	run_chance ^= run_chance << 13;
	run_chance ^= run_chance >> 7;
	run_chance ^= run_chance << 17;
	return run_chance;
}

static inline size_t run_bytes(uint64_t chance)
{
	return 16 + (size_t)((chance >> 40) % (1024 - 16 + 1));
}

static double run_for(size_t live, double ns)
{
	double from = run_now_ns(), to = from;
	uint64_t steps = 0;

	while (to - from < ns) {
		for (int i = 0; i < RUN_BURST; i++) {
			uint64_t chance = run_next();

			run_swap((size_t)(chance % live), run_bytes(chance),
				chance);
		}
		steps += RUN_BURST;
		to = run_now_ns();
	}
	return (to - from) / (double)steps;
}

/* ---- so many blocks ---- */

static double run_live(size_t live)
{
	double ns = getenv("QUICK") ? 5e6 : 300e6;
	static size_t filled;

	if (live == 0 || live > RUN_LIVE_MAX)
		exit(64);
	for (; filled < live; filled++)
		run_swap(filled, run_bytes(run_next()), filled);
	run_for(live, ns / RUN_WARM_PART);
	return run_for(live, ns);
}

/* ---- a load ---- */

static struct alloc_op *run_ops;
static size_t run_op_count;
static uint64_t run_live_bytes; /* at the end */
static double run_times;

static void run_make_up(const struct alloc_load *load, uint64_t live_bytes)
{
	struct alloc_trace *trace = alloc_trace_open(load, live_bytes);
	size_t room = 0;
	struct alloc_op op;

	run_op_count = 0;
	while (alloc_trace_next(trace, &op)) {
		if (run_op_count == room) {
			room = room ? 2 * room : 1 << 20;
			run_ops = (struct alloc_op *)realloc(
				run_ops, room * sizeof *run_ops);
			if (!run_ops)
				exit(1);
		}
		run_ops[run_op_count++] = op;
	}
	run_live_bytes = trace->live_bytes;
	alloc_trace_close(trace);
}

static double run_load(const struct alloc_load *load)
{
	double from, to;

	run_make_up(load, getenv("QUICK") ? 1 << 20 : RUN_LOAD_BYTES);
	from = run_now_ns();
	for (size_t i = 0; i < run_op_count; i++)
		run_swap(run_ops[i].slot, run_ops[i].bytes, i);
	to = run_now_ns();
#ifdef RUN_IN_USE
	run_times = (double)(RUN_IN_USE) / (double)run_live_bytes;
#endif
	for (size_t i = 0; i < RUN_SLOTS; i++)
		run_swap(i, 0, 0);
	return (to - from) / (double)run_op_count;
}

static double run_named(const char *name)
{
	for (size_t i = 0; i < ALLOC_LOADS; i++)
		if (strcmp(alloc_loads[i].name, name) == 0)
			return run_load(&alloc_loads[i]);
	return run_live((size_t)strtoul(name, NULL, 10));
}

int main(int argc, char **argv)
{
	run_open();
	for (int i = 1; i < argc; i++) {
		run_times = 0;
		printf("%s;%.1f", argv[i], run_named(argv[i]));
		if (run_times > 0)
			printf(";%.2f", run_times);
		printf("\n");
		fflush(stdout);
	}
	return 0;
}

#endif
