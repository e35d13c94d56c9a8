/* SPDX-License-Identifier: MIT */
/* pack.h -- a recoverable sequence of small items in one block.
 *
 * The compact form of the other containers, and one by itself. An item costs
 * its bytes and two more, a whole number one to nine bytes in all. Positions
 * are byte offsets into the pack, void after a change. A call that changes a
 * pack returns where it stands now, as with string.h.
 */
#ifndef REFORK_PACK_H
#define REFORK_PACK_H

#include <refork/check.h>
#include <refork/item.h>
#include <stdbool.h>
#include <stdint.h>

struct rf_pack;

/* A pack with so many bytes of items fills one block of that and these. */
#define RF_PACK_OVERHEAD  12u
#define RF_PACK_BYTES_MAX ((size_t)UINT32_MAX - 4096)

/* An empty one with room for so many bytes. NULL: no memory, as rf_alloc. */
RF_API struct rf_pack *rf_pack_create(size_t room_bytes);

RF_API uint32_t rf_pack_count(const struct rf_pack *pack);
/* Of the items as they are stored. */
RF_API size_t rf_pack_bytes(const struct rf_pack *pack);

/* Positions: the first item, the one behind the last (end), neighbours, the
 * item with that index (negative: -1 is the last). rf_pack_end() when there is
 * none. Cost: O(1); rf_pack_at O(count). */
RF_API uint32_t rf_pack_first(const struct rf_pack *pack);
RF_API uint32_t rf_pack_end(const struct rf_pack *pack);
RF_API uint32_t rf_pack_next(const struct rf_pack *pack, uint32_t at);
/* `at` may be the end; of the first item: the end. */
RF_API uint32_t rf_pack_prev(const struct rf_pack *pack, uint32_t at);
RF_API uint32_t rf_pack_at(const struct rf_pack *pack, int64_t index);

RF_API void rf_pack_get(
	const struct rf_pack *pack, uint32_t at, struct rf_item *item);
/* Position of the first item with these bytes, looking at every `step`th from
 * `at` on; the end when there is none. */
RF_API uint32_t rf_pack_find(const struct rf_pack *pack, uint32_t at,
	const void *bytes, size_t size, uint32_t step);

/* Insert before `at` (the end: append). At either end into a pack with room
 * the cost is that of the item, else that of moving what is behind it.
 *
 * from     may be in this very pack
 * Returns  where the pack stands now, the old block freed if that is another
 *          one; NULL when the transaction carries an error: -ENOMEM, -ENOSPC,
 *          -EMSGSIZE (above RF_PACK_BYTES_MAX) */
RF_API struct rf_pack *rf_pack_insert(
	struct rf_pack *pack, uint32_t at, const void *from, size_t bytes);
RF_API struct rf_pack *rf_pack_replace(
	struct rf_pack *pack, uint32_t at, const void *from, size_t bytes);
/* Take `count` items out from `at` on. The block may shrink. */
RF_API struct rf_pack *rf_pack_erase(
	struct rf_pack *pack, uint32_t at, uint32_t count);
/* The items from `at` on go to a new pack, which is returned. The first keeps
 * its place. NULL as above. */
RF_API struct rf_pack *rf_pack_split(struct rf_pack *pack, uint32_t at);

/* rf_free() frees it. 0, or -EBADMSG after reporting through rf_log. */
RF_API int rf_pack_check(const struct rf_pack *pack, const char *name);

#endif
