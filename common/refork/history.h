/* SPDX-License-Identifier: MIT */
/* history.h -- a recoverable ring log: the last so many entries.
 *
 * Lives in the arena; every change is part of the open transaction: undone by
 * its abort, and by the death of the process.
 */
#ifndef REFORK_HISTORY_H
#define REFORK_HISTORY_H

#include <refork/bytes.h>
#include <refork/check.h>
#include <stdbool.h>
#include <stdint.h>

struct rf_history_ring;
struct rf_history {	/* zeroed: empty, keeps nothing */
	uint64_t added; /* ever; entry n is the n-th, from 0 on */
	struct rf_history_ring *ring;
};
_Static_assert(sizeof(struct rf_history) == 16, "format");

/* Keep so many entries from now on; the oldest beyond are freed. No memory: the
 * transaction carries -ENOMEM, as below. O(keep). */
RF_API void rf_history_resize(struct rf_history *history, uint32_t keep);
RF_API uint32_t rf_history_count(const struct rf_history *history);
/* Add one; the oldest goes when all places are taken. Where there is no memory
 * it is not added, and the transaction goes on. Cost: O(1). */
RF_API void rf_history_add(
	struct rf_history *history, const void *from, size_t bytes);
/* ago      0: the newest
 * entry    valid until it is pushed out
 * Returns  false when there are not so many */
RF_API bool rf_history_get(
	const struct rf_history *history, uint32_t ago, struct rf_bytes *entry);
/* Forget all entries; `added` counts on. O(count). */
RF_API void rf_history_clear(struct rf_history *history);
RF_API int rf_history_check(const struct rf_history *history, const char *name);

#endif
