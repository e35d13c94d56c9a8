/* SPDX-License-Identifier: MIT */
/* heap.c -- blocks: size classes over page runs, frees at the commit.
 *
 * The idea. Blocks up to 8 KiB come from SMALL runs, each cut into blocks of
 * one class, taken blocks marked in a bitmap that stands outside of the pages
 * (a free block's bytes are nobody's: rule T4). Larger ones are a page run of
 * their own. Taking or giving a small block changes two words: one of the
 * bitmap and the one that counts; both go through the undo log.
 *
 * Frees wait. rf_free() only remembers; rf_tx_commit() has them carried out as
 * its last step, still under the log. So a block freed in a transaction keeps
 * its bytes until the outcome is decided, and a roll back finds them.
 *
 * Empty runs. A class keeps one, so that a lone block taken and freed again
 * does not make and unmake a run each time. When pages run out these come back
 * too (rf_heap_reclaim): every free page can serve any later use.
 */
#include "heap_private.h"
#include "pages.h"
#include "tx_log.h"
#include <errno.h>
#include <refork/heap.h>
#include <refork/log.h>
#include <stdlib.h>

#define SMALL_MAX     8192u
#define RUN_PAGES_MAX 16u
#define LINE	      1024u /* classes by table up to here */
/* What giving a block back needs of the undo log, at most. */
#define FREE_LOG_BYTES 256u

/* 16 .. 64 by 8, .. 128 by 16, then four per power of two. */
static const uint16_t class_bytes[RF_CLASS_COUNT] = {16, 24, 32, 40, 48, 56, 64,
	80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768, 896,
	1024, 1280, 1536, 1792, 2048, 2560, 3072, 3584, 4096, 5120, 6144, 7168,
	8192};

/* Private to the process, the same in each. */
static struct {
	uint8_t by_line[LINE / 8 + 1]; /* class of (bytes + 7) / 8 */
	uint8_t run_pages[RF_CLASS_COUNT];
	uint32_t inverse[RF_CLASS_COUNT]; /* 2^32 / class_bytes, rounded up */
	bool ready;
} table;

/* Frees of the open transaction. Private: dies with the transaction. */
static struct {
	struct place {
		uint32_t first; /* page of the run */
		uint32_t index; /* of the block in it */
	} * places;
	size_t count, room;
} deferred;

static uint32_t class_above_line(size_t bytes)
{
	uint32_t klass = table.by_line[LINE / 8];

	while (class_bytes[klass] < bytes)
		klass++;
	return klass;
}

static uint32_t class_of(size_t bytes)
{
	return bytes <= LINE ? table.by_line[(bytes + 7) / 8]
			     : class_above_line(bytes);
}

/* Runs of 256 blocks where that is at most 64 KiB, else of 64 KiB. */
static void table_init(void)
{
	uint32_t klass = 0;

	for (uint32_t line = 0; line <= LINE / 8; line++) {
		if (class_bytes[klass] < line * 8)
			klass++;
		table.by_line[line] = (uint8_t)klass;
	}
	for (klass = 0; klass < RF_CLASS_COUNT; klass++) {
		uint32_t bytes = class_bytes[klass];
		uint32_t pages = 1;

		while (pages < RUN_PAGES_MAX && pages * 4096 / bytes < 256)
			pages *= 2;
		table.run_pages[klass] = (uint8_t)pages;
		table.inverse[klass] =
			(uint32_t)((UINT64_C(1) << 32) / bytes + 1);
	}
	table.ready = true;
}

/* ---- the list of runs with a free block, one per class ---- */

static void link_run(uint32_t first, struct rf_run *run)
{
	uint32_t *head = &RF_HEAP->classes[run->klass];

	rf_tx_log(run, offsetof(struct rf_run, bitmap));
	if (*head != RF_PAGE_NONE)
		RF_SET(rf_page_run(*head)->prev, first);
	if (rf_tx_error() != 0)
		return;
	run->prev = RF_PAGE_NONE;
	run->next = *head;
	run->small.linked = 1;
	RF_SET(*head, first);
}

static void unlink_run(struct rf_run *run)
{
	if (run->next != RF_PAGE_NONE)
		RF_SET(rf_page_run(run->next)->prev, run->prev);
	if (run->prev != RF_PAGE_NONE)
		RF_SET(rf_page_run(run->prev)->next, run->next);
	else
		RF_SET(RF_HEAP->classes[run->klass], run->next);
	RF_SET(run->small.linked, 0);
}

/* ---- taking ---- */

static uint32_t make_run(uint32_t klass)
{
	uint32_t pages = table.run_pages[klass];
	uint32_t first = rf_pages_take(pages);
	struct rf_run *run;

	if (first == RF_PAGE_NONE)
		return first;
	run = rf_page_run(first);
	/* All of it, meaningless cells too: these pages may have been an empty
	 * run that rf_heap_reclaim() gave up in this very transaction. */
	rf_tx_log(run, pages * sizeof *run);
	rf_tx_log(rf_page_map(first), pages * sizeof(uint32_t));
	if (rf_tx_error() != 0)
		return RF_PAGE_NONE;
	memset(run->bitmap, 0,
		pages * sizeof *run - offsetof(struct rf_run, bitmap));
	run->kind = RF_RUN_SMALL;
	run->klass = (uint8_t)klass;
	run->word = 0;
	run->small.blocks = (uint16_t)(pages * 4096 / class_bytes[klass]);
	for (uint32_t i = 0; i < pages; i++)
		*rf_page_map(first + i) = first;
	link_run(first, run);
	return first;
}

static void *take_small(uint32_t klass)
{
	uint32_t first = RF_HEAP->classes[klass];
	struct rf_run *run;
	uint32_t word, bit, index;

	if (rf_unlikely(first == RF_PAGE_NONE)) {
		first = make_run(klass);
		if (first == RF_PAGE_NONE)
			return NULL;
	}
	run = rf_page_run(first);
	for (word = run->small.hint; run->bitmap[word] == ~UINT64_C(0);)
		word++;
	bit = (uint32_t)__builtin_ctzll(~run->bitmap[word]);
	index = word * 64 + bit;
	RF_CHECK(index < run->small.blocks);
	if (rf_tx_log_word(&run->bitmap[word]) != 0 ||
		rf_tx_log_word(&run->word) != 0 ||
		rf_tx_log_word(&RF_HEAP->used_bytes) != 0)
		return NULL;
	run->bitmap[word] |= UINT64_C(1) << bit;
	run->small.hint = (uint16_t)word;
	run->small.used++;
	RF_HEAP->used_bytes += class_bytes[klass];
	if (rf_unlikely(run->small.used == run->small.blocks))
		unlink_run(run);
	return rf_page_at(first) + (size_t)index * class_bytes[klass];
}

static size_t page_bytes(uint32_t pages)
{
	return (size_t)pages << RF_PAGE_SHIFT;
}

static void *take_large(size_t bytes)
{
	uint32_t pages, first;
	struct rf_run *run;

	if (bytes > RF_BLOCK_BYTES_MAX)
		return NULL;
	pages = (uint32_t)((bytes + RF_PAGE_BYTES - 1) >> RF_PAGE_SHIFT);
	first = rf_pages_take(pages);
	if (first == RF_PAGE_NONE)
		return NULL;
	run = rf_page_run(first);
	run->kind = RF_RUN_LARGE;
	run->bytes = bytes;
	RF_SET(RF_HEAP->used_bytes, RF_HEAP->used_bytes + page_bytes(pages));
	return rf_page_at(first);
}

void *rf_try_alloc(size_t bytes)
{
	RF_CHECK(rf_tx_is_open() && bytes > 0);
	if (rf_unlikely(!table.ready))
		table_init();
	if (rf_unlikely(rf_tx_error() != 0))
		return NULL;
	return bytes <= SMALL_MAX ? take_small(class_of(bytes))
				  : take_large(bytes);
}

void *rf_alloc_uninit(size_t bytes)
{
	void *block = rf_try_alloc(bytes);

	if (rf_unlikely(block == NULL))
		rf_tx_fail(-ENOMEM);
	return block;
}

void *rf_alloc(size_t bytes)
{
	void *block = rf_alloc_uninit(bytes);

	return block != NULL ? memset(block, 0, bytes) : NULL;
}

/* ---- giving back ---- */

/* Where a live block stands. False: it is none. */
static inline bool find_place(const void *block, struct place *at)
{
	size_t off = (size_t)((const uint8_t *)block - rf_page_at(0));
	uint32_t page = (uint32_t)(off >> RF_PAGE_SHIFT);
	const struct rf_run *run;

	if (off >= page_bytes(RF_HEAP->page_count))
		return false;
	if (rf_unlikely(!table.ready))
		table_init();
	at->first = *rf_page_map(page);
	at->index = 0;
	if (at->first > page)
		return false;
	run = rf_page_run(at->first);
	off -= page_bytes(at->first);
	if (run->kind == RF_RUN_LARGE)
		return off == 0;
	if (run->kind != RF_RUN_SMALL || run->klass >= RF_CLASS_COUNT)
		return false;
	at->index = (uint32_t)((off * table.inverse[run->klass]) >> 32);
	return at->index < run->small.blocks &&
	       off == (size_t)at->index * class_bytes[run->klass] &&
	       (run->bitmap[at->index / 64] >> (at->index % 64) & 1) != 0;
}

static struct place place_of(const void *block)
{
	struct place at;

	RF_CHECK(find_place(block, &at));
	return at;
}

static size_t usable_at(struct place at)
{
	const struct rf_run *run = rf_page_run(at.first);

	return run->kind == RF_RUN_LARGE ? page_bytes(run->pages)
					 : class_bytes[run->klass];
}

size_t rf_usable(const void *block)
{
	return usable_at(place_of(block));
}

bool rf_is_block(const void *at, size_t bytes)
{
	struct place place;

	return find_place(at, &place) && bytes <= usable_at(place);
}

static bool deferred_make_room(void)
{
	size_t room = deferred.room > 0 ? deferred.room * 2 : 256;
	struct place *places = realloc(deferred.places, room * sizeof *places);

	if (places == NULL)
		return false;
	deferred.places = places;
	deferred.room = room;
	return true;
}

void rf_free(void *block)
{
	RF_CHECK(rf_tx_is_open());
	if (block == NULL || rf_tx_error() != 0)
		return;
	if (deferred.count == deferred.room && !deferred_make_room()) {
		rf_tx_fail(-ENOMEM);
		return;
	}
	deferred.places[deferred.count++] = place_of(block);
}

static void give_small(struct rf_run *run, uint32_t first, uint32_t index)
{
	uint64_t *word = &run->bitmap[index / 64];

	/* Freed twice in one transaction. */
	RF_CHECK(*word >> (index % 64) & 1);
	if (rf_tx_log_word(word) != 0 || rf_tx_log_word(&run->word) != 0 ||
		rf_tx_log_word(&RF_HEAP->used_bytes) != 0)
		return;
	*word &= ~(UINT64_C(1) << (index % 64));
	run->small.used--;
	if (index / 64 < run->small.hint)
		run->small.hint = (uint16_t)(index / 64);
	RF_HEAP->used_bytes -= class_bytes[run->klass];
	if (!run->small.linked)
		link_run(first, run);
	if (rf_unlikely(run->small.used == 0) &&
		(run->next != RF_PAGE_NONE || run->prev != RF_PAGE_NONE)) {
		unlink_run(run);
		rf_pages_give(first);
	}
}

static void give(const struct place *at)
{
	struct rf_run *run = rf_page_run(at->first);

	if (run->kind == RF_RUN_SMALL) {
		give_small(run, at->first, at->index);
		return;
	}
	RF_CHECK(run->kind == RF_RUN_LARGE); /* else freed twice */
	RF_SET(RF_HEAP->used_bytes,
		RF_HEAP->used_bytes - page_bytes(run->pages));
	rf_pages_give(at->first);
}

static int compare_runs(const void *one, const void *other)
{
	const struct place *a = one, *b = other;

	return (a->first > b->first) - (a->first < b->first);
}

void rf_heap_free_deferred(void)
{
	size_t room = RF_SUPER->log_max_bytes - RF_SUPER->log_tail;

	/* Those of one run change the same few words, which are logged once:
	 * worth its time when the log is too short otherwise. */
	if (rf_unlikely(deferred.count > room / FREE_LOG_BYTES))
		qsort(deferred.places, deferred.count, sizeof *deferred.places,
			compare_runs);
	for (size_t i = 0; i < deferred.count && rf_tx_error() == 0; i++)
		give(&deferred.places[i]);
}

void rf_heap_forget_deferred(void)
{
	deferred.count = 0;
}

size_t rf_heap_reclaim(void)
{
	size_t given = 0;

	for (uint32_t klass = 0; klass < RF_CLASS_COUNT; klass++) {
		uint32_t first = RF_HEAP->classes[klass];

		/* At most one run of a class is empty; it may stand anywhere
		 * in the list. */
		while (first != RF_PAGE_NONE &&
			rf_page_run(first)->small.used > 0)
			first = rf_page_run(first)->next;
		if (first == RF_PAGE_NONE)
			continue;
		unlink_run(rf_page_run(first));
		rf_pages_give(first);
		given++;
	}
	return given;
}

/* ---- looking ---- */

size_t rf_heap_used(void)
{
	return RF_HEAP->used_bytes;
}

void rf_heap_stats(struct rf_heap_stats *out)
{
	const struct rf_heap_shm *heap = RF_HEAP;
	uint32_t longest = 0;
	size_t free_pages = 0;

	for (uint32_t bin = 0; bin < RF_BIN_COUNT; bin++)
		for (uint32_t at = heap->bins[bin]; at != RF_PAGE_NONE;
			at = rf_page_run(at)->next) {
			uint32_t pages = rf_page_run(at)->pages;

			free_pages += pages;
			longest = pages > longest ? pages : longest;
		}
	out->used_bytes = heap->used_bytes;
	out->size_bytes = page_bytes(heap->page_count);
	out->max_bytes = page_bytes(heap->page_max);
	out->free_run_bytes = free_pages << RF_PAGE_SHIFT;
	out->largest_run_bytes = page_bytes(longest);
}

static int bad_run(uint32_t page, const char *what)
{
	rf_log(RF_LOG_ERROR, "heap check: run at page %u (%p): %s", page,
		(void *)rf_page_at(page), what);
	return -EBADMSG;
}

static int check_small(uint32_t first, const struct rf_run *run)
{
	uint64_t taken = 0;

	if (run->klass >= RF_CLASS_COUNT ||
		run->pages != table.run_pages[run->klass] ||
		run->small.blocks !=
			run->pages * 4096 / class_bytes[run->klass])
		return bad_run(first, "does not fit its class");
	for (uint32_t i = 0; i < run->small.blocks; i++)
		taken += run->bitmap[i / 64] >> (i % 64) & 1;
	for (uint32_t word = 0; word < run->small.hint; word++)
		if (run->bitmap[word] != ~UINT64_C(0))
			return bad_run(first, "a free block below the hint");
	if (taken != run->small.used)
		return bad_run(first, "count and bitmap disagree");
	if (run->small.linked != (taken < run->small.blocks))
		return bad_run(first, "full and linked, or neither");
	for (uint32_t i = 0; i < run->pages; i++)
		if (*rf_page_map(first + i) != first)
			return bad_run(first, "page map loses a page");
	return 0;
}

/* Runs of the class lists, each with a free block, each once. */
static int check_classes(uint64_t linked)
{
	uint64_t seen = 0;

	for (uint32_t klass = 0; klass < RF_CLASS_COUNT; klass++) {
		uint32_t prev = RF_PAGE_NONE;

		for (uint32_t at = RF_HEAP->classes[klass]; at != RF_PAGE_NONE;
			at = rf_page_run(at)->next) {
			const struct rf_run *run = rf_page_run(at);

			if (at >= RF_HEAP->page_count || ++seen > linked)
				return bad_run(klass, "class list is broken");
			if (run->kind != RF_RUN_SMALL || run->klass != klass ||
				!run->small.linked || run->prev != prev)
				return bad_run(at, "in the wrong class list");
			prev = at;
		}
	}
	return seen == linked ? 0 : bad_run(0, "a run is in no class list");
}

int rf_heap_check(void)
{
	uint64_t used = 0, linked = 0;

	if (!table.ready)
		table_init();
	if (rf_pages_check() != 0)
		return -EBADMSG;
	for (uint32_t at = 0; at < RF_HEAP->page_count;
		at += rf_page_run(at)->pages) {
		const struct rf_run *run = rf_page_run(at);

		if (run->kind == RF_RUN_LARGE)
			used += page_bytes(run->pages);
		if (run->kind != RF_RUN_SMALL)
			continue;
		if (check_small(at, run) != 0)
			return -EBADMSG;
		used += (uint64_t)run->small.used * class_bytes[run->klass];
		linked += run->small.linked;
	}
	if (used != RF_HEAP->used_bytes)
		return bad_run(0, "used bytes do not add up");
	return check_classes(linked);
}
