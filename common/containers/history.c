/* SPDX-License-Identifier: MIT */
/* history.c -- the last so many entries, in a ring of pointers.
 *
 * Entry n stands in place n modulo the number of places, each in a block of
 * its own: adding one frees the one that stood there. `added` counts all that
 * ever were; `first` is the oldest that is left after a clearing. What is told
 * here must not fail because there is no memory to tell it.
 */
#include "common/verify/walk_form.h"
#include <errno.h>
#include <refork/heap.h>
#include <refork/history.h>
#include <refork/tx.h>

struct entry {
	uint64_t bytes;
	char text[];
};

struct rf_history_ring {
	uint64_t first; /* no entry before is kept */
	uint64_t keep;
	struct entry *entries[]; /* NULL: none */
};

uint32_t rf_history_count(const struct rf_history *history)
{
	const struct rf_history_ring *ring = history->ring;
	uint64_t count;

	if (ring == NULL)
		return 0;
	count = history->added - ring->first;
	return (uint32_t)(count < ring->keep ? count : ring->keep);
}

static struct entry **place_of(struct rf_history_ring *ring, uint64_t number)
{
	return &ring->entries[number % ring->keep];
}

/* The entries from the oldest to `number` - 1. */
static void free_before(const struct rf_history *history, uint64_t number)
{
	uint64_t at = history->added - rf_history_count(history);

	for (; at < number; at++)
		rf_free(*place_of(history->ring, at));
}

void rf_history_resize(struct rf_history *history, uint32_t keep)
{
	struct rf_history_ring *ring = history->ring, *fresh = NULL;
	uint32_t count = rf_history_count(history);
	uint64_t first;

	if ((ring != NULL ? ring->keep : 0) == keep)
		return;
	if (count > keep)
		count = keep;
	first = history->added - count;
	if (keep > 0) {
		fresh = rf_alloc(sizeof *fresh + keep * sizeof(struct entry *));
		if (fresh == NULL)
			return;
		fresh->first = first;
		fresh->keep = keep;
		for (uint64_t at = first; at < history->added; at++)
			*place_of(fresh, at) = *place_of(ring, at);
	}
	if (ring != NULL)
		free_before(history, first);
	rf_free(ring);
	RF_SET(history->ring, fresh);
}

void rf_history_add(struct rf_history *history, const void *from, size_t bytes)
{
	struct rf_history_ring *ring = history->ring;
	struct entry *entry, **place;

	if (ring != NULL) {
		entry = rf_try_alloc(sizeof *entry + bytes);
		if (entry == NULL)
			return;
		entry->bytes = bytes;
		if (bytes > 0)
			memcpy(entry->text, from, bytes);
		place = place_of(ring, history->added);
		rf_free(*place);
		RF_SET(*place, entry);
	}
	RF_SET(history->added, history->added + 1);
}

bool rf_history_get(
	const struct rf_history *history, uint32_t ago, struct rf_bytes *entry)
{
	const struct entry *at;

	if (ago >= rf_history_count(history))
		return false;
	at = *place_of(history->ring, history->added - 1 - ago);
	*entry = (struct rf_bytes){at->text, at->bytes};
	return true;
}

void rf_history_clear(struct rf_history *history)
{
	struct rf_history_ring *ring = history->ring;
	uint64_t at = history->added - rf_history_count(history);

	if (ring == NULL)
		return;
	free_before(history, history->added);
	for (; at < history->added; at++)
		RF_SET(*place_of(ring, at), NULL);
	RF_SET(ring->first, history->added);
}

/* ---- the walker ---- */

static void walk_entry(struct rf_walk *walk, const struct entry *entry)
{
	if (rf_walk_block(walk, entry, sizeof *entry, "history entry") &&
		entry->bytes > rf_walk_usable(walk, entry) - sizeof *entry)
		rf_walk_problem(
			walk, entry, "history: an entry longer than its block");
}

static const char *ring_fault(
	struct rf_walk *walk, const struct rf_history *history)
{
	const struct rf_history_ring *ring = history->ring;
	size_t room = rf_walk_usable(walk, ring) - sizeof *ring;

	if (ring->keep == 0 || ring->keep > UINT32_MAX ||
		ring->keep > room / sizeof *ring->entries)
		return "its ring does not fit its block";
	return ring->first > history->added ? "it begins after its end" : NULL;
}

bool rf_walk_history(struct rf_walk *walk, const struct rf_history *history)
{
	const struct rf_history_ring *ring = history->ring;
	uint64_t before = rf_walk_problems(walk), kept, oldest;
	const char *fault;

	if (ring == NULL)
		return true;
	if (!rf_walk_block(walk, ring, sizeof *ring, "history ring"))
		return false;
	fault = ring_fault(walk, history);
	if (fault != NULL) {
		rf_walk_problem(walk, history, "history: %s", fault);
		return false;
	}
	kept = rf_history_count(history);
	oldest = history->added - kept;
	for (uint64_t i = 0; i < ring->keep; i++) {
		const struct entry *entry =
			ring->entries[(oldest + i) % ring->keep];

		if (i < kept)
			walk_entry(walk, entry);
		else if (entry != NULL)
			rf_walk_problem(walk, ring,
				"history: an entry in a free place");
	}
	return rf_walk_problems(walk) == before;
}

int rf_history_check(const struct rf_history *history, const char *name)
{
	struct rf_walk_alone alone;

	return rf_walk_history(rf_walk_alone(&alone, name), history) ? 0
								     : -EBADMSG;
}
