/* SPDX-License-Identifier: MIT */
/* sorted.h -- a recoverable ordered index: members by score, then by bytes.
 *
 * Small ones are one pack of member, score, in order; beyond that a dict from
 * member to score and a counted tree over its entries, so that no call costs
 * more than O(log n). Lives in the arena; every change is part of the open
 * transaction: undone by its abort, and by the death of the process. Nothing
 * here begins or commits.
 */
#ifndef REFORK_SORTED_H
#define REFORK_SORTED_H

#include <refork/check.h>
#include <refork/item.h>
#include <refork/place.h>
#include <stdbool.h>
#include <stdint.h>

/* Zeroed: empty. Not to be looked into. */
struct rf_sorted {
	uint64_t word;
};

RF_API uint64_t rf_sorted_count(const struct rf_sorted *sorted);
RF_API bool rf_sorted_is_compact(const struct rf_sorted *sorted);
RF_API size_t rf_sorted_memory(
	const struct rf_sorted *sorted); /* an estimate, O(1) */

/* false: no such member. Cost: O(1), a compact one O(its limits). */
RF_API bool rf_sorted_score(const struct rf_sorted *sorted, const void *member,
	size_t bytes, double *score);
/* Insert, or give another score (NaN aborts the process). Returns true when the
 * member is new. No memory: the transaction carries -ENOMEM (-EMSGSIZE: 4 GiB
 * or more). Cost: O(log n); once, when it is compact no more, one insertion for
 * each member. */
RF_API bool rf_sorted_put(struct rf_sorted *sorted, const void *member,
	size_t bytes, double score);
/* false: there was no such member. `member` may be an item of this index. */
RF_API bool rf_sorted_remove(
	struct rf_sorted *sorted, const void *member, size_t bytes);
/* Members before this one; false: no such member. Cost: O(log n). */
RF_API bool rf_sorted_rank(const struct rf_sorted *sorted, const void *member,
	size_t bytes, uint64_t *rank);

/* A place in the order, void when the index changes. `rank` is that of the
 * member it stands on; count: behind the last. */
struct rf_sorted_at {
	const struct rf_sorted *sorted;
	uint64_t rank;
	uint32_t pos; /* private, as what follows */
	struct rf_place place;
};
/* Stand on ... the member of that rank */
RF_API void rf_sorted_seek_rank(
	const struct rf_sorted *sorted, uint64_t rank, struct rf_sorted_at *at);
/* ... the first with a score >= that, or > when `beyond` */
RF_API void rf_sorted_seek_score(const struct rf_sorted *sorted, double score,
	bool beyond, struct rf_sorted_at *at);
/* ... the first member >= these bytes, or > when `beyond`; means something
 * only when all scores are equal. Cost of each: O(log n). */
RF_API void rf_sorted_seek_member(const struct rf_sorted *sorted,
	const void *member, size_t bytes, bool beyond, struct rf_sorted_at *at);
/* Give the member it stands on and step on, or step back and give that one;
 * false at the end. The member is valid until the index changes. Cost: O(1). */
RF_API bool rf_sorted_next(
	struct rf_sorted_at *at, struct rf_item *member, double *score);
RF_API bool rf_sorted_prev(
	struct rf_sorted_at *at, struct rf_item *member, double *score);

/* Take `count` members out from `rank` on. Cost: O(count log n). */
RF_API void rf_sorted_remove_ranks(
	struct rf_sorted *sorted, uint64_t rank, uint64_t count);

/* As rf_dict_scan; a compact one is gone through at once. */
RF_API uint64_t rf_sorted_scan(const struct rf_sorted *sorted, uint64_t cursor,
	void (*visit)(
		const struct rf_item *member, double score, void *context),
	void *context);

/* Free about `budget` members. True: it is empty and owns nothing. */
RF_API bool rf_sorted_clear_step(struct rf_sorted *sorted, size_t budget);

/* A compact one has at most so many members (128), none longer than that
 * (64 bytes); of this process. */
RF_API void rf_sorted_limits(uint32_t members, uint32_t bytes);

RF_API int rf_sorted_check(const struct rf_sorted *sorted, const char *name);

#endif
