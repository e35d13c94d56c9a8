/* SPDX-License-Identifier: MIT */
/* pages_bins.c -- free runs in bins by length, and the entries of all runs.
 *
 * The idea. Free runs hang in bins by length, as in TLSF: exact below 16
 * pages, eight bins per power of two above, one bit per bin that is not empty.
 * Runs with memory and holes (runs whose memory the system has back) hang in
 * bins of their own and do not join each other.
 *
 * The page map holds, for the first and the last page of every run, the run's
 * number (with RF_FREE_BIT for free runs): what a neighbour must know to join.
 * For SMALL runs every page has it, so that any block finds its run. Other
 * cells mean nothing.
 *
 * All of it changes under the log, except cells and entries that meant nothing
 * when the transaction began (T4).
 *
 * Source. Masmano et al., "TLSF: a New Dynamic Memory Allocator for Real-Time
 * Systems", ECRTS 2004.
 */
#include "pages_private.h"

#define EXACT	    16u
#define ENTRIES_ADD 1024u /* entries that get memory at once: 64 KiB */

uint32_t rf_bin_of(uint32_t pages)
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
	return rf_bin_of(pages + (UINT32_C(1) << (log2 - 3)) - 1);
}

static uint32_t first_bin_from(uint32_t bin, uint8_t hole)
{
	for (uint32_t word = bin / 64; word < RF_BIN_COUNT / 64; word++) {
		uint64_t bits = RF_HEAP->bin_map[hole][word];

		if (word == bin / 64)
			bits &= ~UINT64_C(0) << (bin % 64);
		if (bits != 0)
			return word * 64 + (uint32_t)__builtin_ctzll(bits);
	}
	return RF_BIN_COUNT;
}

/* The first of a bin in which all fit, else any that fits in the bin before
 * it. */
uint32_t rf_bin_find(uint32_t pages, uint8_t hole, uint32_t look)
{
	uint32_t bin = first_bin_from(bin_for(pages), hole);
	uint32_t number;

	if (bin < RF_BIN_COUNT)
		return RF_HEAP->bins[hole][bin];
	if (pages < EXACT)
		return RF_RUN_NONE;
	number = RF_HEAP->bins[hole][rf_bin_of(pages)];
	for (; number != RF_RUN_NONE && look > 0; look--) {
		if (rf_run_at(number)->pages >= pages)
			return number;
		number = rf_run_at(number)->next;
	}
	return RF_RUN_NONE;
}

uint32_t rf_bin_longest(uint8_t hole, uint32_t least)
{
	uint32_t bin = rf_bin_of(least);

	for (uint32_t word = RF_BIN_COUNT / 64; word-- > 0;) {
		uint64_t bits = RF_HEAP->bin_map[hole][word];
		uint32_t top;

		if (bits == 0)
			continue;
		top = word * 64 + 63 - (uint32_t)__builtin_clzll(bits);
		return top >= bin ? RF_HEAP->bins[hole][top] : RF_RUN_NONE;
	}
	return RF_RUN_NONE;
}

/* ---- entries ---- */

static int ready_more(void)
{
	const struct rf_super *super = RF_SUPER;
	uint32_t ready = super->heap.run_ready;
	uint32_t more = super->heap.page_max - ready;
	int error;

	if (more > ENTRIES_ADD)
		more = ENTRIES_ADD;
	if (more == 0)
		return -1;
	error = rf_segment_back(rf_arena_segment,
		super->runs_off + ready * sizeof(struct rf_run),
		more * sizeof(struct rf_run));
	if (error == 0)
		RF_SET(RF_HEAP->run_ready, ready + more);
	return error;
}

uint32_t rf_run_entry(void)
{
	struct rf_heap_shm *heap = RF_HEAP;
	uint32_t number = heap->run_unused;

	if (number != RF_RUN_NONE) {
		RF_SET(heap->run_unused, rf_run_at(number)->next);
	} else {
		if (heap->run_count == heap->run_ready && ready_more() != 0)
			return RF_RUN_NONE;
		number = heap->run_count;
		RF_SET(heap->run_count, number + 1);
	}
	rf_tx_log(rf_run_at(number), RF_RUN_HEAD);
	return rf_tx_error() == 0 ? number : RF_RUN_NONE;
}

void rf_run_entry_give(uint32_t number)
{
	struct rf_run *run = rf_run_at(number);

	rf_tx_log(run, RF_RUN_HEAD);
	if (rf_tx_log(&RF_HEAP->run_unused, sizeof(uint32_t)) != 0)
		return;
	run->kind = RF_RUN_UNUSED;
	run->next = RF_HEAP->run_unused;
	RF_HEAP->run_unused = number;
}

/* ---- free runs ---- */

static void flag_bin(uint32_t bin, uint8_t hole, bool full)
{
	uint64_t *map = &RF_HEAP->bin_map[hole][bin / 64];
	uint64_t bit = UINT64_C(1) << (bin % 64);

	if (((*map & bit) != 0) != full)
		RF_SET(*map, *map ^ bit);
}

static void push(uint32_t number, uint32_t first, uint32_t pages, uint8_t hole)
{
	uint32_t bin = rf_bin_of(pages);
	uint32_t *place = &RF_HEAP->bins[hole][bin];
	uint32_t head = *place;
	struct rf_run *run = rf_run_at(number);

	rf_tx_log(run, RF_RUN_HEAD);
	rf_tx_log(rf_page_map(first), sizeof(uint32_t));
	rf_tx_log(rf_page_map(first + pages - 1), sizeof(uint32_t));
	if (head != RF_RUN_NONE)
		RF_SET(rf_run_at(head)->prev, number);
	RF_SET(*place, number);
	RF_SET(RF_HEAP->free_pages[hole], RF_HEAP->free_pages[hole] + pages);
	flag_bin(bin, hole, true);
	if (rf_tx_error() != 0)
		return;
	run->first = first;
	run->pages = pages;
	run->kind = RF_RUN_FREE;
	run->hole = hole;
	run->prev = RF_RUN_NONE;
	run->next = head;
	*rf_page_map(first) = number | RF_FREE_BIT;
	*rf_page_map(first + pages - 1) = number | RF_FREE_BIT;
}

void rf_run_remove(uint32_t number)
{
	struct rf_run *run = rf_run_at(number);
	uint32_t bin = rf_bin_of(run->pages);
	uint8_t hole = run->hole;

	if (run->next != RF_RUN_NONE)
		RF_SET(rf_run_at(run->next)->prev, run->prev);
	if (run->prev != RF_RUN_NONE)
		RF_SET(rf_run_at(run->prev)->next, run->next);
	else
		RF_SET(RF_HEAP->bins[hole][bin], run->next);
	RF_SET(RF_HEAP->free_pages[hole],
		RF_HEAP->free_pages[hole] - run->pages);
	if (RF_HEAP->bins[hole][bin] == RF_RUN_NONE)
		flag_bin(bin, hole, false);
}

/* The free run of that sort that a page belongs to, as its first or last one;
 * RF_RUN_NONE. Takes it out of its bin and gives its entry back. */
static const struct rf_run *join(uint32_t page, uint8_t hole)
{
	uint32_t cell;

	if (page >= RF_HEAP->page_count)
		return NULL;
	cell = *rf_page_map(page);
	if (!(cell & RF_FREE_BIT))
		return NULL;
	cell &= ~RF_FREE_BIT;
	if (rf_run_at(cell)->hole != hole)
		return NULL;
	rf_run_remove(cell);
	rf_run_entry_give(cell);
	return rf_run_at(cell);
}

void rf_run_put(uint32_t number, uint8_t hole)
{
	struct rf_run *run = rf_run_at(number);
	uint32_t first = run->first, pages = run->pages;
	const struct rf_run *other;

	/* Also when it joins the run before it: a pointer that still leads
	 * here must not find a block. */
	RF_SET(run->kind, RF_RUN_FREE);
	other = join(first + pages, hole);
	if (other != NULL)
		pages += other->pages;
	other = first > 0 ? join(first - 1, hole) : NULL;
	if (other != NULL) {
		first = other->first;
		pages += other->pages;
	}
	push(number, first, pages, hole);
}

uint32_t rf_run_carve(uint32_t number, uint32_t start, uint32_t pages)
{
	struct rf_run *run = rf_run_at(number);
	uint32_t first = run->first, front = start - first;
	uint32_t rest = run->pages - front - pages;
	uint32_t before = front > 0 ? rf_run_entry() : RF_RUN_NONE;
	uint32_t behind = rest > 0 ? rf_run_entry() : RF_RUN_NONE;

	if ((front > 0 && before == RF_RUN_NONE) ||
		(rest > 0 && behind == RF_RUN_NONE)) {
		if (before != RF_RUN_NONE)
			rf_run_entry_give(before);
		return RF_RUN_NONE;
	}
	rf_run_remove(number);
	rf_tx_log(run, RF_RUN_HEAD);
	rf_tx_log(rf_page_map(start), sizeof(uint32_t));
	rf_tx_log(rf_page_map(start + pages - 1), sizeof(uint32_t));
	if (front > 0)
		push(before, first, front, run->hole);
	if (rest > 0)
		push(behind, start + pages, rest, run->hole);
	if (rf_tx_error() != 0)
		return RF_RUN_NONE;
	run->first = start;
	run->pages = pages;
	*rf_page_map(start) = number;
	*rf_page_map(start + pages - 1) = number;
	return number;
}
