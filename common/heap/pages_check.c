/* SPDX-License-Identifier: MIT */
/* pages_check.c -- the walker of the page runs. */
#include "pages_private.h"
#include <errno.h>
#include <refork/log.h>

static int bad(uint32_t page, const char *what)
{
	rf_log(RF_LOG_ERROR, "heap check: page %u at %p: %s", page,
		(void *)rf_page_at(page), what);
	return -EBADMSG;
}

static int check_bins(uint8_t hole)
{
	const struct rf_heap_shm *heap = RF_HEAP;
	uint64_t seen = 0;

	for (uint32_t bin = 0; bin < RF_BIN_COUNT; bin++) {
		uint32_t prev = RF_RUN_NONE, at = heap->bins[hole][bin];
		bool flagged = heap->bin_map[hole][bin / 64] >> (bin % 64) & 1;

		if (flagged != (at != RF_RUN_NONE))
			return bad(bin, "bin and its bit disagree");
		for (; at != RF_RUN_NONE; at = rf_run_at(at)->next) {
			const struct rf_run *run = rf_run_at(at);

			if (at >= heap->run_count)
				return bad(bin, "bin leads out of the runs");
			if (run->kind != RF_RUN_FREE || run->prev != prev ||
				run->hole != hole ||
				rf_bin_of(run->pages) != bin)
				return bad(run->first,
					"does not belong into its bin");
			seen += run->pages;
			if (seen > heap->free_pages[hole])
				return bad(
					run->first, "bins hold a page twice");
			prev = at;
		}
	}
	return seen == heap->free_pages[hole]
		       ? 0
		       : bad(0, "a free run is in no bin");
}

/* The run that begins with a page; NULL after a report. */
static const struct rf_run *check_run(uint32_t at)
{
	const struct rf_heap_shm *heap = RF_HEAP;
	uint32_t cell = *rf_page_map(at);
	const struct rf_run *run = rf_run_at(cell & ~RF_FREE_BIT);

	if ((cell & ~RF_FREE_BIT) >= heap->run_count)
		return bad(at, "page map leads out of the runs"), NULL;
	if (run->first != at || run->pages == 0 ||
		run->pages > heap->page_count - at)
		return bad(at, "run of impossible length"), NULL;
	if (run->kind < RF_RUN_FREE || run->kind > RF_RUN_SMALL)
		return bad(at, "run of no kind"), NULL;
	if (*rf_page_map(at + run->pages - 1) != cell ||
		((cell & RF_FREE_BIT) != 0) != (run->kind == RF_RUN_FREE))
		return bad(at, "page map disagrees with the run"), NULL;
	if (run->kind == RF_RUN_FREE && run->hole > 1)
		return bad(at, "neither free nor a hole"), NULL;
	return run;
}

static int check_unused(uint64_t runs)
{
	uint64_t unused = 0;

	for (uint32_t at = RF_HEAP->run_unused; at != RF_RUN_NONE;
		at = rf_run_at(at)->next) {
		if (at >= RF_HEAP->run_count ||
			rf_run_at(at)->kind != RF_RUN_UNUSED ||
			++unused > RF_HEAP->run_count)
			return bad(0, "list of unused entries is broken");
	}
	return runs + unused == RF_HEAP->run_count
		       ? 0
		       : bad(0, "an entry is neither used nor unused");
}

static int check_limits(const struct rf_heap_shm *heap)
{
	if (heap->page_max != RF_SUPER->max_bytes >> RF_PAGE_SHIFT)
		return bad(0, "limit of pages is not that of the arena");
	if (heap->page_count > heap->page_max)
		return bad(0, "more pages than the arena may have");
	if (heap->run_count > heap->run_ready ||
		heap->run_ready > heap->page_max)
		return bad(0, "more runs than pages");
	return 0;
}

int rf_pages_check(void)
{
	const struct rf_heap_shm *heap = RF_HEAP;
	uint64_t free_pages[2] = {0}, runs = 0;
	const struct rf_run *run, *before = NULL;

	if (check_limits(heap) != 0)
		return -EBADMSG;
	for (uint32_t at = 0; at < heap->page_count; at += run->pages) {
		run = check_run(at);
		if (run == NULL)
			return -EBADMSG;
		runs++;
		if (run->kind == RF_RUN_FREE) {
			free_pages[run->hole] += run->pages;
			if (before != NULL && before->kind == RF_RUN_FREE &&
				before->hole == run->hole)
				return bad(at, "two free runs side by side");
		}
		before = run;
	}
	if (before != NULL && before->kind == RF_RUN_FREE && before->hole)
		return bad(before->first, "a hole at the end");
	if (free_pages[0] != heap->free_pages[0] ||
		free_pages[1] != heap->free_pages[1])
		return bad(0, "free pages do not add up");
	if (check_bins(0) != 0 || check_bins(1) != 0)
		return -EBADMSG;
	return check_unused(runs);
}
