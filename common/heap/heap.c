/* SPDX-License-Identifier: MIT */
/* heap.c -- blocks: size classes over page runs, frees at the commit.
 *
 * The idea. Blocks up to 8 KiB come from SMALL runs, each cut into blocks of
 * one class, taken blocks marked in a bitmap that stands outside of the pages
 * (a free block's bytes are nobody's: rule T4). Larger ones are a page run of
 * their own. Taking or giving a small block changes one word of a bitmap,
 * which goes through the undo log. The block that was given back last is handed
 * out first (heap_recent.h), else the lowest free one of a run with room.
 *
 * Frees wait. rf_free() only remembers; rf_tx_commit() has them carried out as
 * its last step, still under the log. So a block freed in a transaction keeps
 * its bytes until the outcome is decided, and a roll back finds them. The used
 * bytes wait, too: what they change by is private until then.
 */
#include "heap_private.h"
#include "heap_recent.h"
#include "tx_log.h"
#include <errno.h>
#include <refork/heap.h>
#include <stdlib.h>

/* What giving a block back needs of the undo log, at most. */
#define FREE_LOG_BYTES 256u

int64_t rf_heap_used_delta;

/* Of the open transaction. Private: dies with it. */
static struct {
	struct rf_place *all;
	size_t count, room;
} deferred;
static bool carried_out; /* the frees: the commit cannot fail any more */

/* Where in its bitmap the run of a class was left last: where to look first. */
static uint8_t last_word[RF_CLASS_COUNT];

static struct rf_recent recent[RF_CLASS_COUNT];

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

/* A word that has a free block. */
static uint32_t open_word(const uint64_t *bitmap)
{
	uint32_t i = 0;

	while (i < RF_RUN_WORDS && bitmap[i] == ~UINT64_C(0))
		i++;
	RF_CHECK(i < RF_RUN_WORDS);
	return i;
}

static bool is_full(const uint64_t *bitmap)
{
	return (bitmap[0] & bitmap[1] & bitmap[2] & bitmap[3] & bitmap[4]) ==
	       ~UINT64_C(0);
}
_Static_assert(RF_RUN_WORDS == 5, "see is_full()");

/* The lowest free block of the run that heads the list of its class; its run
 * is NULL: there is none. */
static __attribute__((noinline)) struct rf_place first_open(uint32_t klass)
{
	uint32_t number = RF_HEAP->classes[klass];
	uint32_t i = last_word[klass];
	struct rf_run *run;

	if (rf_unlikely(number == RF_RUN_NONE)) {
		number = rf_class_run(klass);
		if (number == RF_RUN_NONE)
			return (struct rf_place){NULL, 0};
	}
	run = rf_run_at(number);
	if (rf_unlikely(run->bitmap[i] == ~UINT64_C(0)))
		last_word[klass] = (uint8_t)(i = open_word(run->bitmap));
	return (struct rf_place){
		run, i * 64 + (uint32_t)__builtin_ctzll(~run->bitmap[i])};
}

static rf_inline void *take_small(uint32_t klass)
{
	const struct rf_class *class = &rf_class_table.classes[klass];
	struct rf_place at = rf_recent_pop(&recent[klass], klass);
	uint64_t *word, taken;
	void *block;

	if (rf_unlikely(at.run == NULL)) {
		at = first_open(klass);
		if (at.run == NULL)
			return NULL;
	}
	block = block_at(at.run, at.index, class->bytes);
	/* Its taker writes to it soon: meanwhile the processor can find its
	 * page. */
	__builtin_prefetch(block, 1);
	word = &at.run->bitmap[at.index / 64];
	if (rf_heap_keep(word) != 0)
		return NULL;
	*word = taken = *word | UINT64_C(1) << (at.index % 64);
	rf_heap_used_delta += class->bytes;
	/* All bits set, and linked is 1: again one rare branch. */
	if (rf_unlikely(taken + at.run->linked == 0) && is_full(at.run->bitmap))
		rf_class_unlink(rf_run_number(at.run));
	return block;
}

static size_t room_of(const struct rf_run *run)
{
	return run->kind == RF_RUN_LARGE
		       ? rf_run_bytes(run)
		       : rf_class_table.classes[run->klass].bytes;
}

static __attribute__((noinline, cold)) void watch(void *block, size_t bytes)
{
	uint32_t index;
	const struct rf_run *run = rf_find_block(block, &index);

	if (rf_tx_is_compared)
		rf_tx_taken(block, room_of(run));
	rf_paint_taken(block, bytes, room_of(run), run->kind == RF_RUN_SMALL);
}

/* A block is its taker's from here on. */
static inline void *hand_out(void *block, size_t bytes)
{
	if (rf_unlikely(RF_HEAP_DEBUG || rf_tx_is_compared) && block != NULL)
		watch(block, bytes);
	return block;
}

static rf_inline void *take(size_t bytes)
{
	size_t need = bytes + RF_ZONE_BYTES;

	RF_CHECK(rf_tx_state.open && bytes > 0);
	if (rf_unlikely(rf_tx_state.error != 0))
		return NULL;
	return hand_out(rf_likely(need <= RF_SMALL_MAX)
				? take_small(rf_class_of(need))
				: rf_large_take(need, 1),
		bytes);
}

void *rf_try_alloc(size_t bytes)
{
	return take(bytes);
}

void *rf_alloc_uninit(size_t bytes)
{
	void *block = take(bytes);

	if (rf_unlikely(block == NULL))
		rf_tx_fail(-ENOMEM);
	return block;
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

/* ---- giving back ---- */

size_t rf_usable(const void *block)
{
	uint32_t index;
	const struct rf_run *run = rf_find_block(block, &index);

	RF_CHECK(run != NULL);
	return rf_zone_asked(block, room_of(run));
}

bool rf_is_block(const void *at, size_t bytes)
{
	uint32_t index;
	const struct rf_run *run = rf_find_block(at, &index);

	return run != NULL && bytes <= rf_zone_asked(at, room_of(run));
}

static __attribute__((noinline, cold)) bool make_room(void)
{
	size_t room = deferred.room > 0 ? deferred.room * 2 : 256;
	struct rf_place *all = realloc(deferred.all, room * sizeof *all);

	if (all == NULL) {
		rf_tx_fail(-ENOMEM);
		return false;
	}
	deferred.all = all;
	deferred.room = room;
	return true;
}

static inline void defer(struct rf_run *run, uint32_t index)
{
	struct rf_place *place;

	if (rf_unlikely(deferred.count == deferred.room) && !make_room())
		return;
	place = &deferred.all[deferred.count++];
	place->run = run;
	place->index = index;
}

void rf_heap_defer(struct rf_run *run, uint32_t index)
{
	defer(run, index);
}

void rf_free(void *block)
{
	struct rf_run *run;
	uint32_t index;

	RF_CHECK(rf_tx_state.open);
	if (block == NULL || rf_tx_state.error != 0)
		return;
	run = rf_find_block(block, &index);
	RF_CHECK(run != NULL);
	rf_paint_given(block, room_of(run), run->kind == RF_RUN_SMALL);
	defer(run, index);
}

/* `logged` is the word that was logged last: those of one word need it once. */
static rf_inline const uint64_t *give_small(
	struct rf_run *run, uint32_t index, const uint64_t *logged)
{
	const struct rf_class *class = &rf_class_table.classes[run->klass];
	uint64_t bit = UINT64_C(1) << (index % 64), left, open;
	uint64_t *word = &run->bitmap[index / 64];

	/* Freed twice in one transaction. */
	RF_CHECK(*word & bit);
	if (word != logged && rf_heap_keep(word) != 0)
		return NULL;
	*word = left = *word & ~bit;
	rf_heap_used_delta -= class->bytes;
	rf_recent_push(&recent[run->klass], rf_run_number(run), index);
	open = ~left;
	/* Not linked, and room for more than a lazy one waits for: by one rare
	 * branch, as each half of it alone is anybody's guess. */
	if (rf_unlikely((open & (open - class->lazy) &
				((uint64_t)run->linked - 1)) != 0))
		rf_class_link(rf_run_number(run));
	if (rf_unlikely(left == class->empty[index / 64]) && run->linked &&
		memcmp(run->bitmap, class->empty, sizeof run->bitmap) == 0)
		rf_class_retire(rf_run_number(run));
	return word;
}

static void give_large(const struct rf_run *run, uint32_t index)
{
	if (index == RF_PLACE_CUT) {
		rf_large_cut(rf_run_number(run));
	} else {
		RF_CHECK(run->kind == RF_RUN_LARGE); /* else freed twice */
		rf_large_give(rf_run_number(run));
	}
}

static int compare_places(const void *one, const void *other)
{
	const struct rf_place *a = one, *b = other;

	return a->run != b->run ? (a->run > b->run) - (a->run < b->run)
				: (a->index > b->index) - (a->index < b->index);
}

void rf_heap_free_deferred(void)
{
	size_t room = RF_SUPER->log_max_bytes - RF_SUPER->log_tail;
	uint64_t *used = &RF_HEAP->used_bytes;
	const uint64_t *logged = NULL;

	/* Those of one run change the same few words, which are logged once:
	 * worth its time when the log is too short otherwise. */
	if (rf_unlikely(deferred.count > room / FREE_LOG_BYTES))
		qsort(deferred.all, deferred.count, sizeof *deferred.all,
			compare_places);
	for (size_t i = 0; i < deferred.count && rf_tx_state.error == 0; i++) {
		const struct rf_place *at = &deferred.all[i];

		if (rf_likely(at->run->kind == RF_RUN_SMALL))
			logged = give_small(at->run, at->index, logged);
		else
			give_large(at->run, at->index);
	}
	if (rf_heap_used_delta != 0 && rf_tx_state.error == 0 &&
		rf_heap_keep(used) == 0)
		*used += (uint64_t)rf_heap_used_delta;
	carried_out = rf_tx_state.error == 0;
}

void rf_heap_forget_deferred(void)
{
	rf_paint_end(carried_out);
	carried_out = false;
	deferred.count = 0;
	rf_heap_used_delta = 0;
}

void rf_heap_forget_hints(void)
{
	memset(recent, 0, sizeof recent);
	memset(last_word, 0, sizeof last_word);
}

size_t rf_heap_used(void)
{
	return RF_HEAP->used_bytes + (uint64_t)rf_heap_used_delta;
}
