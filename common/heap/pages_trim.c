/* SPDX-License-Identifier: MIT */
/* pages_trim.c -- free pages back to the system, and back from it.
 *
 * The idea. A free run whose memory the system has back is a hole: an entry
 * says so, it hangs in bins of its own, and nobody touches its pages before
 * rf_segment_back() has answered for them: an error code, never SIGBUS.
 *
 *   to a hole     the entry says it, in a transaction of its own, which comes
 *                 after the one that freed the run: that can't roll back any
 *                 more. Only then does the memory go.
 *   from a hole   the memory is there first, then the entry changes, under the
 *                 log of whoever takes the pages.
 *
 * So a death between two steps leaves, at worst, a hole that still has memory.
 * A hole at the end of the heap is none: the heap ends before it.
 */
#include "pages_private.h"
#include <refork/heap.h>

#define KEEP_SHARE   8 /* of the used bytes */
#define KEEP_LEAST   (((size_t)4 << 20) >> RF_PAGE_SHIFT)
#define TRIM_PAGES   16u  /* a shorter run is not worth a system call */
#define FILL_PAGES   512u /* asked for at once, where the hole is as long */
#define RUNS_AT_ONCE 32	  /* looked at in one call */

/* Only whole huge pages go where there may be some. */
static uint32_t grain(void)
{
	const struct rf_segment *seg = rf_arena_segment;

	if (seg->page_bytes > RF_PAGE_BYTES)
		return (uint32_t)(seg->page_bytes >> RF_PAGE_SHIFT);
	return seg->huge_advise ? 512 : 1;
}

/* Free pages beyond what is kept. */
static size_t excess(void)
{
	const struct rf_heap_shm *heap = RF_HEAP;
	size_t keep = (heap->used_bytes >> RF_PAGE_SHIFT) / KEEP_SHARE;
	size_t have = heap->page_count - heap->free_pages[1];
	size_t free_pages = heap->free_pages[0];

	if (keep < KEEP_LEAST)
		keep = KEEP_LEAST;
	if (free_pages <= keep || have <= heap->page_least)
		return 0;
	return free_pages - keep < have - heap->page_least
		       ? free_pages - keep
		       : have - heap->page_least;
}

/* A run that is in no bin becomes a hole, or the end of the heap. */
static void put_hole(uint32_t number)
{
	const struct rf_run *run = rf_run_at(number);

	rf_run_put(number, 1);
	if (run->first + run->pages != RF_HEAP->page_count)
		return;
	rf_run_remove(number);
	rf_run_entry_give(number);
	RF_SET(RF_HEAP->page_count, run->first);
}

/* The end of a free run, `most` pages at most. Returns how many. */
static size_t trim_run(uint32_t number, size_t most)
{
	const struct rf_run *run = rf_run_at(number);
	uint32_t unit = grain();
	uint32_t to = (run->first + run->pages) / unit * unit;
	uint32_t first = (run->first + unit - 1) / unit * unit;
	uint32_t pages = to > first ? to - first : 0;
	size_t off;

	most = most / unit * unit;
	if (pages > most)
		pages = (uint32_t)most;
	if (pages == 0)
		return 0;
	off = RF_SUPER->heap_off + ((size_t)(to - pages) << RF_PAGE_SHIFT);
	rf_tx_begin();
	number = rf_run_carve(number, to - pages, pages);
	if (number == RF_RUN_NONE) {
		rf_tx_abort();
		return 0;
	}
	put_hole(number);
	if (rf_tx_commit() != 0)
		return 0;
	rf_segment_unback(
		rf_arena_segment, off, (size_t)pages << RF_PAGE_SHIFT);
	return pages;
}

size_t rf_heap_trim(size_t budget_bytes)
{
	size_t least = grain() > TRIM_PAGES ? grain() : TRIM_PAGES;
	size_t budget = budget_bytes >> RF_PAGE_SHIFT, given = 0;

	if (rf_arena_segment->reserve)
		return 0;
	for (int i = 0; i < RUNS_AT_ONCE; i++) {
		size_t most = excess(), pages;
		uint32_t number;

		if (most > budget - given)
			most = budget - given;
		number = most < least ? RF_RUN_NONE
				      : rf_bin_longest(0, (uint32_t)least);
		pages = number == RF_RUN_NONE ? 0 : trim_run(number, most);
		if (pages == 0)
			break;
		given += pages;
	}
	return given << RF_PAGE_SHIFT;
}

/* ---- memory for holes ---- */

/* The first part of a hole becomes a free run. */
static uint32_t fill(uint32_t number, uint32_t pages)
{
	uint32_t first = rf_run_at(number)->first;

	if (rf_pages_back(first, pages) != 0)
		return RF_RUN_NONE;
	number = rf_run_carve(number, first, pages);
	if (number != RF_RUN_NONE)
		rf_run_put(number, 0);
	return number;
}

uint32_t rf_hole_fill(uint32_t pages)
{
	uint32_t number = rf_bin_find(pages, 1, RF_LOOK_ALL);
	uint32_t part = pages > FILL_PAGES ? pages : FILL_PAGES, filled;

	if (number == RF_RUN_NONE)
		return number;
	if (part > rf_run_at(number)->pages)
		part = rf_run_at(number)->pages;
	filled = fill(number, part);
	if (filled == RF_RUN_NONE && part > pages && rf_tx_error() == 0)
		filled = fill(number, pages);
	return filled;
}

static bool is_free(uint32_t page)
{
	return page < RF_HEAP->page_count &&
	       (*rf_page_map(page) & RF_FREE_BIT) != 0;
}

/* Where free runs and holes side by side end that begin with that page. */
static uint32_t span_end(uint32_t page)
{
	while (is_free(page))
		page += rf_page_run(page)->pages;
	return page;
}

/* Where the span begins that a hole is the first hole of; RF_RUN_NONE: it is
 * not the first. Runs of one sort are never side by side, so what is before
 * the run before a hole, if free, is a hole. */
static uint32_t span_start(const struct rf_run *hole)
{
	uint32_t first = hole->first;

	if (first > 0 && is_free(first - 1)) {
		first = rf_page_run(first - 1)->first;
		if (first > 0 && is_free(first - 1))
			return RF_RUN_NONE;
	}
	return first;
}

static uint32_t fill_span(uint32_t first, uint32_t pages)
{
	uint32_t end = span_end(first), number = RF_RUN_NONE;

	for (uint32_t page = first; page < end && rf_tx_error() == 0;) {
		const struct rf_run *run = rf_page_run(page);
		uint32_t next = page + run->pages;

		if (run->hole != 0) {
			number = fill(
				*rf_page_map(page) & ~RF_FREE_BIT, run->pages);
			if (number == RF_RUN_NONE)
				return number;
			run = rf_run_at(number);
			next = run->first + run->pages;
			if (run->pages >= pages)
				return number;
		}
		page = next;
	}
	return RF_RUN_NONE;
}

/* Make the heap longer, so that a span up to its end has so many pages. */
static bool lengthen(uint32_t first, uint32_t pages)
{
	uint32_t count = RF_HEAP->page_count, more = pages - (count - first);
	uint32_t cell = *rf_page_map(count - 1);

	/* The last run is no hole: growth counts it. */
	return more <= RF_HEAP->page_max - count &&
	       rf_pages_grow(rf_run_at(cell & ~RF_FREE_BIT)->pages + more) == 0;
}

uint32_t rf_hole_gather(uint32_t pages)
{
	struct rf_heap_shm *heap = RF_HEAP;

	for (uint32_t bin = 0; bin < RF_BIN_COUNT; bin++) {
		uint32_t at = heap->bins[1][bin];

		for (; at != RF_RUN_NONE; at = rf_run_at(at)->next) {
			uint32_t first = span_start(rf_run_at(at)), end;

			if (first == RF_RUN_NONE)
				continue;
			end = span_end(first);
			if (end == heap->page_count && end - first < pages &&
				lengthen(first, pages))
				end = span_end(first);
			if (end - first >= pages)
				return fill_span(first, pages);
		}
	}
	return RF_RUN_NONE;
}
