/* SPDX-License-Identifier: MIT */
/* buffer.c -- byte queues in memory that outlives the process.
 *
 * The idea. Address space costs nothing: each class of slots has a region of
 * its own, and a slot has memory behind it only as far as its buffer has grown.
 * So a buffer moves at most once per class, and growing within a slot moves
 * nothing.
 *
 * Who has which slot is said by the buffers alone. The lists of free slots are
 * this process's own; a successor marks what the buffers hold and takes the
 * rest as free. So only the buffers must be right at every instant:
 *
 *   B1  a buffer that moves does so by one commit, to a place that holds the
 *       same bytes already; its old place is free only then        move()
 *   B2  bytes are moved within a slot only to where none are       compact()
 *   B3  storing 0 to `room` empties a buffer                buffer_release()
 */
#include "buffer.h"
#include "front.h"
#include <errno.h>
#include <refork/check.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define GIB ((size_t)1 << 30)

struct store_slot {
	uint32_t index;
	uint64_t backed; /* bytes */
};

/* By rising size. Warm slots keep `warm_bytes`, so many of them. */
static const struct {
	size_t slot_bytes, first_bytes;
	uint32_t slot_count, warm_max;
	size_t warm_bytes;
} classes[BUFFER_CLASSES] = {
	{32 * KIB, 32 * KIB, 1 << 21, 128, 32 * KIB},
	{1 * MIB, 64 * KIB, 1 << 16, 32, 256 * KIB},
	{64 * MIB, 2 * MIB, 1 << 12, 0, 0},
	{4 * GIB, 128 * MIB, 1 << 8, 0, 0},
	{256 * GIB, 8 * GIB, 4, 0, 0},
};

static size_t region_off(unsigned class)
{
	size_t off = BUFFER_REGION_OFF;

	for (unsigned i = 0; i < class; i++)
		off += classes[i].slot_bytes * classes[i].slot_count;
	return off;
}

static size_t slot_off(unsigned class, uint64_t index)
{
	return region_off(class) + index * classes[class].slot_bytes;
}

static unsigned class_of(
	const struct store *store, const void *bytes, uint32_t *index)
{
	size_t off = (size_t)((const uint8_t *)bytes - store->seg->base);
	unsigned class = BUFFER_CLASSES - 1;

	while (class > 0 && off < region_off(class))
		class --;
	*index = (uint32_t)((off - region_off(class)) /
			    classes[class].slot_bytes);
	return class;
}

static unsigned class_for(size_t bytes)
{
	unsigned class = 0;

	while (class < BUFFER_CLASSES && classes[class].slot_bytes < bytes)
		class ++;
	return class;
}

/* ---- free slots ---- */

static bool list_push(struct store_free *list, uint32_t index, uint64_t backed)
{
	if (list->count == list->room) {
		uint32_t room = list->room ? list->room * 2 : 64;
		struct store_slot *slots =
			realloc(list->slots, room * sizeof(*slots));

		if (!slots)
			return false; /* lost, until the next process */
		list->slots = slots;
		list->room = room;
	}
	list->slots[list->count++] = (struct store_slot){index, backed};
	return true;
}

/* A slot of that class with at least `bytes` of memory. 0: none. */
static size_t slot_take(
	struct store *store, unsigned class, size_t bytes, uint32_t *index)
{
	struct store_slot slot = {0, 0};

	if (store->warm[class].count) {
		slot = store->warm[class].slots[--store->warm[class].count];
	} else if (store->cold[class].count) {
		slot = store->cold[class].slots[--store->cold[class].count];
	} else {
		if (store->fresh[class] == classes[class].slot_count)
			return 0;
		slot.index = (uint32_t)store->fresh[class]++;
		front_barrier();
	}
	*index = slot.index;
	if (slot.backed >= bytes)
		return slot.backed;
	if (rf_segment_back(store->seg, slot_off(class, slot.index), bytes)) {
		rf_segment_unback(store->seg, slot_off(class, slot.index),
			classes[class].slot_bytes);
		list_push(&store->cold[class], slot.index, 0);
		return 0;
	}
	return bytes;
}

static void slot_give(
	struct store *store, unsigned class, uint32_t index, size_t backed)
{
	size_t keep = classes[class].warm_bytes;
	size_t off = slot_off(class, index);

	if (store->warm[class].count >= classes[class].warm_max)
		keep = 0;
	if (backed > keep)
		rf_segment_unback(store->seg, off + keep,
			classes[class].slot_bytes - keep);
	if (keep)
		list_push(&store->warm[class], index,
			backed < keep ? backed : keep);
	else
		list_push(&store->cold[class], index, 0);
}

void store_init(struct store *store, struct rf_segment *seg,
	struct journal *moves, uint64_t fresh[BUFFER_CLASSES])
{
	*store = (struct store){.seg = seg, .moves = moves, .fresh = fresh};
	RF_CHECK(region_off(BUFFER_CLASSES) <= seg->max_bytes);
}

void store_fini(struct store *store)
{
	for (unsigned i = 0; i < BUFFER_CLASSES; i++) {
		free(store->warm[i].slots);
		free(store->cold[i].slots);
	}
	*store = (struct store){0};
}

/* ---- after a death ---- */

/* Until the end of the sweep, `warm` of a class holds one entry per slot:
 * `backed` says whether it is in use. */
int store_sweep_begin(struct store *store)
{
	for (unsigned i = 0; i < BUFFER_CLASSES; i++) {
		if (store->fresh[i] > classes[i].slot_count)
			return -EBADMSG;
		for (uint32_t k = 0; k < store->fresh[i]; k++)
			if (!list_push(&store->warm[i], k, 0))
				return -ENOMEM;
	}
	return 0;
}

void store_mark(struct store *store, const void *bytes)
{
	uint32_t index;
	unsigned class = class_of(store, bytes, &index);

	RF_CHECK(index < store->warm[class].count);
	store->warm[class].slots[index].backed = 1;
}

static void sweep(struct store *store, unsigned class)
{
	const struct store_slot *slots = store->warm[class].slots;
	uint32_t count = store->warm[class].count;
	uint32_t from = 0;

	store->warm[class].count = 0;
	for (uint32_t k = 0; k <= count; k++) {
		if (k < count && !slots[k].backed) {
			list_push(&store->cold[class], k, 0);
			continue;
		}
		if (k > from)
			rf_segment_unback(store->seg, slot_off(class, from),
				(k - from) * classes[class].slot_bytes);
		from = k + 1;
	}
}

void store_sweep_end(struct store *store)
{
	for (unsigned i = 0; i < BUFFER_CLASSES; i++)
		sweep(store, i);
}

/* ---- blocks ---- */

void *store_take(struct store *store)
{
	uint32_t index;

	if (!slot_take(store, 0, BUFFER_BLOCK_BYTES, &index))
		return NULL;
	return store->seg->base + slot_off(0, index);
}

static void give(struct store *store, void *bytes, size_t backed)
{
	uint32_t index;
	unsigned class = class_of(store, bytes, &index);

	slot_give(store, class, index, backed);
}

void store_give(struct store *store, void *bytes)
{
	give(store, bytes, BUFFER_BLOCK_BYTES);
}

/* ---- buffers ---- */

void buffer_release(struct store *store, struct buffer *buf)
{
	size_t room = buf->room;
	uint8_t *bytes = buf->bytes;

	if (!room)
		return;
	*(volatile uint64_t *)&buf->room = 0;
	front_barrier();
	*buf = (struct buffer){0};
	give(store, bytes, room);
}

/* More memory behind the slot that it has. */
static int grow(struct store *store, struct buffer *buf, size_t need)
{
	uint32_t index;
	unsigned class = class_of(store, buf->bytes, &index);
	size_t room = buf->room;

	while (room < need)
		room *= 2;
	if (room > classes[class].slot_bytes)
		room = classes[class].slot_bytes;
	if (rf_segment_back(store->seg, slot_off(class, index), room))
		return -ENOMEM;
	front_barrier();
	buf->room = room;
	front_barrier();
	return 0;
}

static int move(struct store *store, struct buffer *buf, size_t need)
{
	unsigned class = class_for(need);
	size_t used = buffer_used(buf), room, old_room = buf->room;
	uint8_t *old = buf->bytes, *bytes;
	uint32_t index;

	if (class == BUFFER_CLASSES)
		return -ENOMEM;
	room = classes[class].first_bytes;
	while (room < need)
		room *= 2;
	room = slot_take(store, class, room, &index);
	if (!room)
		return -ENOMEM;
	bytes = store->seg->base + slot_off(class, index);
	if (used)
		memcpy(bytes, old + buf->start, used);
	journal_set(store->moves, (uint64_t *)&buf->bytes, (uintptr_t)bytes);
	journal_set(store->moves, &buf->start, 0);
	journal_set(store->moves, &buf->end, used);
	journal_set(store->moves, &buf->room, room);
	journal_commit(store->moves);
	if (old_room)
		give(store, old, old_room);
	return 0;
}

static void compact(struct store *store, struct buffer *buf)
{
	size_t used = buffer_used(buf);

	memcpy(buf->bytes, buf->bytes + buf->start, used);
	journal_set(store->moves, &buf->start, 0);
	journal_set(store->moves, &buf->end, used);
	journal_commit(store->moves);
}

int buffer_reserve(struct store *store, struct buffer *buf, size_t bytes)
{
	size_t used = buffer_used(buf);
	uint32_t index;

	if (buf->room && buf->room - buf->end >= bytes)
		return 0;
	/* Moving no more than was taken off: O(1) per byte. */
	if (buf->room && buf->room - used >= bytes && used <= buf->start) {
		compact(store, buf);
		return 0;
	}
	if (buf->room &&
		buf->end + bytes <=
			classes[class_of(store, buf->bytes, &index)].slot_bytes)
		return grow(store, buf, buf->end + bytes);
	return move(store, buf, used + bytes);
}

int buffer_append(
	struct store *store, struct buffer *buf, const void *from, size_t bytes)
{
	int rc = buffer_reserve(store, buf, bytes);

	if (rc)
		return rc;
	if (bytes)
		memcpy(buf->bytes + buf->end, from, bytes);
	front_barrier();
	buf->end += bytes;
	front_barrier();
	return 0;
}
