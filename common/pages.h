/* SPDX-License-Identifier: MIT */
/* pages.h -- runs of whole pages, from which every block is made. */
#ifndef RF_PAGES_H
#define RF_PAGES_H

#include "super.h"

#define RF_HEAP (&RF_SUPER->heap)

static inline struct rf_run *rf_page_run(uint32_t page)
{
	return (struct rf_run *)(RF_ARENA_BASE + RF_SUPER->runs_off) + page;
}

static inline uint32_t *rf_page_map(uint32_t page)
{
	return (uint32_t *)(RF_ARENA_BASE + RF_SUPER->map_off) + page;
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

/* Take `pages` pages in a row. The entry of the first one is logged, its
 * `pages` set, everything else is the caller's to set.
 *
 * Returns  the first page; RF_PAGE_NONE when there are none and the arena
 *          cannot grow
 * On abort never taken */
uint32_t rf_pages_take(uint32_t pages);

/* Give a run back: joins free neighbours. Its old entry is the caller's last
 * word on it. Called by the commit only, so nothing is reused before. */
void rf_pages_give(uint32_t first);

/* Put memory behind at least `pages` more pages; they become a free run.
 * 0 or -ENOMEM. */
int rf_pages_grow(uint32_t pages);

#endif
