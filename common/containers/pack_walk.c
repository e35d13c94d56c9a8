/* SPDX-License-Identifier: MIT */
/* pack_walk.c -- going through a pack: steps, reading, the check. */
#include "common/verify/walk_form.h"
#include "pack_form.h"
#include "whole.h"
#include <errno.h>

uint32_t rf_pack_count(const struct rf_pack *pack)
{
	return pack->count;
}

size_t rf_pack_bytes(const struct rf_pack *pack)
{
	return pack->end - pack->head;
}

uint32_t rf_pack_first(const struct rf_pack *pack)
{
	return pack->head;
}

uint32_t rf_pack_end(const struct rf_pack *pack)
{
	return pack->end;
}

uint32_t rf_pack_next(const struct rf_pack *pack, uint32_t at)
{
	return at + rf_pack_size(pack->at + at);
}

uint32_t rf_pack_prev(const struct rf_pack *pack, uint32_t at)
{
	if (at == pack->head)
		return pack->end;
	return at - rf_pack_size_before(pack->at + at);
}

uint32_t rf_pack_at(const struct rf_pack *pack, int64_t index)
{
	int64_t count = pack->count;
	uint32_t at;

	if (index < 0)
		index += count;
	if (index < 0 || index >= count)
		return pack->end;
	if (index <= count / 2) {
		for (at = pack->head; index > 0; index--)
			at = rf_pack_next(pack, at);
	} else {
		for (at = pack->end; index < count; index++)
			at -= rf_pack_size_before(pack->at + at);
	}
	return at;
}

/* Bytes before the text of an item. */
static uint32_t lead_of(uint8_t form)
{
	return form < RF_PACK_LONG ? 1 : 1u + form - RF_PACK_LONG;
}

void rf_pack_get(const struct rf_pack *pack, uint32_t at, struct rf_item *item)
{
	const uint8_t *from = pack->at + at;
	uint32_t lead;

	if (rf_pack_is_number(from)) {
		rf_whole_print(rf_pack_number(from), item);
		return;
	}
	lead = lead_of(*from);
	item->text = (struct rf_bytes){
		(const char *)from + lead, rf_pack_size(from) - 2 * lead};
}

/* ---- the walker ---- */

/* Is this the shortest form of that number? */
static bool is_short(int64_t number, uint32_t size)
{
	uint32_t best = number >= 0 && number < RF_PACK_TEXT ? 1
			: number == (int16_t)number	     ? 3
			: number == (int32_t)number	     ? 5
							     : 9;

	return size == best;
}

static const char *number_fault(const uint8_t *item, uint32_t room)
{
	uint32_t size = *item < RF_PACK_TEXT ? 1 : rf_pack_number_size(*item);

	if (size > room)
		return "a number that does not end";
	if (size > 1 && (item[0] ^ item[size - 1]) >> 4 != 0)
		return "a number whose ends differ";
	if (!is_short(rf_pack_number(item), size))
		return "a number in a longer form than it needs";
	return NULL;
}

static const char *text_fault(const uint8_t *item, uint32_t room)
{
	uint32_t lead = lead_of(*item);
	uint32_t length_bytes = lead - 1;
	uint32_t length = *item - RF_PACK_TEXT;
	int64_t number;

	if (length_bytes > 4 || length_bytes == 3 || *item == RF_PACK_LONG)
		return "an item of no known form";
	if (room < 2 * lead)
		return "a text that does not end";
	if (length_bytes > 0)
		length = rf_pack_length(item + 1, length_bytes);
	if (length > room - 2 * lead)
		return "a text that does not end";
	item += lead + length;
	if (item[length_bytes] != item[-(int64_t)(lead + length)] ||
		(length_bytes > 0 &&
			rf_pack_length(item, length_bytes) != length))
		return "a text whose ends differ";
	if (length_bytes > 0 &&
		length <= (length_bytes == 1	      ? RF_PACK_TEXT_MAX
				  : length_bytes == 2 ? UINT8_MAX
						      : 0xffffu))
		return "a text in a longer form than it needs";
	/* Most texts begin with a letter, or are longer. */
	if (length > 0 && length <= RF_WHOLE_DIGITS_MAX &&
		item[-(int64_t)length] <= '9' &&
		rf_whole_parse(item - length, length, &number))
		return "a number as a text";
	return NULL;
}

static const char *item_fault(const uint8_t *item, uint32_t room)
{
	return rf_pack_is_number(item) ? number_fault(item, room)
				       : text_fault(item, room);
}

bool rf_walk_pack(struct rf_walk *walk, const struct rf_pack *pack)
{
	const char *fault = NULL;
	uint32_t count = 0;
	uint32_t at;

	if (!rf_walk_block(walk, pack, sizeof *pack, "pack"))
		return false;
	at = pack->head;
	if (pack->head > pack->end ||
		pack->end > rf_walk_usable(walk, pack) - sizeof *pack)
		fault = "ends outside of its block";
	for (; fault == NULL && at < pack->end; count++) {
		fault = item_fault(pack->at + at, pack->end - at);
		if (fault == NULL)
			at += rf_pack_size(pack->at + at);
	}
	if (fault == NULL && count != pack->count)
		fault = "another number of items";
	if (fault != NULL)
		rf_walk_problem(walk, pack, "pack: offset %u: %s", at, fault);
	return fault == NULL;
}

int rf_pack_check(const struct rf_pack *pack, const char *name)
{
	struct rf_walk_alone alone;

	return rf_walk_pack(rf_walk_alone(&alone, name), pack) ? 0 : -EBADMSG;
}
