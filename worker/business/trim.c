/* SPDX-License-Identifier: MIT */
/* trim.c -- free memory goes back to the system, a little at a time.
 *
 * Given back is what has been free for all of a second: a service that frees
 * and takes the same memory again and again keeps it. One huge page at
 * most every PACE_MS, and only before a sleep: a request waits for one system
 * call at most.
 */
#include "trim.h"
#include "common/heap/pages.h"
#include <refork/heap.h>

#define WINDOW_MS    1000
#define PACE_MS	     20
#define BUDGET_BYTES ((size_t)2 << 20) /* a huge page */

/* Pages. */
static uint32_t least;	/* free since this window began */
static uint32_t steady; /* free all through the last one, and since */
static int64_t window_ends_ms, next_ms;

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

int trim_idle(int64_t now_ms, int sleep_ms)
{
	uint32_t now_free = RF_HEAP->free_pages[0];
	uint32_t given;

	least = (uint32_t)smaller(least, now_free);
	steady = (uint32_t)smaller(steady, now_free);
	if (now_ms >= window_ends_ms) {
		steady = least;
		least = now_free;
		window_ends_ms = now_ms + WINDOW_MS;
	}
	if (steady == 0 || now_ms < next_ms)
		return sleep_ms;
	next_ms = now_ms + PACE_MS;
	given = (uint32_t)(rf_heap_trim(smaller(BUDGET_BYTES,
				   (size_t)steady << RF_PAGE_SHIFT)) >>
			   RF_PAGE_SHIFT);
	steady -= given;
	least = (uint32_t)smaller(least, RF_HEAP->free_pages[0]);
	if (given == 0)
		steady = 0; /* nothing to do before the next window */
	return given > 0 ? (int)smaller((size_t)sleep_ms, PACE_MS) : sleep_ms;
}
