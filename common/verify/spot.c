/* SPDX-License-Identifier: MIT */
/* spot.c -- what stands at an address of the arena.
 *
 * A block is found from an address inside it by asking the heap at each place
 * where one that holds it could begin: small ones by words, large ones by
 * pages. Blocks do not overlap: the first one met decides.
 */
#include "spot.h"
#include "heap/pages.h"
#include "super.h"
#include <refork/heap.h>
#include <stdlib.h>
#include <string.h>

#define SMALL_BYTES_MAX ((uint64_t)8192)

static bool is_block_at(uint64_t at, uint64_t address, uint64_t *bytes)
{
	if (!rf_is_block((void *)at, 1))
		return false;
	*bytes = rf_usable((void *)at);
	return address - at < *bytes;
}

bool rf_spot_block(uint64_t address, uint64_t *block, uint64_t *bytes)
{
	uint64_t first = (uint64_t)rf_page_at(0);
	uint64_t end = first + ((uint64_t)RF_HEAP->page_count << RF_PAGE_SHIFT);
	uint64_t least, at;

	if (address < first || address >= end)
		return false;
	least = address - first > SMALL_BYTES_MAX ? address - SMALL_BYTES_MAX
						  : first;
	for (at = address & ~UINT64_C(7); at >= least; at -= 8)
		if (is_block_at(at, address, bytes)) {
			*block = at;
			return true;
		}
	for (at = address & ~(RF_PAGE_BYTES - 1); at >= first;
		at -= RF_PAGE_BYTES) {
		if (!rf_is_block((void *)at, 1))
			continue;
		*block = at;
		return is_block_at(at, address, bytes);
	}
	return false;
}

static bool is_in(uint64_t address, const void *at, size_t bytes)
{
	return address - (uint64_t)at < bytes;
}

static enum rf_spot spot_of(uint64_t address)
{
	const struct rf_super *super = RF_SUPER;
	uint64_t off = address - RF_ARENA_BASE;

	if (off >= super->segment_bytes)
		return RF_SPOT_NONE;
	if (is_in(address, super->slots, sizeof super->slots))
		return RF_SPOT_SLOTS;
	if (is_in(address, &super->heap, sizeof super->heap))
		return RF_SPOT_HEAP;
	if (off < super->log_off)
		return RF_SPOT_SUPER;
	if (off < super->map_off)
		return RF_SPOT_LOG;
	return off < super->heap_off ? RF_SPOT_HEAP : RF_SPOT_FREE;
}

static void find_root(struct rf_crash_stray *out)
{
	for (size_t i = 0; i < RF_SLOT_COUNT; i++) {
		const struct rf_slot *slot = &RF_SUPER->slots[i];

		if (slot->name[0] == '\0' || (uint64_t)slot->root != out->block)
			continue;
		memcpy(out->slot, slot->name, sizeof out->slot);
		out->slot[sizeof out->slot - 1] = '\0';
		out->is_root = 1;
		return;
	}
}

void rf_spot_describe(struct rf_crash_stray *out)
{
	out->spot = spot_of(out->address);
	if (out->spot != RF_SPOT_FREE ||
		!rf_spot_block(out->address, &out->block, &out->block_bytes))
		return;
	out->spot = RF_SPOT_BLOCK;
	find_root(out);
}

/* ---- who leads to a block ---- */

struct search {
	uint64_t wanted;
	uint8_t *seen; /* a bit per 16 bytes of the heap */
	uint64_t *todo;
	size_t count, room;
};

static void find_later(struct search *s, uint64_t block)
{
	uint64_t place = (block - (uint64_t)rf_page_at(0)) / 16;

	if (s->seen[place / 8] >> place % 8 & 1)
		return;
	if (s->count == s->room) {
		size_t room = s->room > 0 ? s->room * 2 : 1024;
		uint64_t *todo = realloc(s->todo, room * sizeof *todo);

		if (todo == NULL)
			return;
		s->todo = todo;
		s->room = room;
	}
	s->seen[place / 8] |= (uint8_t)(1 << place % 8);
	s->todo[s->count++] = block;
}

/* True: `block` is what is looked for. Else each block that one of its words
 * leads to is to be looked into. */
static bool look_into(struct search *s, uint64_t block)
{
	uint64_t bytes, next, next_bytes;

	if (block == s->wanted)
		return true;
	bytes = rf_usable((void *)block);
	for (uint64_t at = block; at + 8 <= block + bytes; at += 8) {
		uint64_t word = *(const uint64_t *)at;

		if (spot_of(word) == RF_SPOT_FREE &&
			rf_spot_block(word, &next, &next_bytes))
			find_later(s, next);
	}
	return false;
}

static bool leads_to(struct search *s, const void *root)
{
	bool found = false;

	s->count = 0;
	if (rf_is_block(root, 1))
		find_later(s, (uint64_t)root);
	while (s->count > 0 && !found)
		found = look_into(s, s->todo[--s->count]);
	return found;
}

void rf_spot_find_owner(struct rf_crash_stray *out)
{
	size_t places = (size_t)RF_HEAP->page_count << (RF_PAGE_SHIFT - 4);
	struct search s = {.wanted = out->block};

	s.seen = out->spot == RF_SPOT_BLOCK && !out->is_root
			 ? calloc(places / 8 + 1, 1)
			 : NULL;
	for (size_t i = 0; s.seen != NULL && i < RF_SLOT_COUNT; i++) {
		const struct rf_slot *slot = &RF_SUPER->slots[i];

		if (slot->name[0] == '\0' || !leads_to(&s, slot->root))
			continue;
		memcpy(out->slot, slot->name, sizeof out->slot - 1);
		break;
	}
	free(s.seen);
	free(s.todo);
}
