/* SPDX-License-Identifier: MIT */
/* heap_check.c -- looking at the heap: numbers, classes, the walker. */
#include "heap_private.h"
#include "tx_log.h"
#include <errno.h>
#include <refork/heap.h>
#include <refork/log.h>

static size_t bytes_of(uint64_t pages)
{
	return (size_t)pages << RF_PAGE_SHIFT;
}

static uint32_t longest_in(uint8_t hole)
{
	uint32_t longest = 0;

	/* The lengths in a bin are less than those in the next one. */
	for (uint32_t bin = RF_BIN_COUNT; bin-- > 0 && longest == 0;) {
		uint32_t at = RF_HEAP->bins[hole][bin];

		for (uint32_t steps = 0;
			at < RF_HEAP->run_count && steps < RF_HEAP->run_count;
			steps++) {
			if (rf_run_at(at)->pages > longest)
				longest = rf_run_at(at)->pages;
			at = rf_run_at(at)->next;
		}
	}
	return longest;
}

void rf_heap_stats(struct rf_heap_stats *out)
{
	const struct rf_heap_shm *heap = RF_HEAP;
	uint32_t longest = longest_in(0), hole = longest_in(1);

	out->used_bytes = rf_heap_used();
	out->size_bytes = bytes_of(heap->page_count - heap->free_pages[1]);
	out->max_bytes = bytes_of(heap->page_max);
	out->free_run_bytes = bytes_of(heap->free_pages[0]);
	out->largest_run_bytes = bytes_of(longest > hole ? longest : hole);
	out->returned_bytes = bytes_of(heap->free_pages[1]);
}

static uint64_t taken_blocks(const struct rf_run *run)
{
	const struct rf_class *class = &rf_class_table.classes[run->klass];
	uint64_t taken = 0;

	for (uint32_t i = 0; i < RF_RUN_WORDS; i++)
		taken += (uint64_t)__builtin_popcountll(
			run->bitmap[i] & ~class->empty[i]);
	return taken;
}

static void count_run(
	const struct rf_run *run, struct rf_heap_class out[RF_HEAP_CLASSES])
{
	bool small = run->kind == RF_RUN_SMALL;
	struct rf_heap_class *to = &out[small ? run->klass : RF_CLASS_COUNT];

	if (small ? run->klass >= RF_CLASS_COUNT : run->kind != RF_RUN_LARGE)
		return;
	to->runs++;
	to->runs_bytes += rf_run_bytes(run);
	to->blocks += small ? rf_class_table.classes[run->klass].blocks : 1;
	to->used_blocks += small ? taken_blocks(run) : 1;
}

size_t rf_heap_classes(struct rf_heap_class *out, size_t room)
{
	struct rf_heap_class all[RF_HEAP_CLASSES] = {{0}};

	for (uint32_t klass = 0; klass < RF_CLASS_COUNT; klass++)
		all[klass].block_bytes = rf_class_table.classes[klass].bytes;
	/* By number, in no order: nothing leads astray or round in circles. */
	for (uint32_t number = 0; number < RF_HEAP->run_count; number++)
		count_run(rf_run_at(number), all);
	for (size_t i = 0; i < room && i < RF_HEAP_CLASSES; i++)
		out[i] = all[i];
	return RF_HEAP_CLASSES;
}
_Static_assert(RF_HEAP_CLASSES == RF_CLASS_COUNT + 1, "large blocks");

/* ---- the walker ---- */

static int bad_run(const struct rf_run *run, const char *what)
{
	rf_log(RF_LOG_ERROR, "heap check: run at page %u (%p): %s", run->first,
		(void *)rf_page_at(run->first), what);
	return -EBADMSG;
}

static int bad_heap(const char *what)
{
	rf_log(RF_LOG_ERROR, "heap check: %s", what);
	return -EBADMSG;
}

static int check_small(uint32_t number, const struct rf_run *run)
{
	uint32_t klass = run->klass < RF_CLASS_COUNT ? run->klass : 0;
	const struct rf_class *class = &rf_class_table.classes[klass];
	bool has_room = false, lazy = true;

	if (run->klass >= RF_CLASS_COUNT || run->pages != class->pages)
		return bad_run(run, "does not fit its class");
	for (uint32_t i = 0; i < RF_RUN_WORDS; i++) {
		uint64_t open = ~run->bitmap[i];

		if ((open & class->empty[i]) != 0)
			return bad_run(run, "a free block beyond the last");
		has_room = has_room || open != 0;
		lazy = lazy && (open & (open - class->lazy)) == 0;
	}
	if (run->linked > 1 || (RF_HEAP->spares[run->klass] != number &&
				       !(run->linked ? has_room : lazy)))
		return bad_run(run, "full and linked, or neither");
	for (uint32_t i = 0; i < run->pages; i++)
		if (*rf_page_map(run->first + i) != number)
			return bad_run(run, "page map loses a page");
	return 0;
}

/* Runs of the class lists, each with a free block, each once. */
static int check_list(uint32_t klass, uint64_t linked, uint64_t *seen)
{
	uint32_t prev = RF_RUN_NONE;

	for (uint32_t at = RF_HEAP->classes[klass]; at != RF_RUN_NONE;
		at = rf_run_at(at)->next) {
		const struct rf_run *run = rf_run_at(at);

		if (at >= RF_HEAP->run_count || ++*seen > linked)
			return bad_heap("class list is broken");
		if (run->kind != RF_RUN_SMALL || run->klass != klass ||
			!run->linked || run->prev != prev)
			return bad_run(run, "in the wrong class list");
		prev = at;
	}
	return 0;
}

static int check_spare(uint32_t klass)
{
	uint32_t number = RF_HEAP->spares[klass];
	const struct rf_run *run = rf_run_at(number);

	if (number == RF_RUN_NONE)
		return 0;
	if (number >= RF_HEAP->run_count)
		return bad_heap("a spare run is none");
	return run->kind == RF_RUN_SMALL && run->klass == klass &&
			       !run->linked && taken_blocks(run) == 0
		       ? 0
		       : bad_run(run, "spare, but not empty");
}

static int check_classes(uint64_t linked)
{
	uint64_t seen = 0;

	for (uint32_t klass = 0; klass < RF_CLASS_COUNT; klass++)
		if (check_list(klass, linked, &seen) != 0 ||
			check_spare(klass) != 0)
			return -EBADMSG;
	return seen == linked ? 0 : bad_heap("a run is in no class list");
}

int rf_heap_check(void)
{
	uint64_t used = 0, linked = 0;
	int error = 0;

	if (rf_pages_check() != 0)
		return -EBADMSG;
	for (uint32_t at = 0; at < RF_HEAP->page_count;
		at += rf_page_run(at)->pages) {
		const struct rf_run *run = rf_page_run(at);

		if (!rf_zone_check_run(run))
			return -EBADMSG;
		if (run->kind == RF_RUN_LARGE)
			used += rf_run_bytes(run);
		if (run->kind != RF_RUN_SMALL)
			continue;
		if (check_small(*rf_page_map(at), run) != 0) {
			error = -EBADMSG; /* the others may be told of, too */
			continue;
		}
		used += taken_blocks(run) *
			rf_class_table.classes[run->klass].bytes;
		linked += run->linked;
	}
	if (error == 0 && used != rf_heap_used())
		error = bad_heap("used bytes do not add up");
	return error != 0 ? error : check_classes(linked);
}
