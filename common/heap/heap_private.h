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

#define RF_RECENT 56u

/* A class. Private to the process; all but the recent ones is the same in each:
 * made before main. */
struct rf_class {
	uint32_t bytes;	  /* of a block */
	uint32_t inverse; /* 2^32 / bytes, rounded up */
	uint16_t blocks;  /* of a run */
	uint16_t pages;	  /* of a run */
	uint16_t sort;	  /* rf_run_sort() of its runs */
	/* A run that was full is used again when a word of its bitmap has more
	 * free blocks than this. */
	uint16_t lazy;
	uint64_t empty[RF_RUN_WORDS]; /* the bitmap of an empty run */
	/* Where blocks were given back, the latest last: heap_recent.h. */
	uint64_t recent_count;
	uint64_t recent[RF_RECENT];
};
_Static_assert(sizeof(struct rf_class) == 512, "found by a shift");

/* Kind and class of a run, looked at together. */
static inline uint16_t rf_run_sort(const struct rf_run *run)
{
	uint16_t sort;

	_Static_assert(offsetof(struct rf_run, klass) ==
			       offsetof(struct rf_run, kind) + 1,
		"side by side");
	memcpy(&sort, &run->kind, sizeof sort);
	return sort;
}

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

/* Have a pointer in a register: the compiler would make it anew, from what it
 * was made of, for each field that is looked at. */
#define RF_HELD(pointer) __asm__("" : "+r"(pointer))

static inline struct rf_super *rf_super_here(void)
{
	struct rf_super *super = RF_SUPER;

	RF_HELD(super);
	return super;
}

static rf_inline struct rf_class *rf_class_here(uint32_t klass)
{
	struct rf_class *class = &rf_class_table.classes[klass];

	RF_HELD(class);
	return class;
}

/* The same when the log may have to grow. */
int rf_heap_keep_more(const uint64_t *word) __attribute__((cold));

/* What the log needs for a word: it, and where it stood. */
#define RF_KEPT_BYTES 16

/* Whether the log has room for so many words more as it is. */
static rf_inline bool rf_heap_can_keep(
	const struct rf_super *super, size_t words)
{
	return super->log_ready_bytes - super->log_tail >=
	       words * RF_KEPT_BYTES;
}

/* As rf_tx_log_word(), where there is room, in a transaction without an error,
 * and without asking whether the word has been logged before: twice does no
 * harm. `old` is what the word holds. */
static rf_inline void rf_heap_keep_here(
	struct rf_super *super, const uint64_t *word, uint64_t old)
{
	uint64_t tail = super->log_tail;
	uint64_t *to = (uint64_t *)((uint8_t *)super + RF_LOG_OFF + tail);

	to[0] = old;
	rf_ordered(); /* two plain stores, no detour by a vector */
	to[1] = ((uint64_t)word << RF_TX_LEN_BITS) +
		(sizeof *word - (RF_ARENA_BASE << RF_TX_LEN_BITS));
	rf_ordered();
	super->log_tail = tail + RF_KEPT_BYTES;
	rf_ordered();
}

static rf_inline int rf_heap_keep(const uint64_t *word)
{
	struct rf_super *super = rf_super_here();

	if (rf_unlikely(!rf_heap_can_keep(super, 1)))
		return rf_heap_keep_more(word);
	rf_heap_keep_here(super, word, *word);
	return 0;
}

static inline uint32_t rf_run_number(const struct rf_run *run)
{
	return (uint32_t)(run - rf_run_at(0));
}

/* Where a block stands, in one word: the number of its run, its index there. */
#define RF_PLACE_BITS 9
#define RF_PLACE_NONE UINT64_MAX
_Static_assert(RF_RUN_WORDS * 64 < 1 << RF_PLACE_BITS, "bits");

static inline uint64_t rf_place(uint32_t number, uint32_t index)
{
	return (uint64_t)number << RF_PLACE_BITS | index;
}

static inline uint32_t rf_place_number(uint64_t place)
{
	return (uint32_t)(place >> RF_PLACE_BITS);
}

static inline uint32_t rf_place_index(uint64_t place)
{
	return place & ((1 << RF_PLACE_BITS) - 1);
}

static rf_inline struct rf_run *rf_place_run(
	struct rf_super *super, uint64_t place)
{
	struct rf_run *run =
		(struct rf_run *)((uint8_t *)super + super->runs_off) +
		rf_place_number(place);

	RF_HELD(run);
	return run;
}

/* The word of its bitmap. */
static rf_inline uint64_t *rf_place_word(struct rf_run *run, uint64_t place)
{
	uint64_t *word = &run->bitmap[rf_place_index(place) / 64];

	RF_HELD(word);
	return word;
}

/* The same word of an empty run. */
static rf_inline const uint64_t *rf_class_empty(
	const struct rf_class *class, uint64_t place)
{
	return &class->empty[rf_place_index(place) / 64];
}

static rf_inline uint64_t rf_place_bit(uint64_t place)
{
	return UINT64_C(1) << (place % 64);
}

/* Of a live block; RF_PLACE_NONE: it is none. */
static inline uint64_t rf_find_place(const void *block)
{
	struct rf_super *super = rf_super_here();
	size_t off = (uint64_t)block - RF_ARENA_BASE - super->heap_off;
	uint32_t page = (uint32_t)(off >> RF_PAGE_SHIFT), number, at;
	const struct rf_class *class;
	const struct rf_run *run;

	if (rf_unlikely(off >> RF_PAGE_SHIFT >= super->heap.page_count))
		return RF_PLACE_NONE;
	number = ((const uint32_t *)((const uint8_t *)super +
				     super->map_off))[page];
	if (rf_unlikely(number >= super->heap.run_count))
		return RF_PLACE_NONE;
	run = rf_place_run(super, rf_place(number, 0));
	off -= (size_t)run->first << RF_PAGE_SHIFT;
	if (rf_unlikely(run->kind != RF_RUN_SMALL))
		return run->kind == RF_RUN_LARGE && off == 0
			       ? rf_place(number, 0)
			       : RF_PLACE_NONE;
	if (rf_unlikely(run->klass >= RF_CLASS_COUNT))
		return RF_PLACE_NONE;
	class = rf_class_here(run->klass);
	at = (uint32_t)((off * class->inverse) >> 32);
	if (rf_unlikely(
		    at >= class->blocks || off != (size_t)at * class->bytes))
		return RF_PLACE_NONE;
	return run->bitmap[at / 64] >> (at % 64) & 1 ? rf_place(number, at)
						     : RF_PLACE_NONE;
}

/* Its run and its index in it; NULL: it is none. */
static inline struct rf_run *rf_find_block(const void *block, uint32_t *index)
{
	uint64_t place = rf_find_place(block);

	if (place == RF_PLACE_NONE)
		return NULL;
	*index = rf_place_index(place);
	return rf_place_run(RF_SUPER, place);
}

/* Bytes in a live block of a run. */
static inline size_t rf_run_room(const struct rf_run *run)
{
	return run->kind == RF_RUN_LARGE
		       ? (size_t)run->pages << RF_PAGE_SHIFT
		       : rf_class_table.classes[run->klass].bytes;
}

/* Have the commit give a block back; or, with this index, what is too much of
 * it. Without memory to remember it the transaction fails. */
#define RF_PLACE_CUT ((1u << RF_PLACE_BITS) - 1)
void rf_heap_defer(uint64_t place);

/* A block of more than RF_SMALL_MAX bytes, or an aligned one. */
void *rf_large_take(size_t bytes, size_t alignment);
void rf_large_give(uint32_t number);
/* What is beyond its bytes, at the commit. */
void rf_large_cut(uint32_t number);

static inline size_t rf_run_bytes(const struct rf_run *run)
{
	return (size_t)run->pages << RF_PAGE_SHIFT;
}

#endif
