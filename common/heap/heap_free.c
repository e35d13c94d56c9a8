/* SPDX-License-Identifier: MIT */
/* heap_free.c -- blocks are given back, by the commit.
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

struct rf_heap_tx rf_heap_tx;

/* Places of the blocks that wait for the commit. Private: dies with it. */
static struct {
	uint64_t *all;
	size_t room;
} deferred;

static __attribute__((noinline, cold)) void defer_more(uint64_t place)
{
	size_t room = deferred.room > 0 ? deferred.room * 2 : 256;
	uint64_t *all = realloc(deferred.all, room * sizeof *all);

	if (all == NULL) {
		rf_tx_fail(-ENOMEM);
		return;
	}
	deferred.all = all;
	deferred.room = room;
	rf_heap_defer(place);
}

static rf_inline void defer(uint64_t place)
{
	size_t count = rf_heap_tx.freed;

	if (rf_unlikely(count == deferred.room)) {
		defer_more(place);
		return;
	}
	deferred.all[count] = place;
	rf_heap_tx.freed = count + 1;
}

void rf_heap_defer(uint64_t place)
{
	defer(place);
}

/* Nothing to do, or not allowed, or to be painted. */
static __attribute__((noinline)) void free_odd(void *block)
{
	const struct rf_run *run;
	uint64_t place;

	RF_CHECK(rf_tx_state.open);
	if (block == NULL || rf_tx_state.error != 0)
		return;
	place = rf_find_place(block);
	RF_CHECK(place != RF_PLACE_NONE);
	run = rf_place_run(RF_SUPER, place);
	rf_paint_given(block, rf_run_room(run), run->kind == RF_RUN_SMALL);
	rf_heap_tx.painted = RF_HEAP_DEBUG;
	defer(place);
}

void rf_free(void *block)
{
	uint64_t place;

	if (rf_unlikely(!rf_tx_is_plain() || block == NULL || RF_HEAP_DEBUG)) {
		free_odd(block);
		return;
	}
	place = rf_find_place(block);
	RF_CHECK(place != RF_PLACE_NONE);
	defer(place);
}

/* Whether a run that has lost this block, too, is to be linked: it is not, and
 * has room for more than a lazy one waits for. By one rare branch, as each half
 * of it alone is anybody's guess. */
static rf_inline bool wants_link(
	const struct rf_run *run, const struct rf_class *class, uint64_t open)
{
	return (open & (open - class->lazy) & ((uint64_t)run->linked - 1)) != 0;
}

/* The bits of blocks that some word of its bitmap has. */
static rf_inline uint64_t has(
	const struct rf_run *run, const struct rf_class *class)
{
	uint64_t taken = 0;

	for (uint32_t i = 0; i < RF_RUN_WORDS; i++)
		taken |= run->bitmap[i] ^ class->empty[i];
	return taken;
}

/* The short way: blocks after which nothing has to happen to their runs. All of
 * that is looked at before anything changes. The log has room for all of them.
 * Returns how many are done. */
static rf_inline size_t give_recent(size_t done)
{
	struct rf_super *super = rf_super_here();

	for (; done < rf_heap_tx.freed; done++) {
		uint64_t place = deferred.all[done];
		struct rf_run *run = rf_place_run(super, place);
		uint64_t bit = rf_place_bit(place), had, left, *word;
		struct rf_class *class;

		if (rf_unlikely(run->kind != RF_RUN_SMALL))
			break;
		class = rf_class_here(run->klass);
		word = rf_place_word(run, place);
		had = *word;
		left = had ^ bit;
		if (rf_unlikely((had & bit) == 0) ||
			rf_unlikely(rf_recent_is_full(class)) ||
			rf_unlikely(wants_link(run, class, ~left)) ||
			(rf_unlikely(left == *rf_class_empty(class, place)) &&
				has(run, class) == bit))
			break;
		rf_heap_keep_here(super, word, had);
		*word = left;
		rf_heap_tx.used_delta -= class->bytes;
		rf_recent_push(class, place);
	}
	return done;
}

/* `logged` is the word that was logged last: those of one word need it once.
 * Returns the one that is it now. */
static const uint64_t *give_small(uint64_t place, const uint64_t *logged)
{
	struct rf_run *run = rf_place_run(RF_SUPER, place);
	struct rf_class *class = rf_class_here(run->klass);
	uint64_t *word = rf_place_word(run, place);
	uint64_t bit = rf_place_bit(place);

	/* Freed twice in one transaction. */
	RF_CHECK(*word & bit);
	if (word != logged && rf_heap_keep(word) != 0)
		return NULL;
	*word &= ~bit;
	rf_heap_tx.used_delta -= class->bytes;
	if (rf_recent_is_full(class))
		rf_recent_forget_half(class);
	rf_recent_push(class, place);
	if (wants_link(run, class, ~*word))
		rf_class_link(rf_place_number(place));
	if (*word == *rf_class_empty(class, place) && run->linked &&
		memcmp(run->bitmap, class->empty, sizeof run->bitmap) == 0)
		rf_class_retire(rf_place_number(place));
	return word;
}

static void give_large(uint64_t place)
{
	uint32_t number = rf_place_number(place);

	if (rf_place_index(place) == RF_PLACE_CUT) {
		rf_large_cut(number);
	} else {
		/* Else freed twice. */
		RF_CHECK(rf_run_at(number)->kind == RF_RUN_LARGE);
		rf_large_give(number);
	}
}

static int compare_places(const void *one, const void *other)
{
	uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;

	return (a > b) - (a < b);
}

static void keep_used(void)
{
	uint64_t *used = &RF_HEAP->used_bytes;

	if (rf_heap_tx.used_delta != 0 && rf_tx_state.error == 0 &&
		rf_heap_keep(used) == 0)
		*used += (uint64_t)rf_heap_tx.used_delta;
}

/* What is left by the short way. */
static __attribute__((noinline)) void give_rest(size_t done)
{
	size_t room = RF_SUPER->log_max_bytes - RF_SUPER->log_tail;
	size_t rest = rf_heap_tx.freed - done;
	bool is_short = rest > room / FREE_LOG_BYTES;
	const uint64_t *logged = NULL;

	/* Those of one run change the same few words, which are logged once:
	 * worth the time when the log is too short otherwise. */
	if (is_short)
		qsort(deferred.all + done, rest, sizeof *deferred.all,
			compare_places);
	while (done < rf_heap_tx.freed && rf_tx_state.error == 0) {
		uint64_t place = deferred.all[done++];

		if (rf_place_run(RF_SUPER, place)->kind == RF_RUN_SMALL)
			logged = give_small(place, logged);
		else
			give_large(place);
		if (!is_short &&
			rf_heap_can_keep(RF_SUPER, rf_heap_tx.freed - done))
			done = give_recent(done);
	}
	keep_used();
}

void rf_heap_free_deferred(void)
{
	struct rf_super *super = rf_super_here();
	size_t done = 0;

	if (rf_likely(rf_heap_can_keep(super, rf_heap_tx.freed + 1)))
		done = give_recent(done);
	if (rf_unlikely(
		    done < rf_heap_tx.freed || !rf_heap_can_keep(super, 1))) {
		give_rest(done);
		return;
	}
	/* As much taken as given is anybody's guess: not asked. */
	if (rf_heap_tx.used_delta != 0 || done > 0) {
		uint64_t used = super->heap.used_bytes;

		rf_heap_keep_here(super, &super->heap.used_bytes, used);
		super->heap.used_bytes = used + (uint64_t)rf_heap_tx.used_delta;
	}
}

void rf_heap_paint_end(bool committed)
{
	rf_paint_end(committed);
	rf_heap_tx.painted = false;
}

size_t rf_heap_used(void)
{
	return RF_HEAP->used_bytes + (uint64_t)rf_heap_tx.used_delta;
}
