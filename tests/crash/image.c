/* SPDX-License-Identifier: MIT */
/* image.c -- windows on shared memory, and what of it means anything.
 *
 * Two states are the same when all bytes are that mean anything: superblock,
 * page map, run entries, and the contents of every live block, to the bit.
 * That needs no knowledge of what a test keeps in its blocks, and it is as
 * strict as the undo log: what a roll back leaves must not merely be as good
 * as what was, it must be what was.
 *
 * Without meaning are: free pages and blocks; cells of the page map inside a
 * run; and those words of the superblock that change outside of transactions
 * (lease, log, attempt, generation).
 */
#include "image.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE	    4096u
#define WINDOWS_MAX 16
#define LOG_WINDOW  (64u << 10)
#define LOG_AHEAD   1u	  /* pages watched beyond its end */
#define RING_END    8192u /* so much of a ring's start and of its end */
#define INDEX_BYTES 4096u
#define WATCH_MAX   512

enum base {
	BASE_ARENA,
	BASE_CHANNEL,
	BASE_REQUESTS,
	BASE_REPLIES,
	BASE_LARGE_REQUEST,
	BASE_LARGE_REPLY
};

struct window {
	const char *name;
	enum base base;
	size_t off, bytes; /* in its base */
	size_t at;	   /* in the image */
	size_t unit;	   /* bytes of one thing in it */
	size_t first;	   /* number of its first thing */
};

static struct {
	struct window windows[WINDOWS_MAX];
	size_t count, bytes;
	const struct window *super, *log, *map, *runs, *heap[2];
	size_t log_pages; /* watched */
	bool *watched;	  /* per page of the image */
	struct image_range watch[WATCH_MAX];
	size_t watch_count;
} all;

/* ---- the windows ---- */

static uint8_t *memory_of(const struct stage *stage, enum base base)
{
	uint8_t *const bases[] = {
		[BASE_ARENA] = stage->arena.base,
		[BASE_CHANNEL] = stage->channel.seg.base,
		[BASE_REQUESTS] = stage->channel.request.ring.bytes,
		[BASE_REPLIES] = stage->channel.reply.ring.bytes,
		[BASE_LARGE_REQUEST] = stage->channel.request.large,
		[BASE_LARGE_REPLY] = stage->channel.reply.large,
	};

	return bases[base];
}

static const struct window *add(
	const char *name, enum base base, size_t off, size_t bytes, size_t unit)
{
	struct window *window = &all.windows[all.count++];

	bytes = (bytes + PAGE - 1) / PAGE * PAGE;
	*window = (struct window){name, base, off, bytes, all.bytes, unit, 0};
	all.bytes += bytes + PAGE; /* a gap, so that no range spans two */
	return window;
}

static void add_heap(
	const struct rf_super *super, int i, size_t first, size_t count)
{
	if (count == 0)
		return;
	all.heap[i] = add("heap page", BASE_ARENA,
		super->heap_off + first * PAGE, count * PAGE, PAGE);
	all.windows[all.count - 1].first = first;
}

static void add_channel(bool large)
{
	size_t far_off = STAGE_LARGE_BYTES / PAGE * PAGE;

	add("channel indices", BASE_CHANNEL, 0, INDEX_BYTES, 1);
	add("request ring", BASE_REQUESTS, 0, RING_END, 1);
	add("request ring's end", BASE_REQUESTS, RF_RING_BYTES - RING_END,
		RING_END, 1);
	add("reply ring", BASE_REPLIES, 0, RING_END, 1);
	add("reply ring's end", BASE_REPLIES, RF_RING_BYTES - RING_END,
		RING_END, 1);
	if (!large)
		return;
	add("large request", BASE_LARGE_REQUEST, 0, PAGE, 1);
	add("large request's end", BASE_LARGE_REQUEST, far_off, PAGE, 1);
	add("large reply", BASE_LARGE_REPLY, 0, PAGE, 1);
	add("large reply's end", BASE_LARGE_REPLY, far_off, PAGE, 1);
}

void image_layout(const struct stage *stage, const struct geometry *geometry)
{
	const struct rf_super *super =
		(const struct rf_super *)stage->arena.base;
	size_t pages = geometry->page_max;

	all.super = add("superblock", BASE_ARENA, 0, sizeof *super, 1);
	all.log = add("undo log", BASE_ARENA, super->log_off, LOG_WINDOW, 1);
	all.map = add("page map cell", BASE_ARENA, super->map_off,
		pages * sizeof(uint32_t), sizeof(uint32_t));
	all.runs = add("run entry", BASE_ARENA, super->runs_off,
		pages * sizeof(struct rf_run), sizeof(struct rf_run));
	add_channel(geometry->large);
	for (int i = 0; i < 2; i++)
		add_heap(super, i, geometry->heap[i].first,
			geometry->heap[i].count);
	all.watched = calloc(all.bytes / PAGE, sizeof *all.watched);
	for (size_t page = 0; page < all.bytes / PAGE; page++)
		all.watched[page] = page * PAGE < all.heap[0]->at &&
				    (page * PAGE < all.log->at ||
					    page * PAGE >= all.map->at);
}

/* Where a byte of the image stands in a stage. */
static uint8_t *in_stage(const struct stage *stage, size_t at)
{
	const struct window *window = all.windows;

	while (at - window->at >= window->bytes)
		window++;
	return memory_of(stage, window->base) + window->off + (at - window->at);
}

/* ---- images ---- */

struct image *image_new(void)
{
	struct image *image = calloc(1, sizeof *image);

	if (image != NULL)
		image->bytes = aligned_alloc(PAGE, all.bytes);
	if (image == NULL || image->bytes == NULL)
		abort();
	return image;
}

void image_copy(struct image *to, const struct image *from)
{
	memcpy(to->bytes, from->bytes, all.bytes);
	to->rung = from->rung;
}

const struct rf_super *image_super(const struct image *image)
{
	return (const struct rf_super *)(image->bytes + all.super->at);
}

void image_capture(struct image *image, const struct stage *stage)
{
	for (size_t i = 0; i < all.count; i++) {
		const struct window *window = &all.windows[i];

		memcpy(image->bytes + window->at, in_stage(stage, window->at),
			window->bytes);
	}
	image->rung = stage_hears(stage);
}

void image_restore(const struct image *image, struct stage *stage)
{
	for (size_t i = 0; i < all.count; i++) {
		const struct window *window = &all.windows[i];

		memcpy(in_stage(stage, window->at), image->bytes + window->at,
			window->bytes);
	}
}

/* ---- walking an image ---- */

static size_t run_number(const struct image *image, size_t page)
{
	const uint32_t *cells = (const uint32_t *)(image->bytes + all.map->at);
	size_t number = cells[page] & ~(UINT32_C(1) << 31);

	if (number >= all.runs->bytes / all.runs->unit)
		number = 0; /* not sound: the judge will say so */
	return number;
}

static const struct rf_run *run_in(const struct image *image, size_t page)
{
	return (const struct rf_run *)(image->bytes + all.runs->at) +
	       run_number(image, page);
}

/* Where in the image a byte of the heap stands; 0 when images lack it. */
static size_t heap_at(size_t off)
{
	for (int i = 0; i < 2 && all.heap[i] != NULL; i++) {
		size_t from = all.heap[i]->first * PAGE;

		if (off >= from && off - from < all.heap[i]->bytes)
			return all.heap[i]->at + (off - from);
	}
	return 0;
}

/* ---- watching ---- */

/* Neighbouring pages that all stand in one window become one range. */
static void list_watched(void)
{
	all.watch_count = 0;
	for (size_t i = 0; i < all.count; i++) {
		const struct window *window = &all.windows[i];
		struct image_range *range = NULL;

		for (size_t off = 0; off < window->bytes; off += PAGE) {
			if (!all.watched[(window->at + off) / PAGE]) {
				range = NULL;
				continue;
			}
			if (range == NULL) {
				if (all.watch_count == WATCH_MAX)
					abort();
				range = &all.watch[all.watch_count++];
				*range = (struct image_range){
					window->at + off, 0};
			}
			range->bytes += PAGE;
		}
	}
}

static void watch_log(size_t pages)
{
	if (pages * PAGE > LOG_WINDOW)
		abort();
	all.log_pages = pages;
	for (size_t i = 0; i < pages; i++)
		all.watched[all.log->at / PAGE + i] = true;
}

void image_watch(const struct image *image)
{
	size_t count = image_super(image)->heap.page_count;
	const struct rf_run *run;

	for (size_t page = 0; page < count; page += run->pages) {
		run = run_in(image, page);
		if (run->pages == 0 || run->pages > count - page)
			break; /* not sound: the judge will say so */
		for (size_t i = page; i < page + run->pages; i++)
			if (run->kind != RF_RUN_FREE && heap_at(i * PAGE) != 0)
				all.watched[heap_at(i * PAGE) / PAGE] = true;
	}
	if (all.log_pages == 0)
		watch_log(1 + LOG_AHEAD);
	list_watched();
}

static bool poll_watched(struct image *image, const struct stage *stage)
{
	bool changed = false;

	for (size_t i = 0; i < all.watch_count; i++) {
		uint8_t *mine = image->bytes + all.watch[i].at;
		uint8_t *theirs = in_stage(stage, all.watch[i].at);

		if (memcmp(mine, theirs, all.watch[i].bytes) == 0)
			continue;
		memcpy(mine, theirs, all.watch[i].bytes);
		changed = true;
	}
	return changed;
}

bool image_poll(struct image *image, const struct stage *stage)
{
	size_t pages;

	if (!poll_watched(image, stage))
		return false;
	pages = image_log_tail(image) / PAGE + 1 + LOG_AHEAD;
	if (pages > all.log_pages) {
		watch_log(pages);
		list_watched();
		poll_watched(image, stage);
	}
	image->rung |= stage_hears(stage);
	return true;
}

void image_load(const struct image *image, struct stage *stage)
{
	for (size_t i = 0; i < all.watch_count; i++)
		memcpy(in_stage(stage, all.watch[i].at),
			image->bytes + all.watch[i].at, all.watch[i].bytes);
}

/* ---- meaning ---- */

static void add_range(struct image *image, size_t at, size_t bytes)
{
	if (image->means_count == image->means_room) {
		image->means_room = image->means_room * 2 + 64;
		image->means = realloc(
			image->means, image->means_room * sizeof *image->means);
		if (image->means == NULL)
			abort();
	}
	image->means[image->means_count++] = (struct image_range){at, bytes};
}

static void means(struct image *image, size_t at, size_t bytes)
{
	struct image_range *last = NULL;

	if (image->means_count > 0)
		last = &image->means[image->means_count - 1];
	if (last != NULL && last->at + last->bytes == at)
		last->bytes += bytes;
	else
		add_range(image, at, bytes);
}

static void block_means(struct image *image, size_t off, size_t bytes)
{
	while (bytes > 0) {
		size_t part = PAGE - off % PAGE;

		part = part < bytes ? part : bytes;
		if (heap_at(off) != 0)
			means(image, heap_at(off), part);
		off += part;
		bytes -= part;
	}
}

#define FIELDS(image, from, to)                                                \
	means(image, all.super->at + offsetof(struct rf_super, from),          \
		offsetof(struct rf_super, to) -                                \
			offsetof(struct rf_super, from))

static void super_means(struct image *image)
{
	FIELDS(image, marker, generation);
	FIELDS(image, quarantine_last_id, mark);
	FIELDS(image, desk, heap);
	means(image, all.super->at + offsetof(struct rf_super, heap),
		sizeof(struct rf_super) - offsetof(struct rf_super, heap));
}

/* 16 .. 64 by 8, then four per power of two. */
static size_t class_bytes(size_t klass)
{
	size_t base;

	if (klass < 7)
		return (klass + 2) * 8;
	base = (size_t)64 << (klass - 7) / 4;
	return base + base / 4 * ((klass - 7) % 4 + 1);
}

static void small_means(struct image *image, size_t page)
{
	const struct rf_run *run = run_in(image, page);
	size_t at = all.runs->at + run_number(image, page) * sizeof *run;
	size_t block_bytes = class_bytes(run->klass);
	size_t count = run->pages * PAGE / block_bytes;

	means(image, at, sizeof *run);
	for (size_t i = 0; i < count; i++)
		if (run->bitmap[i / 64] >> (i % 64) & 1)
			block_means(image, page * PAGE + i * block_bytes,
				block_bytes);
}

static void run_means(struct image *image, size_t page)
{
	const struct rf_run *run = run_in(image, page);
	size_t at = all.runs->at + run_number(image, page) * sizeof *run;
	size_t cells = all.map->at + page * sizeof(uint32_t);

	if (run->kind == RF_RUN_SMALL) {
		means(image, cells, run->pages * sizeof(uint32_t));
		small_means(image, page);
		return;
	}
	means(image, cells, sizeof(uint32_t));
	means(image, cells + (run->pages - 1) * sizeof(uint32_t),
		sizeof(uint32_t));
	means(image, at, offsetof(struct rf_run, prev));
	means(image, at + offsetof(struct rf_run, kind), 1);
	if (run->kind == RF_RUN_LARGE) {
		means(image, at + offsetof(struct rf_run, bytes), 8);
		block_means(image, page * PAGE, run->pages * PAGE);
	} else {
		means(image, at + offsetof(struct rf_run, prev), 8);
		means(image, at + offsetof(struct rf_run, hole), 1);
	}
}

static void unused_means(struct image *image, size_t number)
{
	const struct rf_run *run =
		(const struct rf_run *)(image->bytes + all.runs->at) + number;
	size_t at = all.runs->at + number * sizeof *run;

	if (run->kind != RF_RUN_UNUSED)
		return;
	means(image, at + offsetof(struct rf_run, next), 4);
	means(image, at + offsetof(struct rf_run, kind), 1);
}

void image_read_meaning(struct image *image)
{
	size_t count = image_super(image)->heap.page_count;

	image->means_count = 0;
	super_means(image);
	for (size_t page = 0; page < count; page += run_in(image, page)->pages)
		run_means(image, page);
	for (size_t i = 0; i < image_super(image)->heap.run_count; i++)
		unused_means(image, i);
}

void image_forget(struct image *image, const void *from, size_t bytes)
{
	size_t off =
		(uint64_t)from - RF_ARENA_BASE - image_super(image)->heap_off;
	size_t at = heap_at(off), end = at + bytes;

	for (size_t i = 0; i < image->means_count; i++) {
		struct image_range *range = &image->means[i];
		size_t range_end = range->at + range->bytes;

		if (end <= range->at || at >= range_end)
			continue;
		if (at < range->at || end > range_end)
			abort(); /* not in one live block */
		range->bytes = at - range->at;
		add_range(image, end, range_end - end);
		return;
	}
}

static const char *describe(
	const struct image *want, const struct stage *have, size_t at)
{
	static char text[160];
	const struct window *window = all.windows;
	size_t off;

	while (at - window->at >= window->bytes)
		window++;
	while (*in_stage(have, at) == want->bytes[at])
		at++;
	off = at - window->at;
	snprintf(text, sizeof text, "%s %zu + %#zx is %02x instead of %02x",
		window->name, window->first + off / window->unit,
		off % window->unit, *in_stage(have, at), want->bytes[at]);
	return text;
}

const char *image_differs(const struct image *want, const struct stage *have)
{
	for (size_t i = 0; i < want->means_count; i++) {
		const struct image_range *range = &want->means[i];

		if (memcmp(want->bytes + range->at, in_stage(have, range->at),
			    range->bytes) != 0)
			return describe(want, have, range->at);
	}
	return NULL;
}
