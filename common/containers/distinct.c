/* SPDX-License-Identifier: MIT */
/* distinct.c -- no key of a pack stands there twice.
 *
 * Equal items are equal bytes (pack_form.h). Each is entered into a table by a
 * hash of its bytes, so that only what may be equal is compared.
 */
#include "distinct.h"
#include "common/verify/walk_form.h"
#include "pack_form.h"
#include <stdlib.h>

#define SLOTS_SMALL 512u /* on the stack */

struct table {
	uint32_t *slots; /* position + 1; 0: free */
	uint32_t mask;
};

static uint32_t hash_of(const uint8_t *at, uint32_t bytes)
{
	uint64_t hash = bytes, word;

	for (; bytes >= sizeof word; at += sizeof word, bytes -= 8) {
		memcpy(&word, at, sizeof word);
		hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
		hash ^= hash >> 29;
	}
	word = 0;
	memcpy(&word, at, bytes);
	hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	return (uint32_t)(hash >> 32);
}

/* False: one with these bytes is there. */
static bool enter(
	const struct table *table, const struct rf_pack *pack, uint32_t at)
{
	const uint8_t *item = pack->at + at;
	uint32_t bytes = rf_pack_size(item);
	uint32_t slot = hash_of(item, bytes) & table->mask;

	for (; table->slots[slot] != 0; slot = (slot + 1) & table->mask) {
		const uint8_t *other = pack->at + table->slots[slot] - 1;

		if (rf_pack_size(other) == bytes &&
			memcmp(other, item, bytes) == 0)
			return false;
	}
	table->slots[slot] = at + 1;
	return true;
}

static void look(struct rf_walk *walk, const struct rf_pack *pack,
	const struct table *table)
{
	for (uint32_t at = rf_pack_first(pack); at != rf_pack_end(pack);) {
		if (!enter(table, pack, at)) {
			rf_walk_problem(walk, pack,
				"pack: offset %u: a key that stands there "
				"twice",
				at);
			return;
		}
		at = rf_pack_next(pack, at);
		if (at != rf_pack_end(pack))
			at = rf_pack_next(pack, at);
	}
}

void rf_walk_distinct(struct rf_walk *walk, const struct rf_pack *pack)
{
	uint32_t few[SLOTS_SMALL];
	struct table table = {few, 1};

	/* At most half full: items are half as many as there are pairs. */
	while (table.mask < rf_pack_count(pack))
		table.mask = table.mask * 2 + 1;
	if (table.mask < SLOTS_SMALL)
		memset(few, 0, (table.mask + 1) * sizeof *few);
	else
		table.slots = calloc((size_t)table.mask + 1, sizeof *few);
	if (table.slots == NULL) {
		rf_walk_problem(
			walk, pack, "pack: no memory to compare its keys");
		return;
	}
	look(walk, pack, &table);
	if (table.slots != few)
		free(table.slots);
}
