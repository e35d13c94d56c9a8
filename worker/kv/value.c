/* SPDX-License-Identifier: MIT */
/* value.c -- strings: a block with a length, room to grow, and the text.
 *
 * A text that fits its block well is written over the old one, whose bytes go
 * to the undo log; no block is taken and the heap is not touched. A long text
 * is not worth logging: it gets a new block and the old one is freed. Bytes
 * between the length and the end of the block mean nothing and need no log.
 */
#include "kv.h"
#include <errno.h>

#define LOGGED_BYTES_MAX 16384u /* more is cheaper in a new block */
#define SNUG_BYTES	 64u	/* a block so small is never a waste */
#define DOUBLE_BYTES_MAX ((size_t)1 << 20) /* above, grow by a quarter */

size_t kv_string_bytes_max = (size_t)512 << 20;

/* A string with room for `room` bytes of text; bytes is 0. */
static struct kv_value *make(size_t room)
{
	struct kv_value *value = rf_alloc_uninit(sizeof *value + room);

	if (value == NULL)
		return NULL;
	value->bytes = 0;
	value->shape =
		((uint32_t)rf_usable(value) & ~KV_SHAPE_KIND) | KV_STRING;
	return value;
}

/* Would a new block for `bytes` be much smaller? */
static inline bool fits_well(const struct kv_value *value, size_t bytes)
{
	size_t room = kv_value_room(value);

	return bytes <= room && (room < SNUG_BYTES || room / 2 <= bytes);
}

static inline size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

void kv_value_set(struct rf_dict_entry *entry, const void *from, size_t bytes)
{
	struct kv_value *value = kv_value_of(entry);

	if (rf_unlikely(bytes > kv_string_bytes_max)) {
		rf_tx_fail(-EMSGSIZE);
		return;
	}
	if (value != NULL && fits_well(value, bytes)) {
		/* All of the old text, also where the new one is shorter: a
		 * later write of this transaction sees only the new length. */
		size_t old = value->bytes;

		if (rf_likely(old <= LOGGED_BYTES_MAX)) {
			if (rf_tx_log(value, sizeof *value + old) == 0) {
				value->bytes = (uint32_t)bytes;
				memcpy(value->text, from, bytes);
			}
			return;
		}
	}
	value = make(bytes);
	if (value == NULL)
		return;
	value->bytes = (uint32_t)bytes;
	memcpy(value->text, from, bytes);
	rf_free(kv_value_of(entry));
	kv_entry_set(entry, value);
}

/* Room for growing again and again: each byte is copied O(1) times. */
static size_t roomy(size_t bytes)
{
	size_t room = bytes < DOUBLE_BYTES_MAX ? bytes * 2 : bytes + bytes / 4;

	room = smaller(room, kv_string_bytes_max);
	return room > bytes ? room : bytes;
}

static struct kv_value *remake(
	struct rf_dict_entry *entry, const struct kv_value *old, size_t need)
{
	struct kv_value *value =
		make(old != NULL && need > old->bytes ? roomy(need) : need);

	if (value == NULL)
		return NULL;
	if (old != NULL) {
		memcpy(value->text, old->text, old->bytes);
		value->bytes = old->bytes;
		rf_free((void *)old);
	}
	kv_entry_set(entry, value);
	return value;
}

int kv_value_write(
	struct rf_dict_entry *entry, size_t off, const void *from, size_t bytes)
{
	struct kv_value *value = kv_value_of(entry);
	size_t had = value != NULL ? value->bytes : 0;
	size_t lost = off < had ? smaller(had - off, bytes) : 0;
	size_t need = off + bytes > had ? off + bytes : had;

	if (bytes > kv_string_bytes_max || off > kv_string_bytes_max - bytes)
		return -EMSGSIZE;
	if (value == NULL || need > kv_value_room(value) ||
		lost > LOGGED_BYTES_MAX) {
		value = remake(entry, value, need);
		if (value == NULL)
			return 0;
	} else if (rf_tx_log(value, sizeof *value) != 0 ||
		   (lost > 0 && rf_tx_log(value->text + off, lost) != 0)) {
		return 0;
	}
	if (off > had)
		memset(value->text + had, 0, off - had);
	memcpy(value->text + off, from, bytes);
	value->bytes = (uint32_t)need;
	return 0;
}
