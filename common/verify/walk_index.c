/* SPDX-License-Identifier: MIT */
/* walk_index.c -- the live blocks of the heap, from the entries of its runs.
 *
 * Entries are gone through by their numbers, so nothing leads astray: each that
 * is used says which pages it has. A page that two of them want is the first
 * one's, and the other run is left out whole; so is one that says nonsense. The
 * page map is not believed, and not needed.
 */
#include "heap/pages.h"
#include "walk_form.h"
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

static uint32_t block_count(uint32_t klass)
{
	return rf_heap_class_pages(klass) * (uint32_t)RF_PAGE_BYTES /
	       rf_heap_class_bytes(klass);
}

static const char *large_fault(const struct rf_run *run)
{
	return run->bytes == 0 || run->bytes > (uint64_t)run->pages
						       << RF_PAGE_SHIFT
		       ? "does not have the pages of its block"
		       : NULL;
}

static const char *small_fault(const struct rf_run *run)
{
	return run->klass >= RF_CLASS_COUNT ||
			       run->pages != rf_heap_class_pages(run->klass)
		       ? "does not fit its class"
		       : NULL;
}

/* What is wrong with a run, of which nothing is known but its number. */
static const char *run_fault(
	const struct rf_walk_index *index, const struct rf_run *run)
{
	if (run->kind > RF_RUN_SMALL)
		return "is of no kind";
	if (run->first >= index->pages || run->pages == 0 ||
		run->pages > index->pages - run->first)
		return "has pages that there are not";
	for (uint32_t i = 0; i < run->pages; i++)
		if (index->run[run->first + i] != RF_RUN_NONE)
			return "has a page of another run";
	if (run->kind == RF_RUN_SMALL)
		return small_fault(run);
	return run->kind == RF_RUN_LARGE ? large_fault(run) : NULL;
}

static void add_block(struct rf_walk_index *index, uint64_t off, uint64_t bytes)
{
	index->left[off >> 9] |= UINT64_C(1) << (off >> 3 & 63);
	index->blocks++;
	index->block_bytes += bytes;
}

static void add_small(struct rf_walk_index *index, const struct rf_run *run)
{
	uint64_t start = (uint64_t)run->first << RF_PAGE_SHIFT;
	uint32_t bytes = index->class_bytes[run->klass];
	uint32_t blocks = block_count(run->klass);

	for (uint32_t word = 0; word * 64 < blocks; word++) {
		uint64_t bits = run->bitmap[word];

		if (blocks - word * 64 < 64)
			bits &= (UINT64_C(1) << (blocks % 64)) - 1;
		for (; bits != 0; bits &= bits - 1) {
			uint32_t block =
				word * 64 + (uint32_t)__builtin_ctzll(bits);

			add_block(
				index, start + (uint64_t)block * bytes, bytes);
		}
	}
}

static void add_run(
	struct rf_walk_index *index, uint32_t number, const struct rf_run *run)
{
	uint8_t klass = RF_WALK_NONE;

	index->runs++;
	if (run->kind == RF_RUN_FREE)
		index->free_pages += run->pages;
	else
		klass = run->kind == RF_RUN_LARGE ? RF_WALK_LARGE : run->klass;
	for (uint32_t i = 0; i < run->pages; i++)
		index->run[run->first + i] = number;
	memset(index->klass + run->first, klass, run->pages);
	if (run->kind == RF_RUN_LARGE)
		add_block(index, (uint64_t)run->first << RF_PAGE_SHIFT,
			(uint64_t)run->pages << RF_PAGE_SHIFT);
	else if (run->kind == RF_RUN_SMALL)
		add_small(index, run);
}

static void *map(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		return NULL;
	/* Looked at in no order: each small page would be a miss of its own. */
	madvise(at, bytes, MADV_HUGEPAGE);
	return at;
}

static int make_tables(struct rf_walk_index *index)
{
	index->left_bytes = index->heap_bytes / 64 + 8;
	index->run_bytes = (index->pages + 1) * sizeof *index->run;
	index->klass_bytes = index->pages + 1;
	index->left = map(index->left_bytes);
	index->run = map(index->run_bytes);
	index->klass = map(index->klass_bytes);
	if (index->left == NULL || index->run == NULL || index->klass == NULL) {
		rf_walk_index_free(index);
		return -ENOMEM;
	}
	memset(index->klass, RF_WALK_NONE, index->klass_bytes);
	memset(index->run, 0xff, index->run_bytes); /* RF_RUN_NONE */
	for (uint32_t klass = 0; klass < RF_CLASS_COUNT; klass++)
		index->class_bytes[klass] = rf_heap_class_bytes(klass);
	return 0;
}

static void look_at_run(
	struct rf_walk_index *index, struct rf_walk *walk, uint32_t number)
{
	const struct rf_run *run = rf_run_at(number);
	const char *fault;

	if (run->kind == RF_RUN_UNUSED)
		return;
	fault = run_fault(index, run);
	if (fault == NULL) {
		add_run(index, number, run);
		return;
	}
	rf_walk_problem(walk, run,
		"run %u, of %u pages from page %u on, %s: its blocks are left "
		"out",
		number, run->pages, run->first, fault);
}

/* One problem for pages that stand side by side. */
static void look_for_gaps(struct rf_walk_index *index, struct rf_walk *walk)
{
	for (uint32_t at = 0, end; at < index->pages; at = end + 1) {
		for (end = at;
			end < index->pages && index->run[end] == RF_RUN_NONE;)
			end++;
		if (end == at)
			continue;
		index->broken = true;
		rf_walk_problem(walk, rf_page_at(at),
			"pages %u to %u are in no run", at, end - 1);
	}
}

int rf_walk_index_make(struct rf_walk_index *index, struct rf_walk *walk)
{
	uint32_t runs = RF_HEAP->run_count;

	*index = (struct rf_walk_index){
		.base = (uint64_t)rf_page_at(0),
		.pages = RF_HEAP->page_count,
		.heap_bytes = (uint64_t)RF_HEAP->page_count << RF_PAGE_SHIFT,
	};
	if (make_tables(index) != 0)
		return -ENOMEM;
	/* No run is without a page. */
	if (runs > RF_HEAP->page_max)
		runs = index->pages;
	for (uint32_t number = 0; number < runs; number++)
		look_at_run(index, walk, number);
	look_for_gaps(index, walk);
	return 0;
}

void rf_walk_index_free(struct rf_walk_index *index)
{
	if (index->left != NULL)
		munmap(index->left, index->left_bytes);
	if (index->run != NULL)
		munmap(index->run, index->run_bytes);
	if (index->klass != NULL)
		munmap(index->klass, index->klass_bytes);
	*index = (struct rf_walk_index){.pages = 0};
}

bool rf_walk_index_holds(
	const struct rf_walk_index *index, const void *at, size_t bytes)
{
	uint64_t off = (uint64_t)at - index->base;
	uint32_t page = (uint32_t)(off >> RF_PAGE_SHIFT), klass, block;
	const struct rf_run *run;
	uint64_t in_run;

	if (off >= index->heap_bytes)
		return false;
	klass = index->klass[page];
	if (klass == RF_WALK_NONE)
		return false;
	run = rf_run_at(index->run[page]);
	in_run = off - ((uint64_t)run->first << RF_PAGE_SHIFT);
	if (klass == RF_WALK_LARGE)
		return in_run == 0 && bytes <= rf_walk_index_usable(index, off);
	block = (uint32_t)in_run / index->class_bytes[klass];
	return block < block_count(klass) &&
	       in_run == (uint64_t)block * index->class_bytes[klass] &&
	       (run->bitmap[block / 64] >> (block % 64) & 1) != 0 &&
	       bytes <= rf_walk_index_usable(index, off);
}

void rf_walk_index_leaks(const struct rf_walk_index *index,
	void (*leak)(void *context, const void *block, size_t bytes),
	void *context)
{
	for (uint64_t word = 0; word < index->heap_bytes >> 9; word++)
		for (uint64_t bits = index->left[word]; bits != 0;
			bits &= bits - 1) {
			uint64_t off = (word << 9) +
				       ((uint64_t)__builtin_ctzll(bits) << 3);

			leak(context, (const void *)(index->base + off),
				rf_walk_index_size(index, off));
		}
}
