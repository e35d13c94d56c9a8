/* SPDX-License-Identifier: MIT */
/* set.h -- a recoverable set of byte strings.
 *
 * A set of few whole numbers is one sorted array of 2, 4 or 8 bytes each;
 * any other is a dict. Lives in the arena; every change is part of the open
 * transaction: undone by its abort, and by the death of the process. Nothing
 * here begins or commits.
 */
#ifndef REFORK_SET_H
#define REFORK_SET_H

#include <refork/check.h>
#include <refork/item.h>
#include <stdbool.h>
#include <stdint.h>

/* Zeroed: an empty set. Not to be looked into. */
struct rf_set {
	uint64_t word;
};

RF_API uint64_t rf_set_count(const struct rf_set *set);
/* Whether it is an array of numbers. An empty set is. */
RF_API bool rf_set_is_compact(const struct rf_set *set);
RF_API size_t rf_set_memory(const struct rf_set *set); /* an estimate, O(1) */

RF_API bool rf_set_has(
	const struct rf_set *set, const void *member, size_t bytes);
/* Whether it was not there before. No memory: the transaction carries
 * -ENOMEM (-EMSGSIZE: 4 GiB or more). Cost: O(1); the array O(its limit), and
 * once, when it becomes a dict, one insertion for each number. */
RF_API bool rf_set_add(struct rf_set *set, const void *member, size_t bytes);
/* Whether it was there. `member` may be an item of this set. What is empty
 * owns nothing. */
RF_API bool rf_set_remove(struct rf_set *set, const void *member, size_t bytes);

/* As rf_dict_scan; an array is gone through at once, in order. */
RF_API uint64_t rf_set_scan(const struct rf_set *set, uint64_t cursor,
	void (*visit)(const struct rf_item *member, void *context),
	void *context);
/* Any member, all equally likely; false when empty. */
RF_API bool rf_set_random(
	const struct rf_set *set, uint64_t random, struct rf_item *member);

/* Free about `budget` members. True: the set is empty and owns nothing. */
RF_API bool rf_set_clear_step(struct rf_set *set, size_t budget);

/* An array has at most so many numbers (512); of this process. */
RF_API void rf_set_limit(uint32_t numbers);

RF_API int rf_set_check(const struct rf_set *set, const char *name);

#endif
