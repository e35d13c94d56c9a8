/* SPDX-License-Identifier: MIT */
/* heap.c -- blocks are taken: size classes over page runs.
 *
 * The idea. Blocks up to 8 KiB come from SMALL runs, each cut into blocks of
 * one class, taken blocks marked in a bitmap that stands outside of the pages
 * (a free block's bytes are nobody's: rule T4). Larger ones are a page run of
 * their own. Taking or giving a small block changes one word of a bitmap,
 * which goes through the undo log. The block that was given back last is handed
 * out first (heap_recent.h), else the lowest free one of a run with room.
 *
 * Two ways. Nearly always nothing else has to happen than that one word: the
 * short way sees to that, beforehand, and does it without a call, so that no
 * register has to be saved. The long way does whatever there is. It matters
 * more than the instructions tell: while the processor waits for memory it
 * looks ahead some hundred instructions, and as far as the next branch that it
 * guesses wrong; what it meets on its way it fetches meanwhile. So the short
 * way is short, and asks little that is anybody's guess.
 *
 * heap_free.c gives back.
 */
#include "heap_private.h"
#include "heap_recent.h"
#include "tx_log.h"
#include <errno.h>
#include <refork/heap.h>

/* How many free blocks are remembered with one that was looked for. */
#define FOLLOWING 31u

/* Where in its bitmap the run of a class was left last: where to look first. */
static uint8_t last_word[RF_CLASS_COUNT];

static inline void *block_at(
	const struct rf_run *run, uint32_t index, uint32_t bytes)
{
	return (uint8_t *)RF_ARENA_BASE + rf_super_here()->heap_off +
	       ((size_t)run->first << RF_PAGE_SHIFT) + (size_t)index * bytes;
}

int rf_heap_keep_more(const uint64_t *word)
{
	return rf_tx_log_word(word);
}

/* ---- taking ---- */

/* The bits that some word lacks. */
static rf_inline uint64_t lack(const uint64_t *bitmap)
{
	return ~(bitmap[0] & bitmap[1] & bitmap[2] & bitmap[3] & bitmap[4]);
}
_Static_assert(RF_RUN_WORDS == 5, "see lack()");

static bool is_full(const uint64_t *bitmap)
{
	return lack(bitmap) == 0;
}

/* The short way: the block on top of the recent ones, where nothing else has to
 * happen. All of that is looked at before anything changes. NULL: the long way
 * finds out. */
static rf_inline void *take_recent(struct rf_class *class)
{
	struct rf_super *super = rf_super_here();
	uint64_t left = class->recent_count - 1, place, had, taken, *word;
	struct rf_run *run;
	void *block;

	if (rf_unlikely((int64_t)left < 0))
		return NULL;
	place = class->recent[left];
	run = rf_place_run(super, place);
	if (rf_unlikely(!rf_recent_holds(super, class, place, run)))
		return NULL;
	word = rf_place_word(run, place);
	had = *word;
	taken = had | rf_place_bit(place);
	/* Its run is full now, and linked: by one rare branch, as each half of
	 * it alone is anybody's guess. */
	if (rf_unlikely((lack(run->bitmap) ^ rf_place_bit(place)) + 1 ==
			run->linked))
		return NULL;
	if (rf_unlikely(!rf_heap_can_keep(super, 1)))
		return NULL;
	block = block_at(run, rf_place_index(place), class->bytes);
	/* Its taker writes to it soon: meanwhile the processor can find its
	 * page. */
	__builtin_prefetch(block, 1);
	class->recent_count = left;
	rf_heap_keep_here(super, word, had);
	*word = taken;
	rf_heap_tx.used_delta += class->bytes;
	return block;
}

/* A word that has a free block. */
static uint32_t open_word(const uint64_t *bitmap)
{
	uint32_t i = 0;

	while (i < RF_RUN_WORDS && bitmap[i] == ~UINT64_C(0))
		i++;
	RF_CHECK(i < RF_RUN_WORDS);
	return i;
}

/* The lowest free block of the run that heads the list of its class. A few that
 * follow it come next. RF_PLACE_NONE: there is none. */
static uint64_t first_open(uint32_t klass)
{
	uint32_t number = RF_HEAP->classes[klass];
	uint32_t i = last_word[klass];
	const struct rf_run *run;
	uint64_t free, next[FOLLOWING + 1];
	uint32_t count = 0;

	if (rf_unlikely(number == RF_RUN_NONE)) {
		number = rf_class_run(klass);
		if (number == RF_RUN_NONE)
			return RF_PLACE_NONE;
	}
	run = rf_run_at(number);
	if (rf_unlikely(run->bitmap[i] == ~UINT64_C(0)))
		last_word[klass] = (uint8_t)(i = open_word(run->bitmap));
	for (free = ~run->bitmap[i]; free != 0 && count <= FOLLOWING;
		free &= free - 1)
		next[count++] = rf_place(
			number, i * 64 + (uint32_t)__builtin_ctzll(free));
	while (count > 1)
		rf_recent_push(&rf_class_table.classes[klass], next[--count]);
	return next[0];
}

/* The latest place that is still free, or another one. */
static uint64_t find_free(uint32_t klass)
{
	struct rf_class *class = &rf_class_table.classes[klass];

	while (class->recent_count > 0) {
		uint64_t place = class->recent[--class->recent_count];

		if (rf_recent_holds(RF_SUPER, class, place,
			    rf_place_run(RF_SUPER, place)))
			return place;
	}
	return first_open(klass);
}

static __attribute__((noinline)) void *take_small(uint32_t klass)
{
	const struct rf_class *class = &rf_class_table.classes[klass];
	uint64_t place = find_free(klass);
	uint32_t index = rf_place_index(place);
	uint64_t *word;
	struct rf_run *run;

	if (place == RF_PLACE_NONE)
		return NULL;
	run = rf_place_run(RF_SUPER, place);
	word = &run->bitmap[index / 64];
	if (rf_heap_keep(word) != 0)
		return NULL;
	*word |= UINT64_C(1) << (index % 64);
	rf_heap_tx.used_delta += class->bytes;
	if (run->linked && is_full(run->bitmap))
		rf_class_unlink(rf_place_number(place));
	return block_at(run, index, class->bytes);
}

static __attribute__((noinline, cold)) void watch(void *block, size_t bytes)
{
	uint32_t index;
	const struct rf_run *run = rf_find_block(block, &index);

	if (rf_tx_is_compared)
		rf_tx_taken(block, rf_run_room(run));
	rf_paint_taken(
		block, bytes, rf_run_room(run), run->kind == RF_RUN_SMALL);
	rf_heap_tx.painted = RF_HEAP_DEBUG;
}

/* A block is its taker's from here on. */
static inline void *hand_out(void *block, size_t bytes)
{
	if (rf_unlikely(RF_HEAP_DEBUG || rf_tx_is_compared) && block != NULL)
		watch(block, bytes);
	return block;
}

static void *take(size_t bytes)
{
	size_t need = bytes + RF_ZONE_BYTES;

	RF_CHECK(rf_tx_state.open && bytes > 0);
	if (rf_unlikely(rf_tx_state.error != 0))
		return NULL;
	return hand_out(need <= RF_SMALL_MAX ? take_small(rf_class_of(need))
					     : rf_large_take(need, 1),
		bytes);
}

/* NULL: by take(). */
static rf_inline void *take_short(size_t bytes)
{
	if (rf_unlikely(bytes - 1 >= RF_SMALL_MAX || !rf_tx_is_plain() ||
			RF_HEAP_DEBUG))
		return NULL;
	return take_recent(rf_class_here(rf_class_of(bytes)));
}

void *rf_try_alloc(size_t bytes)
{
	void *block = take_short(bytes);

	return rf_likely(block != NULL) ? block : take(bytes);
}

static __attribute__((noinline)) void *take_or_fail(size_t bytes)
{
	void *block = take(bytes);

	if (block == NULL)
		rf_tx_fail(-ENOMEM);
	return block;
}

void *rf_alloc_uninit(size_t bytes)
{
	void *block = take_short(bytes);

	return rf_likely(block != NULL) ? block : take_or_fail(bytes);
}

void *rf_alloc(size_t bytes)
{
	void *block = rf_alloc_uninit(bytes);

	return block != NULL ? memset(block, 0, bytes) : NULL;
}

/* A class whose blocks all stand at multiples of it; RF_CLASS_COUNT: none. */
static uint32_t class_aligned(size_t bytes, size_t alignment)
{
	uint32_t klass;

	if (bytes > RF_SMALL_MAX || alignment > RF_PAGE_BYTES)
		return RF_CLASS_COUNT;
	klass = rf_class_of(bytes);
	while (klass < RF_CLASS_COUNT &&
		rf_class_table.classes[klass].bytes % alignment != 0)
		klass++;
	return klass;
}

static void *take_aligned(size_t bytes, size_t alignment)
{
	uint32_t klass = class_aligned(bytes, alignment);

	return klass < RF_CLASS_COUNT ? take_small(klass)
				      : rf_large_take(bytes, alignment);
}

void *rf_alloc_aligned(size_t bytes, size_t alignment)
{
	void *block = NULL;

	RF_CHECK(rf_tx_state.open && bytes > 0);
	RF_CHECK(alignment >= 8 && alignment <= RF_ALIGNMENT_MAX &&
		 (alignment & (alignment - 1)) == 0);
	if (rf_tx_state.error == 0)
		block = take_aligned(bytes + RF_ZONE_BYTES, alignment);
	if (block == NULL)
		rf_tx_fail(-ENOMEM);
	return hand_out(block, bytes);
}

/* ---- looking ---- */

size_t rf_usable(const void *block)
{
	uint32_t index;
	const struct rf_run *run = rf_find_block(block, &index);

	RF_CHECK(run != NULL);
	return rf_zone_asked(block, rf_run_room(run));
}

bool rf_is_block(const void *at, size_t bytes)
{
	uint32_t index;
	const struct rf_run *run = rf_find_block(at, &index);

	return run != NULL && bytes <= rf_zone_asked(at, rf_run_room(run));
}

void rf_heap_forget_hints(void)
{
	for (uint32_t klass = 0; klass < RF_CLASS_COUNT; klass++)
		rf_class_table.classes[klass].recent_count = 0;
	memset(last_word, 0, sizeof last_word);
}
