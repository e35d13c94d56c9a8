/* SPDX-License-Identifier: MIT */
/* walk_form.h -- a walk, for those in librefork that take part; see walk.c. */
#ifndef RF_WALK_FORM_H
#define RF_WALK_FORM_H

#include "heap/heap_paint.h"
#include "super.h"
#include <refork/walk.h>

/* Which blocks are live, made from the runs of the heap once they have been
 * looked at one by one: nothing but this says what is a block from then on.
 * Private memory. */
struct rf_walk_index {
	/* A bit for each 8 bytes of the heap: a live block begins there, and
	 * nobody has reached it yet. */
	uint64_t *left;
	uint32_t *run;	/* page -> number of its run; RF_RUN_NONE */
	uint8_t *klass; /* page -> class, or one of those below */
	size_t left_bytes, run_bytes, klass_bytes;
	uint64_t heap_bytes;
	uint64_t base; /* address of the first page */
	uint32_t pages;
	uint64_t runs, free_pages, blocks, block_bytes;
	bool broken; /* a part of the heap is in no run, or was left out */
	uint32_t class_bytes[256];
};

#define RF_WALK_LARGE 254u
#define RF_WALK_NONE  255u /* free, or not to be trusted */

#define RF_WALK_TALLIES 64u

struct rf_walk_tally {
	const char *slot, *what;
	uint64_t blocks, bytes;
};

struct rf_walk {
	struct rf_walk_index *index; /* NULL: any live block will do, reached
				      * however often */
	const struct rf_walk_scope *scope;
	const char *slot; /* "": none */
	uint64_t problems;
	uint64_t reached;
	/* `text` without where the walk is. */
	void (*report)(
		const struct rf_walk *walk, const void *at, const char *text);
	void (*thing)(void *context, const void *at, const char *path,
		const char *kind, uint64_t items);
	uint64_t wanted;
	void (*found)(void *context, const void *block, size_t bytes,
		const char *path, const char *what);
	void *context; /* of those above */
	struct rf_walk_tally tallies[RF_WALK_TALLIES];
};

#define RF_WALK_PATH_BYTES 256

/* "kv: db 0: key 'user:7'"; what cannot be printed is escaped. */
void rf_walk_path(const struct rf_walk *walk, char to[RF_WALK_PATH_BYTES]);

/* ---- one container by itself, for its _check: problems are logged ---- */

struct rf_walk_alone {
	struct rf_walk_scope scope;
	struct rf_walk walk;
};

struct rf_walk *rf_walk_alone(struct rf_walk_alone *alone, const char *name);

/* ---- walk_index.c ---- */

/* Looks at every run of the heap. What it cannot trust it leaves out and tells.
 * 0 or -ENOMEM. */
int rf_walk_index_make(struct rf_walk_index *index, struct rf_walk *walk);
void rf_walk_index_free(struct rf_walk_index *index);

/* Blocks that are left: each to `leak`. */
void rf_walk_index_leaks(const struct rf_walk_index *index,
	void (*leak)(void *context, const void *block, size_t bytes),
	void *context);

/* Whether a live block of at least so many bytes begins there, reached or
 * not. */
bool rf_walk_index_holds(
	const struct rf_walk_index *index, const void *at, size_t bytes);

static inline size_t rf_walk_index_size(
	const struct rf_walk_index *index, uint64_t off)
{
	uint32_t page = (uint32_t)(off >> RF_PAGE_SHIFT);
	uint32_t klass = index->klass[page];
	const struct rf_run *run;

	if (rf_likely(klass != RF_WALK_LARGE))
		return index->class_bytes[klass];
	run = (const struct rf_run *)(RF_ARENA_BASE + RF_SUPER->runs_off) +
	      index->run[page];
	return (size_t)run->pages << RF_PAGE_SHIFT;
}

/* Less in builds that leave a red zone behind what was asked for. */
static inline size_t rf_walk_index_usable(
	const struct rf_walk_index *index, uint64_t off)
{
	return rf_zone_asked((const void *)(index->base + off),
		rf_walk_index_size(index, off));
}

/* ---- slot.c: names, types, roots; what hangs on them is the worker's ---- */

void rf_walk_slots(struct rf_walk *walk);

/* ---- walk_desk.c ---- */

/* The connections and what waits for them. */
void rf_walk_desk(struct rf_walk *walk);
/* By itself: 0, or -EBADMSG after logging. */
int rf_desk_check(void);

/* ---- what the heap says of its classes (heap) ---- */

/* Bytes of a block, pages of a run; 0: there is no such class. */
uint32_t rf_heap_class_bytes(uint32_t klass);
uint32_t rf_heap_class_pages(uint32_t klass);

#endif
