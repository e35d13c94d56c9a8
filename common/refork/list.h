/* SPDX-License-Identifier: MIT */
/* list.h -- a recoverable list of byte strings: both ends, and by index.
 *
 * Small ones are one pack; beyond that, packs of many items hang in a counted
 * tree, so that no call costs more than O(log n). Lives in the arena; every
 * change is part of the open transaction: undone by its abort, and by the
 * death of the process. Nothing here begins or commits.
 */
#ifndef REFORK_LIST_H
#define REFORK_LIST_H

#include <refork/check.h>
#include <refork/item.h>
#include <refork/place.h>
#include <stdbool.h>
#include <stdint.h>

/* Zeroed: an empty list. Not to be looked into. */
struct rf_list {
	uint64_t word;
};

enum rf_end { RF_HEAD, RF_TAIL };

RF_API uint64_t rf_list_count(const struct rf_list *list);
/* Whether it is one pack. */
RF_API bool rf_list_is_compact(const struct rf_list *list);
/* Bytes of the arena that it takes. O(1). */
RF_API size_t rf_list_memory(const struct rf_list *list);

/* No memory: the transaction carries -ENOMEM, as everywhere below. An element
 * has up to RF_PACK_BYTES_MAX (pack.h): -EMSGSIZE. `from` may be an item of
 * this list here only. Cost: O(log n) at most; mostly that of the item. */
RF_API void rf_list_push(
	struct rf_list *list, enum rf_end end, const void *from, size_t bytes);
/* Before the element `index`, 0 .. count (beyond aborts the process); count
 * appends. O(log n), and part of a pack is moved. */
RF_API void rf_list_insert(
	struct rf_list *list, uint64_t index, const void *from, size_t bytes);
/* Instead of the element `index`, 0 .. count - 1 (as above). */
RF_API void rf_list_set(
	struct rf_list *list, uint64_t index, const void *from, size_t bytes);
/* Take up to `count` elements out from `index` on. O(log n + count / items of a
 * block); a list of any length is freed by rf_list_clear_step. */
RF_API void rf_list_remove(
	struct rf_list *list, uint64_t index, uint64_t count);

/* false: no such element. The item is valid until the list changes. */
RF_API bool rf_list_get(
	const struct rf_list *list, uint64_t index, struct rf_item *item);

/* A place in a list, void when the list changes. */
struct rf_list_at {
	const struct rf_list *list;
	uint64_t index;
	const void *block; /* private, as what follows */
	uint32_t pos;
	struct rf_place place;
};
/* Stand on the element `index`; the next rf_list_next (rf_list_prev) gives
 * that element and steps on (back). Cost: O(log n), each step O(1). */
RF_API void rf_list_seek(
	const struct rf_list *list, uint64_t index, struct rf_list_at *at);
RF_API bool rf_list_next(struct rf_list_at *at, struct rf_item *item);
RF_API bool rf_list_prev(struct rf_list_at *at, struct rf_item *item);

/* Free about `budget` elements, from the tail on; between the calls it is an
 * ordinary list. True: the list is empty and owns nothing. */
RF_API bool rf_list_clear_step(struct rf_list *list, size_t budget);

/* The most bytes of a pack before it is split (8 KiB), or, when negative, the
 * most items; of this process, for lists that change from now on. */
RF_API void rf_list_limit(int64_t bytes_or_items);

/* Walk everything. 0, or -EBADMSG after reporting through rf_log. */
RF_API int rf_list_check(const struct rf_list *list, const char *name);

#endif
