/* SPDX-License-Identifier: MIT */
/* test_heap_traces.c -- how much memory published loads need.
 *
 * What the heap has in use, by whole pages, over what was asked for, at the end
 * of each load: after sizes have shifted and most objects have been replaced.
 * Then what is free goes back to the system, and the same holds for what is
 * left, but for what is kept on purpose.
 */
#include "scratch_arena.h"
#include "suite.h"
#include <tests/bench/alloc_trace.h>

#define LIVE_BYTES ((uint64_t)24 << 20)
#define STEPS	   64 /* to a transaction */

static void **blocks;

static int set_up(void **state)
{
	(void)state;
	blocks = calloc(LIVE_BYTES / 16 + 1, sizeof *blocks);
	return scratch_arena_create((uint64_t)256 << 20);
}

static int tear_down(void **state)
{
	(void)state;
	free(blocks);
	scratch_arena_destroy();
	return 0;
}

static size_t run(struct alloc_trace *trace)
{
	struct alloc_op op;
	size_t steps = 0;

	rf_tx_begin();
	while (alloc_trace_next(trace, &op)) {
		if (op.bytes > 0)
			blocks[op.slot] = rf_alloc_uninit(op.bytes);
		else
			rf_free(blocks[op.slot]);
		if (++steps % STEPS > 0)
			continue;
		assert_int_equal(rf_tx_commit(), 0);
		rf_tx_begin();
	}
	assert_int_equal(rf_tx_commit(), 0);
	return steps;
}

static double over(size_t bytes, const struct alloc_trace *trace)
{
	return (double)bytes / (double)trace->live_bytes;
}

static void check_load(const struct alloc_load *load, double most)
{
	struct alloc_trace *trace = alloc_trace_open(load, LIVE_BYTES);
	struct rf_heap_stats stats;
	size_t steps, in_use;

	assert_int_equal(set_up(NULL), 0);
	steps = run(trace);
	rf_heap_stats(&stats);
	in_use = stats.size_bytes - stats.free_run_bytes;
	while (rf_heap_trim(64 << 20) > 0)
		;
	rf_heap_stats(&stats);
	print_message("%-7s %8zu steps: %.2f in use, %.2f with memory\n",
		load->name, steps, over(in_use, trace),
		over(stats.size_bytes, trace));
	assert_int_equal(rf_heap_check(), 0);
	assert_int_equal(stats.size_bytes - stats.free_run_bytes, in_use);
	assert_true(over(in_use, trace) <= most);
	/* Kept on purpose, and runs that are too short for a system call. */
	assert_true(stats.free_run_bytes <=
		    (4 << 20) + stats.used_bytes / 8 + in_use / 8);
	alloc_trace_close(trace);
	tear_down(NULL);
}

/* Of the bad program no allocator that moves nothing can promise less than
 * 1 + log2(longest / shortest) / 2 = 6 (Robson 1974). */
static void published_loads_need_little_more_than_they_ask_for(void **state)
{
	(void)state;
	for (size_t i = 0; i < ALLOC_LOADS; i++)
		check_load(&alloc_loads[i],
			alloc_loads[i].after.sizes == ALLOC_DOUBLING ? 6 : 1.4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			published_loads_need_little_more_than_they_ask_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
