/* SPDX-License-Identifier: MIT */
/* pack.c -- small items in a row in one block, under the undo log.
 *
 * The problem. Adding to a row of bytes moves what is behind, and what moves
 * must be logged: the whole row for one small item.
 * The idea. The row stands anywhere in its block, with room at either end, and
 * the bytes outside of it mean nothing: what is written there needs no log. A
 * push logs the 12 bytes that say where the row ends. A change in the middle
 * moves the shorter side; what would need too much log, or more room than
 * there is on a side, is done in a new block, which needs none.
 *
 * Rules that make it true, all kept by splice():
 *   P1  what leaves the row is logged: a later push of the same transaction
 *       writes there without looking
 *   P2  a change in place touches nothing else of the row unlogged
 *
 * Room. A new block is just as large as its class of the heap, which leaves up
 * to a quarter, all on the side that is pushed to. When there would have been
 * room on the other side, an eighth is asked for and shared between both: so
 * pushing at any end in any order moves each byte O(1) times. The forms of
 * items are in pack_form.h.
 */
#include "pack_form.h"
#include "whole.h"
#include <errno.h>
#include <refork/heap.h>
#include <refork/tx.h>

#define LOGGED_MAX    ((size_t)16 << 10) /* more is cheaper in a new block */
#define LOGGED_AT_ALL ((size_t)1 << 20)	 /* unless that is far longer */
#define SMALL_BYTES   (8192 - RF_PACK_OVERHEAD) /* no more: pages */
#define ROOM_MAX      ((size_t)1 << 20)
#define SHRINK_PART   2
#define SHRINK_ABOVE  64u

/* An item in its form, the bytes of a text aside. */
struct form {
	uint8_t lead[9];  /* a number is all in here */
	uint8_t trail[5]; /* of a text */
	uint8_t lead_bytes, trail_bytes;
	size_t size; /* in all */
	const void *text;
	size_t text_bytes;
};

static void form_number(int64_t number, struct form *form)
{
	unsigned kind = number == (int16_t)number   ? 0
			: number == (int32_t)number ? 1
						    : 2;
	uint8_t tag = (uint8_t)(RF_PACK_NUMBER + (kind << 4));
	uint8_t last = (uint8_t)(rf_pack_number_size(tag) - 1);
	uint64_t bits = (uint64_t)number;
	uint64_t middle = bits >> 4;

	form->lead_bytes = 1;
	form->lead[0] = (uint8_t)number;
	if (number >= 0 && number < RF_PACK_TEXT)
		return;
	form->lead[0] = (uint8_t)(tag | (bits & 15));
	memcpy(form->lead + 1, &middle, 8);
	form->lead[last] = (uint8_t)(tag | (bits >> (last * 8 - 4) & 15));
	form->lead_bytes = (uint8_t)(last + 1);
}

static void form_text(size_t bytes, struct form *form)
{
	uint8_t length_bytes = bytes <= UINT8_MAX ? 1 : bytes <= 0xffff ? 2 : 4;
	uint8_t tag = (uint8_t)(RF_PACK_LONG + length_bytes);
	uint32_t length = (uint32_t)bytes;

	if (bytes <= RF_PACK_TEXT_MAX) {
		tag = (uint8_t)(RF_PACK_TEXT + bytes);
		length_bytes = 0;
	}
	form->lead[0] = tag;
	memcpy(form->lead + 1, &length, sizeof length);
	memcpy(form->trail, &length, sizeof length);
	form->trail[length_bytes] = tag;
	form->lead_bytes = form->trail_bytes = length_bytes + 1;
}

static void form_make(struct form *form, const void *from, size_t bytes)
{
	int64_t number;

	form->trail_bytes = 0;
	form->text_bytes = 0;
	form->text = from;
	if (rf_whole_parse(from, bytes, &number)) {
		form_number(number, form);
	} else {
		form_text(bytes, form);
		form->text_bytes = bytes;
	}
	form->size = form->lead_bytes + form->text_bytes + form->trail_bytes;
}

static void form_write(const struct form *form, uint8_t *to)
{
	memcpy(to, form->lead, form->lead_bytes);
	to += form->lead_bytes;
	if (form->text_bytes > 0)
		memcpy(to, form->text, form->text_bytes);
	memcpy(to + form->text_bytes, form->trail, form->trail_bytes);
}

/* ---- blocks ---- */

static struct rf_pack *make(size_t room)
{
	struct rf_pack *pack;

	if (rf_unlikely(room > RF_PACK_BYTES_MAX)) {
		rf_tx_fail(-EMSGSIZE);
		return NULL;
	}
	pack = rf_alloc_uninit(sizeof *pack + room);
	if (pack != NULL)
		*pack = (struct rf_pack){.head = 0};
	return pack;
}

static size_t room_of(const struct rf_pack *pack)
{
	return rf_usable(pack) - sizeof *pack;
}

struct rf_pack *rf_pack_create(size_t room_bytes)
{
	return make(room_bytes);
}

/* ---- changing ---- */

/* The `old` bytes at `at` become an item (or nothing), `items` in number
 * become one more or less. */
struct change {
	uint32_t at, old;
	uint32_t items;		 /* in the end */
	const struct form *form; /* NULL: nothing */
	size_t fresh;		 /* its size */
	size_t need;		 /* of the whole row, in the end */
};

static inline size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Room to ask a new block for. */
static size_t roomy(const struct rf_pack *pack, size_t need)
{
	size_t more = need + smaller(need / 8, ROOM_MAX);

	if (need > SMALL_BYTES)
		return smaller(more, RF_PACK_BYTES_MAX);
	return need <= room_of(pack) ? smaller(more, SMALL_BYTES) : need;
}

static struct rf_pack *rebuild(struct rf_pack *pack, const struct change *how)
{
	size_t left = how->at - pack->head;
	size_t right = pack->end - how->at - how->old;
	bool grows = how->fresh > how->old;
	struct rf_pack *fresh;
	size_t spare;
	uint8_t *to;

	if (rf_unlikely(how->need > RF_PACK_BYTES_MAX)) {
		rf_tx_fail(-EMSGSIZE);
		return NULL;
	}
	fresh = make(grows ? roomy(pack, how->need) : how->need);
	if (fresh == NULL)
		return NULL;
	spare = room_of(fresh) - how->need;
	if (grows && how->need <= room_of(pack))
		fresh->head = (uint32_t)(spare / 2);
	else if (left == 0 && right > 0)
		fresh->head = (uint32_t)spare;
	fresh->end = fresh->head + (uint32_t)how->need;
	fresh->count = how->items;
	to = fresh->at + fresh->head;
	memcpy(to, pack->at + pack->head, left);
	if (how->form != NULL)
		form_write(how->form, to + left);
	memcpy(to + left + how->fresh, pack->at + how->at + how->old, right);
	rf_free(pack);
	return fresh;
}

/* What stands outside of the row means nothing: it may be written over. */
static void outside_is_free(const struct rf_pack *pack)
{
	size_t room = rf_usable(pack) - sizeof *pack;

	rf_tx_unlogged(pack->at, pack->head);
	rf_tx_unlogged(pack->at + pack->end, room - pack->end);
}

/* Move the left side, or the right one. */
static struct rf_pack *in_place(
	struct rf_pack *pack, const struct change *how, bool right)
{
	uint32_t behind = how->at + how->old;
	uint32_t delta = (uint32_t)how->fresh - how->old; /* modulo 2^32 */
	uint32_t from = right || delta == 0 ? how->at : pack->head;
	uint32_t to = right && delta != 0 ? pack->end : behind;
	uint32_t at = how->at;

	if (rf_tx_log(pack, sizeof *pack) != 0 ||
		rf_tx_log(pack->at + from, to - from) != 0)
		return NULL;
	if (rf_unlikely(rf_tx_is_compared))
		outside_is_free(pack);
	if (delta != 0 && right) {
		memmove(pack->at + (behind + delta), pack->at + behind,
			pack->end - behind);
		pack->end += delta;
	} else if (delta != 0) {
		memmove(pack->at + (pack->head - delta), pack->at + pack->head,
			at - pack->head);
		pack->head -= delta;
		at -= delta;
	}
	if (how->form != NULL)
		form_write(how->form, pack->at + at);
	pack->count = how->items;
	return pack;
}

/* Is this much log worth not copying the row? */
static bool is_worth(size_t log, size_t row)
{
	return log <= LOGGED_MAX || (log <= LOGGED_AT_ALL && log < row / 4);
}

static bool is_within(const struct rf_pack *pack, const struct form *form)
{
	return form != NULL &&
	       (uintptr_t)form->text - (uintptr_t)pack->at < pack->end;
}

/* The far side is moved when the near one has no room, but not a whole row
 * for a push at its end. */
static bool is_near(size_t log, size_t other)
{
	return log <= other * 4 + 256;
}

enum way { REBUILD, MOVE_LEFT, MOVE_RIGHT };

static enum way choose(const struct rf_pack *pack, const struct change *how)
{
	size_t room = room_of(pack);
	size_t left = how->at - pack->head + how->old; /* to log */
	size_t right = pack->end - how->at;
	size_t more = how->fresh > how->old ? how->fresh - how->old : 0;
	bool right_fits = more <= room - pack->end;
	enum way way = REBUILD;
	size_t log = left;

	if (more <= pack->head && (!right_fits || left < right))
		way = MOVE_LEFT;
	else if (right_fits)
		way = MOVE_RIGHT, log = right;
	if (how->fresh == how->old)
		log = how->old;
	else if (!is_near(log, smaller(left, right)))
		return REBUILD;
	if (how->fresh < how->old && room > SHRINK_ABOVE &&
		how->need <= room / SHRINK_PART)
		return REBUILD;
	/* Moving would change a text that stands in what is moved. */
	if (log > 0 && is_within(pack, how->form))
		return REBUILD;
	return is_worth(log, how->need) ? way : REBUILD;
}

static struct rf_pack *splice(struct rf_pack *pack, struct change *how)
{
	enum way way;

	how->fresh = how->form != NULL ? how->form->size : 0;
	how->need = (size_t)(pack->end - pack->head) - how->old + how->fresh;
	way = choose(pack, how);
	return way == REBUILD ? rebuild(pack, how)
			      : in_place(pack, how, way == MOVE_RIGHT);
}

struct rf_pack *rf_pack_insert(
	struct rf_pack *pack, uint32_t at, const void *from, size_t bytes)
{
	struct form form;
	struct change how = {.at = at, .items = pack->count + 1, .form = &form};

	form_make(&form, from, bytes);
	return splice(pack, &how);
}

struct rf_pack *rf_pack_replace(
	struct rf_pack *pack, uint32_t at, const void *from, size_t bytes)
{
	struct form form;
	struct change how = {.at = at,
		.old = rf_pack_size(pack->at + at),
		.items = pack->count,
		.form = &form};

	form_make(&form, from, bytes);
	return splice(pack, &how);
}

struct rf_pack *rf_pack_erase(struct rf_pack *pack, uint32_t at, uint32_t count)
{
	struct change how = {.at = at, .items = pack->count - count};
	uint32_t behind = at;

	for (; count > 0; count--)
		behind += rf_pack_size(pack->at + behind);
	how.old = behind - at;
	return splice(pack, &how);
}

struct rf_pack *rf_pack_split(struct rf_pack *pack, uint32_t at)
{
	uint32_t bytes = pack->end - at;
	struct rf_pack *fresh = make(bytes);
	uint32_t count = 0;

	if (fresh == NULL || rf_tx_log(pack, sizeof *pack) != 0 ||
		rf_tx_log(pack->at + at, bytes) != 0) /* P1 */
		return NULL;
	for (uint32_t i = at; i < pack->end; count++)
		i += rf_pack_size(pack->at + i);
	memcpy(fresh->at, pack->at + at, bytes);
	fresh->end = bytes;
	fresh->count = count;
	pack->end = at;
	pack->count -= count;
	return fresh;
}

/* ---- finding ---- */

/* An item with the same first byte and of the same size. Names that stand side
 * by side tend to begin alike: the last byte tells most of them apart. */
static bool is_same(const uint8_t *item, const struct form *form)
{
	const uint8_t *text = item + form->lead_bytes;
	const uint8_t *other = form->text;

	if (form->lead_bytes > 1 &&
		memcmp(item, form->lead, form->lead_bytes) != 0)
		return false;
	return form->text_bytes == 0 ||
	       (text[form->text_bytes - 1] == other[form->text_bytes - 1] &&
		       memcmp(text, other, form->text_bytes) == 0);
}

uint32_t rf_pack_find(const struct rf_pack *pack, uint32_t at,
	const void *bytes, size_t size, uint32_t step)
{
	struct form form;
	uint32_t skip = 0;

	form_make(&form, bytes, size);
	for (; at < pack->end; skip--) {
		const uint8_t *item = pack->at + at;
		uint32_t item_bytes = rf_pack_size(item);

		if (skip == 0) {
			if (*item == form.lead[0] && item_bytes == form.size &&
				is_same(item, &form))
				return at;
			skip = step;
		}
		at += item_bytes;
	}
	return pack->end;
}
