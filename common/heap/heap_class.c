/* SPDX-License-Identifier: MIT */
/* heap_class.c -- size classes, and the runs of pages they are cut from.
 *
 * A run's blocks are counted by its bitmap alone: full is all words full (what
 * is beyond the last block counts as taken), empty is the bitmap it began with.
 * So taking or giving a block changes one word.
 *
 * A class keeps one empty run, its spare, out of its list: a lone block taken
 * and freed again does not make and unmake a run each time, and while others
 * have room the spare stays empty and can be reclaimed.
 */
#include "heap_private.h"
#include "pages_private.h"
#include "verify/walk_form.h"

#define PAGES_MAX  16u
#define BLOCKS_MAX (RF_RUN_WORDS * 64u)
#define BLOCKS	   256u /* wanted */

/* 16 .. 64 by 8, .. 128 by 16, then four per power of two. */
static const uint16_t class_bytes[RF_CLASS_COUNT] = {16, 24, 32, 40, 48, 56, 64,
	80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768, 896,
	1024, 1280, 1536, 1792, 2048, 2560, 3072, 3584, 4096, 5120, 6144, 7168,
	8192};

struct rf_class_table rf_class_table;

/* The shortest run of enough blocks; else, of the longer half of lengths, the
 * longest of those that waste least. */
static uint32_t pages_of(uint32_t bytes)
{
	uint32_t best = 1, waste = UINT32_MAX;

	for (uint32_t pages = 1; pages <= PAGES_MAX; pages++) {
		uint32_t blocks = pages * 4096 / bytes;

		if (blocks > BLOCKS_MAX)
			return best;
		if (blocks >= BLOCKS)
			return pages;
		if (pages * 2 > PAGES_MAX || waste == UINT32_MAX) {
			uint32_t left = pages * 4096 % bytes * 64 / pages;

			if (left <= waste || pages * 2 <= PAGES_MAX) {
				waste = pages * 2 > PAGES_MAX ? left
							      : UINT32_MAX;
				best = pages;
			}
		} else {
			best = pages;
		}
	}
	return best;
}

static void class_init(uint32_t klass)
{
	struct rf_class *class = &rf_class_table.classes[klass];
	struct rf_run run = {.kind = RF_RUN_SMALL, .klass = (uint8_t)klass};
	uint32_t bytes = class_bytes[klass];
	uint32_t pages = pages_of(bytes);
	uint32_t blocks = pages * 4096 / bytes;

	class->bytes = bytes;
	class->inverse = (uint32_t)((UINT64_C(1) << 32) / bytes + 1);
	class->blocks = (uint16_t)blocks;
	class->pages = (uint16_t)pages;
	class->sort = rf_run_sort(&run);
	class->lazy = blocks >= 64;
	for (uint32_t i = 0; i < BLOCKS_MAX; i++)
		if (i >= blocks)
			class->empty[i / 64] |= UINT64_C(1) << (i % 64);
}

__attribute__((constructor)) static void table_init(void)
{
	uint32_t klass = 0;

	for (uint32_t line = 0; line <= RF_CLASS_LINE / 8; line++) {
		if (class_bytes[klass] < line * 8)
			klass++;
		rf_class_table.by_line[line] = (uint8_t)klass;
	}
	for (klass = 0; klass < RF_CLASS_COUNT; klass++)
		class_init(klass);
}

uint32_t rf_heap_class_bytes(uint32_t klass)
{
	return klass < RF_CLASS_COUNT ? class_bytes[klass] : 0;
}

uint32_t rf_heap_class_pages(uint32_t klass)
{
	return klass < RF_CLASS_COUNT ? rf_class_table.classes[klass].pages : 0;
}

/* The word that this stands in. */
static inline int keep(const void *at)
{
	if (rf_unlikely(rf_tx_state.error != 0))
		return rf_tx_state.error;
	return rf_heap_keep((const uint64_t *)((uintptr_t)at & ~(uintptr_t)7));
}

void rf_class_link(uint32_t number)
{
	struct rf_run *run = rf_run_at(number);
	uint32_t *head = &RF_HEAP->classes[run->klass];

	if (keep(&run->prev) != 0 || keep(&run->kind) != 0 || keep(head) != 0 ||
		(*head != RF_RUN_NONE && keep(&rf_run_at(*head)->prev) != 0))
		return;
	if (*head != RF_RUN_NONE)
		rf_run_at(*head)->prev = number;
	run->prev = RF_RUN_NONE;
	run->next = *head;
	run->linked = 1;
	*head = number;
}

void rf_class_unlink(uint32_t number)
{
	struct rf_run *run = rf_run_at(number);
	struct rf_run *next = rf_run_at(run->next);
	uint32_t *before = run->prev != RF_RUN_NONE
				   ? &rf_run_at(run->prev)->next
				   : &RF_HEAP->classes[run->klass];

	if (keep(before) != 0 || keep(&run->kind) != 0 ||
		(run->next != RF_RUN_NONE && keep(&next->prev) != 0))
		return;
	*before = run->next;
	if (run->next != RF_RUN_NONE)
		next->prev = run->prev;
	run->linked = 0;
}

static uint32_t make_run(uint32_t klass)
{
	const struct rf_class *class = &rf_class_table.classes[klass];
	uint32_t number = rf_pages_take(class->pages, 1);
	struct rf_run *run;
	uint32_t *cells;

	if (number == RF_RUN_NONE)
		return number;
	run = rf_run_at(number);
	cells = rf_page_map(run->first);
	/* Meaningless bytes, too: the entry and the pages may have been an
	 * empty run that rf_heap_reclaim() gave up in this transaction. */
	rf_tx_log(run->bitmap, sizeof run->bitmap);
	rf_tx_log(cells, class->pages * sizeof *cells);
	if (rf_tx_error() != 0)
		return RF_RUN_NONE;
	memcpy(run->bitmap, class->empty, sizeof run->bitmap);
	run->kind = RF_RUN_SMALL;
	run->klass = (uint8_t)klass;
	run->linked = 0;
	for (uint32_t i = 0; i < class->pages; i++)
		cells[i] = number;
	rf_paint_run(rf_page_at(run->first), rf_run_bytes(run));
	return number;
}

uint32_t rf_class_run(uint32_t klass)
{
	uint32_t number = RF_HEAP->spares[klass];

	if (number != RF_RUN_NONE)
		RF_SET(RF_HEAP->spares[klass], RF_RUN_NONE);
	else
		number = make_run(klass);
	if (number != RF_RUN_NONE)
		rf_class_link(number);
	return rf_tx_error() == 0 ? number : RF_RUN_NONE;
}

void rf_class_retire(uint32_t number)
{
	uint32_t *spare = &RF_HEAP->spares[rf_run_at(number)->klass];

	rf_class_unlink(number);
	if (*spare == RF_RUN_NONE)
		RF_SET(*spare, number);
	else
		rf_pages_give(number);
}

size_t rf_heap_reclaim(void)
{
	size_t given = 0;

	for (uint32_t klass = 0; klass < RF_CLASS_COUNT; klass++) {
		uint32_t *spare = &RF_HEAP->spares[klass];
		uint32_t number = *spare;

		if (number == RF_RUN_NONE)
			continue;
		RF_SET(*spare, RF_RUN_NONE);
		rf_pages_give(number);
		given++;
	}
	return given;
}
