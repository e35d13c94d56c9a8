/* SPDX-License-Identifier: MIT */
/* history.c -- the last so many entries, in a ring of pointers.
 *
 * Entry n stands in place n modulo the number of places, each in a block of
 * its own: adding one frees the one that stood there. `added` counts all that
 * ever were; `first` is the oldest that is left after a clearing. What is told
 * here must not fail because there is no memory to tell it.
 */
#include <errno.h>
#include <refork/heap.h>
#include <refork/history.h>
#include <refork/log.h>
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

static int bad(
	const struct rf_history *history, const char *name, const char *what)
{
	rf_log(RF_LOG_ERROR, "history check: %s at %p: %s", name,
		(const void *)history, what);
	return -EBADMSG;
}

int rf_history_check(const struct rf_history *history, const char *name)
{
	const struct rf_history_ring *ring = history->ring;
	uint64_t kept, oldest;

	if (ring == NULL)
		return 0;
	if (!rf_is_block(ring, sizeof *ring) || ring->keep == 0 ||
		ring->keep > UINT32_MAX ||
		!rf_is_block(ring,
			sizeof *ring + ring->keep * sizeof *ring->entries))
		return bad(history, name, "its ring does not fit its block");
	if (ring->first > history->added)
		return bad(history, name, "begins after its end");
	kept = rf_history_count(history);
	oldest = history->added - kept;
	for (uint64_t i = 0; i < ring->keep; i++) {
		const struct entry *entry =
			ring->entries[(oldest + i) % ring->keep];

		if (i >= kept && entry != NULL)
			return bad(history, name, "an entry in a free place");
		if (i < kept && (!rf_is_block(entry, sizeof *entry) ||
					entry->bytes > RF_BLOCK_BYTES_MAX ||
					!rf_is_block(entry,
						sizeof *entry + entry->bytes)))
			return bad(history, name, "not an entry");
	}
	return 0;
}
