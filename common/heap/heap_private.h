/* SPDX-License-Identifier: MIT */
/* heap_private.h -- what the files of the heap share. */
#ifndef RF_HEAP_PRIVATE_H
#define RF_HEAP_PRIVATE_H

#include "heap_paint.h"
#include "pages.h"
#include "tx_log.h"
#include <refork/check.h>

/* Where the compiler's own measure would make calls on the short way. */
#define rf_inline inline __attribute__((always_inline))

#define RF_SMALL_MAX  8192u
#define RF_CLASS_LINE 1024u /* classes by table up to here */

/* Private to the process, the same in each: made before main. */
struct rf_class {
	uint32_t bytes;	  /* of a block */
	uint32_t inverse; /* 2^32 / bytes, rounded up */
	uint16_t blocks;  /* of a run */
	uint16_t pages;	  /* of a run */
	/* A run that was full is used again when a word of its bitmap has more
	 * free blocks than this. */
	uint32_t lazy;
	uint64_t empty[RF_RUN_WORDS]; /* the bitmap of an empty run */
	uint64_t reserved;
};
struct rf_class_table {
	struct rf_class classes[RF_CLASS_COUNT];
	uint8_t by_line[RF_CLASS_LINE / 8 + 1]; /* of (bytes + 7) / 8 */
};
extern struct rf_class_table rf_class_table
	__attribute__((visibility("hidden")));

static inline uint32_t rf_class_of(size_t bytes)
{
	uint32_t last, log2;

	if (rf_likely(bytes <= RF_CLASS_LINE))
		return rf_class_table.by_line[(bytes + 7) / 8];
	last = (uint32_t)bytes - 1;
	log2 = 31 - (uint32_t)__builtin_clz(last);
	return 23 + (log2 - 10) * 4 + (last >> (log2 - 2) & 3);
}

/* A run with a free block for a class that has none. RF_RUN_NONE. */
uint32_t rf_class_run(uint32_t klass);
/* In or out of the list of its class. */
void rf_class_link(uint32_t number);
void rf_class_unlink(uint32_t number);
/* A run has become empty: kept, or given back. */
void rf_class_retire(uint32_t number);

/* Give back the empty runs that the classes keep for speed. Returns how many
 * there were. Needs an open transaction. */
size_t rf_heap_reclaim(void);

/* RF_SUPER in a register: the compiler would load the constant for each field
 * that is looked at. */
static inline struct rf_super *rf_super_here(void)
{
	struct rf_super *super = RF_SUPER;

	__asm__("" : "+r"(super));
	return super;
}

/* The same when the log may have to grow. */
int rf_heap_keep_more(const uint64_t *word) __attribute__((cold));

/* As rf_tx_log_word(), for a transaction without an error, and without asking
 * whether the word has been logged before: twice does no harm. */
static rf_inline int rf_heap_keep(const uint64_t *word)
{
	struct rf_super *super = rf_super_here();
	uint64_t tail = super->log_tail;
	uint64_t *to = (uint64_t *)((uint8_t *)super + super->log_off + tail);

	if (rf_unlikely(super->log_ready_bytes - tail < 16))
		return rf_heap_keep_more(word);
	to[0] = *word;
	rf_ordered(); /* two plain stores, no detour by a vector */
	to[1] = ((uint64_t)word - RF_ARENA_BASE) << RF_TX_LEN_BITS |
		sizeof *word;
	rf_ordered();
	super->log_tail = tail + 16;
	rf_ordered();
	return 0;
}

/* Where a live block stands. */
struct rf_place {
	struct rf_run *run;
	uint32_t index; /* of the block in it */
};

static inline uint32_t rf_run_number(const struct rf_run *run)
{
	return (uint32_t)(run - rf_run_at(0));
}

/* The run and the index of a live block; NULL: it is none. */
static inline struct rf_run *rf_find_block(const void *block, uint32_t *index)
{
	const struct rf_super *super = rf_super_here();
	size_t off = (uint64_t)block - RF_ARENA_BASE - super->heap_off;
	uint32_t page = (uint32_t)(off >> RF_PAGE_SHIFT), number, at;
	const struct rf_class *class;
	struct rf_run *run;

	if (rf_unlikely(off >> RF_PAGE_SHIFT >= super->heap.page_count))
		return NULL;
	number = ((const uint32_t *)((const uint8_t *)super +
				     super->map_off))[page];
	if (rf_unlikely(number >= super->heap.run_count))
		return NULL;
	run = (struct rf_run *)((uint8_t *)super + super->runs_off) + number;
	off -= (size_t)run->first << RF_PAGE_SHIFT;
	if (rf_unlikely(run->kind != RF_RUN_SMALL)) {
		*index = 0;
		return run->kind == RF_RUN_LARGE && off == 0 ? run : NULL;
	}
	if (rf_unlikely(run->klass >= RF_CLASS_COUNT))
		return NULL;
	class = &rf_class_table.classes[run->klass];
	at = (uint32_t)((off * class->inverse) >> 32);
	if (rf_unlikely(
		    at >= class->blocks || off != (size_t)at * class->bytes))
		return NULL;
	*index = at;
	return run->bitmap[at / 64] >> (at % 64) & 1 ? run : NULL;
}

/* Bytes in live blocks change by so much when the transaction commits. */
extern int64_t rf_heap_used_delta;

/* Have the commit give a block back; or, with this index, what is too much of
 * it. Without memory to remember it the transaction fails. */
#define RF_PLACE_CUT UINT32_MAX
void rf_heap_defer(struct rf_run *run, uint32_t index);

/* A block of more than RF_SMALL_MAX bytes, or an aligned one. */
void *rf_large_take(size_t bytes, size_t alignment);
void rf_large_give(uint32_t number);
/* What is beyond its bytes, at the commit. */
void rf_large_cut(uint32_t number);

static inline size_t rf_run_bytes(const struct rf_run *run)
{
	return (size_t)run->pages << RF_PAGE_SHIFT;
}

/* Take as a process does that has just begun: so one of two that have had
 * different lives takes the same blocks as the other. */
void rf_heap_forget_hints(void);

#endif
