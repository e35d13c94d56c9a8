/* SPDX-License-Identifier: MIT */
/* pages.h -- runs of whole pages, from which every block is made. */
#ifndef RF_PAGES_H
#define RF_PAGES_H

#include "super.h"

#define RF_HEAP (&RF_SUPER->heap)

/* In a cell of the page map: the run is FREE. */
#define RF_FREE_BIT (UINT32_C(1) << 31)

/* A run by its number. */
static inline struct rf_run *rf_run_at(uint32_t number)
{
	return (struct rf_run *)(RF_ARENA_BASE + RF_SUPER->runs_off) + number;
}

static inline uint32_t *rf_page_map(uint32_t page)
{
	return (uint32_t *)(RF_ARENA_BASE + RF_SUPER->map_off) + page;
}

/* The run that begins with that page. */
static inline struct rf_run *rf_page_run(uint32_t page)
{
	return rf_run_at(*rf_page_map(page) & ~RF_FREE_BIT);
}

/* The same for those who believe nothing; NULL: there is none. */
static inline struct rf_run *rf_page_run_found(uint32_t page)
{
	uint32_t number = *rf_page_map(page) & ~RF_FREE_BIT;
	struct rf_run *run = rf_run_at(number);

	return number < RF_HEAP->run_count && number < RF_HEAP->page_max &&
			       run->first == page
		       ? run
		       : NULL;
}

static inline uint8_t *rf_page_at(uint32_t page)
{
	return (uint8_t *)RF_ARENA_BASE + RF_SUPER->heap_off +
	       ((size_t)page << RF_PAGE_SHIFT);
}

/* Whether a pointer found in the arena leads to words that can be read there,
 * for those who must not trust it. */
static inline bool rf_heap_holds(const void *at, size_t bytes)
{
	size_t off = (size_t)((const uint8_t *)at - rf_page_at(0));
	size_t end = (size_t)RF_HEAP->page_count << RF_PAGE_SHIFT;

	return off % 8 == 0 && off < end && bytes <= end - off;
}

/* Take `pages` pages in a row, the first one at a multiple of `alignment`.
 * The entry up to its bitmap is logged, `first` and `pages` are set, all else
 * is the caller's to set.
 *
 * Returns  the run's number; RF_RUN_NONE when there are none and the arena
 *          cannot grow
 * On abort never taken */
uint32_t rf_pages_take(uint32_t pages, uint32_t alignment);

/* Give a run back: joins free neighbours. Its old entry is the caller's last
 * word on it. Called by the commit only, so nothing is reused before. */
void rf_pages_give(uint32_t number);

/* Make a taken run longer, by free pages after it. False: nothing changed. */
bool rf_pages_extend(uint32_t number, uint32_t pages);

/* Make a taken run shorter. The rest is given back: called by the commit only.
 * False: nothing changed. */
bool rf_pages_cut(uint32_t number, uint32_t pages);

#endif
