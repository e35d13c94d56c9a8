/* SPDX-License-Identifier: MIT */
/* pages.c -- runs of pages: take, give back, lengthen, shorten, grow.
 *
 * The idea. Every page of the heap belongs to exactly one run: FREE, LARGE (one
 * block) or SMALL (blocks of one class). Runs do not overlap and do not leave
 * gaps, so the heap can be walked from the first page to the last.
 *
 * Whoever needs pages gets them from the first of these that has enough: a free
 * run; a hole (pages_trim.c), whose memory is asked for anew; growth of the
 * heap; the empty runs that classes keep; free runs and holes side by side. So
 * every free page can serve any later use.
 */
#include "heap_private.h"
#include "pages_private.h"
#include <errno.h>

#define GROW_PAGES 512u /* 2 MiB: a huge page; ~0.5 ms of zeroing */

/* When no free run is long enough. */
static uint32_t make(uint32_t pages)
{
	uint32_t number = rf_hole_fill(pages);

	if (number != RF_RUN_NONE)
		return number;
	if (rf_pages_grow(pages) == 0)
		return rf_bin_find(pages, 0, RF_LOOK_ALL);
	number = rf_bin_find(pages, 0, RF_LOOK_ALL);
	if (number != RF_RUN_NONE)
		return number;
	if (rf_heap_reclaim() > 0) {
		number = rf_bin_find(pages, 0, RF_LOOK_ALL);
		/* What came back at the end of the heap makes do with less
		 * growth. */
		if (number == RF_RUN_NONE && rf_pages_grow(pages) == 0)
			number = rf_bin_find(pages, 0, RF_LOOK_ALL);
	}
	return number != RF_RUN_NONE ? number : rf_hole_gather(pages);
}

uint32_t rf_pages_take(uint32_t pages, uint32_t alignment)
{
	uint32_t enough = pages + alignment - 1;
	uint32_t number = rf_bin_find(enough, 0, RF_LOOK_SHORT);
	uint32_t first;

	if (number == RF_RUN_NONE)
		number = make(enough);
	if (number == RF_RUN_NONE || rf_tx_error() != 0)
		return RF_RUN_NONE;
	first = rf_run_at(number)->first;
	first = (first + alignment - 1) & ~(alignment - 1);
	return rf_run_carve(number, first, pages);
}

void rf_pages_give(uint32_t number)
{
	rf_run_put(number, 0);
}

/* The free run that begins with that page, of at least that length and with
 * memory; RF_RUN_NONE. */
static uint32_t free_at(uint32_t page, uint32_t pages)
{
	uint32_t cell;
	const struct rf_run *run;

	if (page >= RF_HEAP->page_count)
		return RF_RUN_NONE;
	cell = *rf_page_map(page);
	if (!(cell & RF_FREE_BIT))
		return RF_RUN_NONE;
	cell &= ~RF_FREE_BIT;
	run = rf_run_at(cell);
	if (run->pages < pages)
		return RF_RUN_NONE;
	return run->hole == 0 || rf_pages_back(page, pages) == 0 ? cell
								 : RF_RUN_NONE;
}

/* Whether a page is the end of the heap, or only free ones with memory are
 * between it and there. */
static bool is_at_end(uint32_t page)
{
	const struct rf_run *run;

	if (page == RF_HEAP->page_count)
		return true;
	if (!(*rf_page_map(page) & RF_FREE_BIT))
		return false;
	run = rf_page_run(page);
	return run->hole == 0 && run->first + run->pages == RF_HEAP->page_count;
}

bool rf_pages_extend(uint32_t number, uint32_t pages)
{
	struct rf_run *run = rf_run_at(number);
	uint32_t after = run->first + run->pages;
	uint32_t more = pages - run->pages;
	uint32_t next = free_at(after, more);

	if (next == RF_RUN_NONE && is_at_end(after) && rf_pages_grow(more) == 0)
		next = free_at(after, more);
	if (next == RF_RUN_NONE)
		return false;
	next = rf_run_carve(next, after, more);
	if (next == RF_RUN_NONE)
		return false;
	rf_run_entry_give(next);
	rf_tx_log(run, RF_RUN_HEAD);
	if (rf_tx_error() != 0)
		return false;
	run->pages = pages;
	*rf_page_map(run->first + pages - 1) = number; /* logged by carve */
	return true;
}

bool rf_pages_cut(uint32_t number, uint32_t pages)
{
	struct rf_run *run = rf_run_at(number), *tail;
	uint32_t rest = run->pages - pages;
	uint32_t other = rf_run_entry();

	if (other == RF_RUN_NONE)
		return false;
	rf_tx_log(run, RF_RUN_HEAD);
	rf_tx_log(rf_page_map(run->first + pages - 1), sizeof(uint32_t));
	if (rf_tx_error() != 0)
		return false;
	run->pages = pages;
	*rf_page_map(run->first + pages - 1) = number;
	tail = rf_run_at(other);
	tail->first = run->first + pages;
	tail->pages = rest;
	rf_run_put(other, 0);
	return true;
}

int rf_pages_back(uint32_t from, uint32_t pages)
{
	const struct rf_super *super = RF_SUPER;
	int error = rf_segment_back(rf_arena_segment,
		super->map_off + from * sizeof(uint32_t),
		pages * sizeof(uint32_t));

	return error != 0 ? error
			  : rf_segment_back(rf_arena_segment,
				    super->heap_off +
					    ((size_t)from << RF_PAGE_SHIFT),
				    (size_t)pages << RF_PAGE_SHIFT);
}

/* Of the pages at the end of the heap, how many are free already. A hole never
 * stands there. */
static uint32_t free_at_end(void)
{
	uint32_t count = RF_HEAP->page_count;
	uint32_t cell = count > 0 ? *rf_page_map(count - 1) : 0;

	return cell & RF_FREE_BIT ? rf_run_at(cell & ~RF_FREE_BIT)->pages : 0;
}

int rf_pages_grow(uint32_t pages)
{
	struct rf_heap_shm *heap = RF_HEAP;
	uint32_t count = heap->page_count;
	uint32_t at_end = free_at_end();
	uint32_t need = pages > at_end ? pages - at_end : 0;
	uint32_t step = need > GROW_PAGES ? need : GROW_PAGES;
	uint32_t number;

	if (need > heap->page_max - count)
		return -ENOMEM;
	if (step > heap->page_max - count)
		step = heap->page_max - count;
	if (step == 0)
		return -ENOMEM;
	if (rf_pages_back(count, step) != 0) {
		step = need;
		if (rf_pages_back(count, step) != 0)
			return -ENOMEM;
	}
	number = rf_run_entry();
	if (number == RF_RUN_NONE)
		return rf_tx_error() != 0 ? rf_tx_error() : -ENOMEM;
	RF_SET(heap->page_count, count + step);
	if (rf_tx_error() != 0)
		return rf_tx_error();
	/* As if they had been one run that is now given back. */
	rf_run_at(number)->first = count;
	rf_run_at(number)->pages = step;
	rf_run_put(number, 0);
	return rf_tx_error();
}

int rf_pages_init(uint32_t page_max, uint32_t page_count)
{
	struct rf_heap_shm *heap = RF_HEAP;

	heap->page_max = page_max;
	heap->page_least = page_count;
	heap->run_unused = RF_RUN_NONE;
	for (uint8_t hole = 0; hole < 2; hole++)
		for (uint32_t i = 0; i < RF_BIN_COUNT; i++)
			heap->bins[hole][i] = RF_RUN_NONE;
	for (uint32_t i = 0; i < RF_CLASS_COUNT; i++)
		heap->classes[i] = heap->spares[i] = RF_RUN_NONE;
	return rf_pages_grow(page_count);
}
