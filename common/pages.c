/* SPDX-License-Identifier: MIT */
/* pages.c -- runs of pages: take, give back, join, grow.
 *
 * The idea. Every page of the heap belongs to exactly one run: FREE, LARGE (one
 * block) or SMALL (blocks of one class). Free runs hang in bins by length, as
 * in TLSF: exact below 16 pages, eight bins per power of two above, one bit per
 * bin that is not empty. Runs do not overlap and do not leave gaps, so the heap
 * can be walked from the first page to the last.
 *
 * The page map holds, for the first and the last page of every run, the number
 * of the run's first page (with FREE_BIT for free runs): what a neighbour must
 * know to join. For SMALL runs every page has it, so that any block finds its
 * run. Other cells mean nothing.
 *
 * All of it changes under the log, except cells and entries that meant nothing
 * when the transaction began (T4).
 *
 * Source. Masmano et al., "TLSF: a New Dynamic Memory Allocator for Real-Time
 * Systems", ECRTS 2004.
 */
#include "pages.h"
#include "heap_private.h"
#include "tx_log.h"
#include <errno.h>
#include <refork/heap.h>
#include <refork/log.h>

#define FREE_BIT   (UINT32_C(1) << 31)
#define EXACT	   16u
#define GROW_PAGES 512u /* 2 MiB: a huge page; ~0.5 ms of zeroing */

/* The bin that a run of that length hangs in. */
static uint32_t bin_of(uint32_t pages)
{
	uint32_t log2;

	if (pages < EXACT)
		return pages;
	log2 = 31 - (uint32_t)__builtin_clz(pages);
	return EXACT + (log2 - 4) * 8 + ((pages >> (log2 - 3)) & 7);
}

/* The first bin in which every run has at least that length. */
static uint32_t bin_for(uint32_t pages)
{
	uint32_t log2;

	if (pages < EXACT)
		return pages;
	log2 = 31 - (uint32_t)__builtin_clz(pages);
	return bin_of(pages + (UINT32_C(1) << (log2 - 3)) - 1);
}

static uint32_t first_bin_from(uint32_t bin)
{
	for (uint32_t word = bin / 64; word < RF_BIN_COUNT / 64; word++) {
		uint64_t bits = RF_HEAP->bin_map[word];

		if (word == bin / 64)
			bits &= ~UINT64_C(0) << (bin % 64);
		if (bits != 0)
			return word * 64 + (uint32_t)__builtin_ctzll(bits);
	}
	return RF_BIN_COUNT;
}

static void bin_push(uint32_t first, uint32_t pages)
{
	uint32_t bin = bin_of(pages);
	uint32_t head = RF_HEAP->bins[bin];
	uint64_t *map = &RF_HEAP->bin_map[bin / 64];
	struct rf_run *run = rf_page_run(first);

	rf_tx_log(run, offsetof(struct rf_run, bitmap));
	rf_tx_log(rf_page_map(first), sizeof(uint32_t));
	rf_tx_log(rf_page_map(first + pages - 1), sizeof(uint32_t));
	if (head != RF_PAGE_NONE)
		RF_SET(rf_page_run(head)->prev, first);
	RF_SET(RF_HEAP->bins[bin], first);
	RF_SET(*map, *map | UINT64_C(1) << (bin % 64));
	if (rf_tx_error() != 0)
		return;
	run->pages = pages;
	run->kind = RF_RUN_FREE;
	run->prev = RF_PAGE_NONE;
	run->next = head;
	*rf_page_map(first) = first | FREE_BIT;
	*rf_page_map(first + pages - 1) = first | FREE_BIT;
}

static void bin_remove(uint32_t first)
{
	struct rf_run *run = rf_page_run(first);
	uint32_t bin = bin_of(run->pages);
	uint64_t *map = &RF_HEAP->bin_map[bin / 64];

	if (run->next != RF_PAGE_NONE)
		RF_SET(rf_page_run(run->next)->prev, run->prev);
	if (run->prev != RF_PAGE_NONE)
		RF_SET(rf_page_run(run->prev)->next, run->next);
	else
		RF_SET(RF_HEAP->bins[bin], run->next);
	if (RF_HEAP->bins[bin] == RF_PAGE_NONE)
		RF_SET(*map, *map & ~(UINT64_C(1) << (bin % 64)));
}

/* A free run of at least that length: the first of a bin in which all fit,
 * else any that fits in the bin before it. */
static uint32_t find_free(uint32_t pages)
{
	uint32_t bin = first_bin_from(bin_for(pages));

	if (bin < RF_BIN_COUNT)
		return RF_HEAP->bins[bin];
	for (uint32_t first = RF_HEAP->bins[bin_of(pages)];
		first != RF_PAGE_NONE; first = rf_page_run(first)->next)
		if (rf_page_run(first)->pages >= pages)
			return first;
	return RF_PAGE_NONE;
}

static uint32_t find_or_make(uint32_t pages)
{
	uint32_t first = find_free(pages);

	if (first != RF_PAGE_NONE)
		return first;
	if (rf_pages_grow(pages) == 0)
		return find_free(pages);
	if (rf_heap_reclaim() == 0)
		return RF_PAGE_NONE;
	first = find_free(pages);
	/* What came back at the end of the heap makes do with less growth. */
	if (first == RF_PAGE_NONE && rf_pages_grow(pages) == 0)
		first = find_free(pages);
	return first;
}

uint32_t rf_pages_take(uint32_t pages)
{
	uint32_t first = find_or_make(pages);
	struct rf_run *run;
	uint32_t rest;

	if (first == RF_PAGE_NONE || rf_tx_error() != 0)
		return RF_PAGE_NONE;
	run = rf_page_run(first);
	rest = run->pages - pages;
	bin_remove(first);
	rf_tx_log(run, offsetof(struct rf_run, bitmap));
	rf_tx_log(rf_page_map(first), sizeof(uint32_t));
	rf_tx_log(rf_page_map(first + pages - 1), sizeof(uint32_t));
	if (rest > 0)
		bin_push(first + pages, rest);
	if (rf_tx_error() != 0)
		return RF_PAGE_NONE;
	run->pages = pages;
	*rf_page_map(first) = first;
	*rf_page_map(first + pages - 1) = first;
	return first;
}

void rf_pages_give(uint32_t first)
{
	uint32_t pages = rf_page_run(first)->pages;
	uint32_t after = first + pages;

	/* Also when it joins the run before it: a pointer that still leads
	 * here must not find a block. */
	RF_SET(rf_page_run(first)->kind, RF_RUN_FREE);

	if (after < RF_HEAP->page_count && (*rf_page_map(after) & FREE_BIT)) {
		bin_remove(after);
		pages += rf_page_run(after)->pages;
	}
	if (first > 0 && (*rf_page_map(first - 1) & FREE_BIT)) {
		uint32_t before = *rf_page_map(first - 1) & ~FREE_BIT;

		bin_remove(before);
		pages += first - before;
		first = before;
	}
	bin_push(first, pages);
}

/* Memory for pages [from, from + pages): their map, entries, themselves. */
static int back_pages(uint32_t from, uint32_t pages)
{
	const struct rf_super *super = RF_SUPER;
	const struct {
		uint64_t off;
		size_t unit;
	} parts[] = {
		{super->map_off, sizeof(uint32_t)},
		{super->runs_off, sizeof(struct rf_run)},
		{super->heap_off, RF_PAGE_BYTES},
	};

	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		int error = rf_segment_back(rf_arena_segment,
			parts[i].off + from * parts[i].unit,
			pages * parts[i].unit);

		if (error != 0)
			return error;
	}
	return 0;
}

/* Of the pages at the end of the heap, how many are free already. */
static uint32_t free_at_end(void)
{
	uint32_t count = RF_HEAP->page_count;
	uint32_t cell = count > 0 ? *rf_page_map(count - 1) : 0;

	return cell & FREE_BIT ? count - (cell & ~FREE_BIT) : 0;
}

int rf_pages_grow(uint32_t pages)
{
	struct rf_heap_shm *heap = RF_HEAP;
	uint32_t count = heap->page_count;
	uint32_t need = pages - free_at_end();
	uint32_t step = need > GROW_PAGES ? need : GROW_PAGES;

	if (need > heap->page_max - count)
		return -ENOMEM;
	if (step > heap->page_max - count)
		step = heap->page_max - count;
	if (back_pages(count, step) != 0) {
		step = need;
		if (back_pages(count, step) != 0)
			return -ENOMEM;
	}
	RF_SET(heap->page_count, count + step);
	if (rf_tx_error() != 0)
		return rf_tx_error();
	/* As if they had been one run that is now given back. */
	rf_page_run(count)->pages = step;
	*rf_page_map(count) = count;
	rf_pages_give(count);
	return rf_tx_error();
}

int rf_pages_init(uint32_t page_max, uint32_t page_count)
{
	struct rf_heap_shm *heap = RF_HEAP;

	heap->page_max = page_max;
	heap->page_count = 0;
	for (uint32_t i = 0; i < RF_BIN_COUNT; i++)
		heap->bins[i] = RF_PAGE_NONE;
	for (uint32_t i = 0; i < RF_CLASS_COUNT; i++)
		heap->classes[i] = RF_PAGE_NONE;
	return rf_pages_grow(page_count);
}

/* ---- the walker ---- */

static int bad(uint32_t page, const char *what)
{
	rf_log(RF_LOG_ERROR, "heap check: page %u at %p: %s", page,
		(void *)rf_page_at(page), what);
	return -EBADMSG;
}

static int check_bins(uint64_t free_pages)
{
	uint64_t seen = 0;

	for (uint32_t bin = 0; bin < RF_BIN_COUNT; bin++) {
		uint32_t prev = RF_PAGE_NONE;
		bool flagged = RF_HEAP->bin_map[bin / 64] >> (bin % 64) & 1;

		if (flagged != (RF_HEAP->bins[bin] != RF_PAGE_NONE))
			return bad(bin, "bin and its bit disagree");
		for (uint32_t at = RF_HEAP->bins[bin]; at != RF_PAGE_NONE;
			at = rf_page_run(at)->next) {
			const struct rf_run *run = rf_page_run(at);

			if (at >= RF_HEAP->page_count)
				return bad(at, "bin leads out of the heap");
			if (run->kind != RF_RUN_FREE || run->prev != prev ||
				bin_of(run->pages) != bin)
				return bad(at, "does not belong into its bin");
			seen += run->pages;
			if (seen > free_pages)
				return bad(at, "bins hold a page twice");
			prev = at;
		}
	}
	return seen == free_pages ? 0 : bad(0, "a free run is in no bin");
}

static int check_run(uint32_t at, bool after_free)
{
	const struct rf_run *run = rf_page_run(at);
	bool is_free = run->kind == RF_RUN_FREE;
	uint32_t want = is_free ? at | FREE_BIT : at;

	if (run->pages == 0 || run->pages > RF_HEAP->page_count - at)
		return bad(at, "run of impossible length");
	if (run->kind < RF_RUN_FREE || run->kind > RF_RUN_SMALL)
		return bad(at, "run of no kind");
	if (*rf_page_map(at) != want ||
		*rf_page_map(at + run->pages - 1) != want)
		return bad(at, "page map disagrees with the run");
	if (is_free && after_free)
		return bad(at, "two free runs side by side");
	return 0;
}

int rf_pages_check(void)
{
	uint64_t free_pages = 0;
	bool after_free = false;

	if (RF_HEAP->page_max != RF_SUPER->max_bytes >> RF_PAGE_SHIFT)
		return bad(0, "limit of pages is not that of the arena");
	if (RF_HEAP->page_count > RF_HEAP->page_max)
		return bad(0, "more pages than the arena may have");
	for (uint32_t at = 0; at < RF_HEAP->page_count;
		at += rf_page_run(at)->pages) {
		if (check_run(at, after_free) != 0)
			return -EBADMSG;
		after_free = rf_page_run(at)->kind == RF_RUN_FREE;
		if (after_free)
			free_pages += rf_page_run(at)->pages;
	}
	return check_bins(free_pages);
}
