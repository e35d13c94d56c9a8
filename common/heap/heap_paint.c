/* SPDX-License-Identifier: MIT */
/* heap_paint.c -- red zones and poison: debug builds of the heap.
 *
 * A block ends in a red zone: ZONE_BYTE from what was asked for up to the last
 * word, which says how much that was. So a write beyond a block is found when
 * it is freed, and by rf_heap_check(); a write before it is one beyond the
 * block there.
 *
 * A free small block is all POISON. It is painted when the transaction that
 * freed it has committed (a roll back must find its bytes), and looked at when
 * it is taken again: a byte that differs was written after the free. A
 * transaction that aborts paints what it had taken. Whoever dies in between
 * leaves blocks half painted: so a process paints all free blocks anew before
 * it takes its first one.
 *
 * With the address sanitizer free blocks and red zones are closed to the
 * process, too: a use after free is its report. Its shadow is private and
 * comes along by fork: it is lifted before a new process rolls back, and made
 * anew from the bitmaps after that.
 */
#include "heap_paint.h"
#if RF_HEAP_DEBUG
#include "heap_private.h"
#include <refork/heap.h>
#include <refork/log.h>
#include <stdlib.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, bytes)   ((void)(at), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(at, bytes) ((void)(at), (void)(bytes))
#endif

#define POISON	  0xdb
#define ZONE_BYTE 0xfd
#define ZONE_MARK UINT64_C(0x5a0e000000000000)

struct painted {
	uint8_t *at;
	size_t room;
	bool small;
};

/* Of the open transaction. */
static struct list {
	struct painted *all;
	size_t count, room;
} taken, given;

static pid_t painter;

static void add(struct list *list, void *at, size_t room, bool small)
{
	if (list->count == list->room) {
		list->room = list->room * 2 + 64;
		list->all = realloc(list->all, list->room * sizeof *list->all);
		RF_CHECK(list->all != NULL);
	}
	list->all[list->count++] = (struct painted){at, room, small};
}

static void close_block(const struct painted *block)
{
	ASAN_UNPOISON_MEMORY_REGION(block->at, block->room);
	if (block->small)
		memset(block->at, POISON, block->room);
	ASAN_POISON_MEMORY_REGION(block->at, block->room);
}

static uint64_t *mark_of(const void *block, size_t room)
{
	return (uint64_t *)((uintptr_t)block + room - sizeof(uint64_t));
}

/* Each block of a small run, by `visit`. */
static void each_block(const struct rf_run *run,
	void (*visit)(uint8_t *at, size_t room, bool live))
{
	const struct rf_class *class = &rf_class_table.classes[run->klass];

	for (uint32_t i = 0; i < class->blocks; i++)
		visit(rf_page_at(run->first) + (size_t)i * class->bytes,
			class->bytes, run->bitmap[i / 64] >> (i % 64) & 1);
}

static void paint_block(uint8_t *at, size_t room, bool live)
{
	struct painted block = {at, room, true};
	size_t asked;

	if (!live) {
		close_block(&block);
		return;
	}
	asked = rf_zone_asked(at, room);
	ASAN_POISON_MEMORY_REGION(at + asked, room - asked);
}

static void paint_pages(const struct rf_run *run)
{
	uint8_t *at = rf_page_at(run->first);
	size_t room = rf_run_bytes(run), asked;

	if (run->kind == RF_RUN_SMALL) {
		each_block(run, paint_block);
	} else if (run->kind == RF_RUN_FREE) {
		ASAN_POISON_MEMORY_REGION(at, room);
	} else {
		asked = rf_zone_asked(at, room);
		ASAN_POISON_MEMORY_REGION(at + asked, room - asked);
	}
}

void rf_paint_lift(void)
{
	if (painter != getpid())
		ASAN_UNPOISON_MEMORY_REGION(rf_page_at(0),
			(size_t)RF_HEAP->page_count << RF_PAGE_SHIFT);
}

void rf_paint_anew(void)
{
	if (painter == getpid())
		return;
	painter = getpid();
	taken.count = given.count = 0;
	for (uint32_t page = 0; page < RF_HEAP->page_count;) {
		const struct rf_run *run = rf_page_run_found(page);

		if (run == NULL || run->pages == 0 ||
			(run->kind == RF_RUN_SMALL &&
				run->klass >= RF_CLASS_COUNT))
			return; /* damaged: the walker will say so */
		paint_pages(run);
		page += run->pages;
	}
}

static void expect_poison(const uint8_t *at, size_t room)
{
	for (size_t i = 0; i < room; i++) {
		if (at[i] == POISON)
			continue;
		rf_log(RF_LOG_ERROR,
			"heap: block %p of %zu bytes was written at offset %zu "
			"after it had been freed",
			(const void *)at, room, i);
		RF_CHECK(at[i] == POISON); /* written after its free */
	}
}

void rf_paint_taken(void *block, size_t bytes, size_t room, bool small)
{
	uint8_t *at = block;

	rf_paint_anew();
	ASAN_UNPOISON_MEMORY_REGION(at, room);
	if (small)
		expect_poison(at, room);
	memset(at + bytes, ZONE_BYTE, room - bytes - sizeof(uint64_t));
	*mark_of(at, room) = ZONE_MARK | bytes;
	ASAN_POISON_MEMORY_REGION(at + bytes, room - bytes);
	add(&taken, at, room, small);
}

/* Not for the sanitizer's eyes: the zone is closed. */
__attribute__((no_sanitize("address"))) static bool zone_is_whole(
	const uint8_t *at, size_t room)
{
	uint64_t mark = *mark_of(at, room);
	size_t asked = mark & ~UINT64_C(0xffff000000000000);

	if ((mark & UINT64_C(0xffff000000000000)) != ZONE_MARK ||
		asked > room - sizeof mark)
		return false;
	while (asked < room - sizeof mark)
		if (at[asked++] != ZONE_BYTE)
			return false;
	return true;
}

__attribute__((no_sanitize("address"))) size_t rf_zone_asked(
	const void *block, size_t room)
{
	return zone_is_whole(block, room)
		       ? *mark_of(block, room) & ~UINT64_C(0xffff000000000000)
		       : room - sizeof(uint64_t);
}

static bool zone_check(const uint8_t *at, size_t room)
{
	if (zone_is_whole(at, room))
		return true;
	rf_log(RF_LOG_ERROR,
		"heap: block %p of %zu bytes: somebody has written beyond its "
		"end",
		(const void *)at, room);
	return false;
}

static bool zones_whole;

static void check_block(uint8_t *at, size_t room, bool live)
{
	if (live && !zone_check(at, room))
		zones_whole = false;
}

bool rf_zone_check_run(const struct rf_run *run)
{
	if (run->kind == RF_RUN_LARGE)
		return zone_check(rf_page_at(run->first), rf_run_bytes(run));
	zones_whole = true;
	if (run->kind == RF_RUN_SMALL)
		each_block(run, check_block);
	return zones_whole;
}

void rf_paint_given(void *block, size_t room, bool small)
{
	rf_paint_anew();
	RF_CHECK(zone_check(block, room)); /* its red zone is whole */
	add(&given, block, room, small);
}

void rf_paint_end(bool committed)
{
	const struct list *gone = committed ? &given : &taken;

	for (size_t i = 0; i < gone->count; i++)
		close_block(&gone->all[i]);
	taken.count = given.count = 0;
}

void rf_paint_run(void *pages, size_t bytes)
{
	struct painted run = {pages, bytes, true};

	rf_paint_anew();
	close_block(&run);
}
#endif
