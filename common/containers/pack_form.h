/* SPDX-License-Identifier: MIT */
/* pack_form.h -- how the items of a pack stand in its block.
 *
 *	| head, end, count | free | item item item ... | free |
 *	                          ^head                ^end
 *
 * An item begins and ends with a byte that tells its form, so that it can be
 * stepped over either way:
 *
 *	0nnnnnnn                    a number from 0 to 127
 *	10llllll bytes 10llllll     text of up to 63 bytes
 *	1100vvvv .. 1100vvvv        a number of 16 bits in 3 bytes: its lowest
 *	1101vvvv .. 1101vvvv        four bits first, the highest four last;
 *	1110vvvv .. 1110vvvv        so, too, of 32 in 5 and of 64 in 9
 *	1111cccc length bytes length 1111cccc
 *	                            text whose length has c bytes: 1, 2 or 4
 *
 * There is one form for each item, the shortest: equal items are equal bytes.
 */
#ifndef RF_PACK_FORM_H
#define RF_PACK_FORM_H

#include <refork/pack.h>
#include <stdint.h>
#include <string.h>

struct rf_pack {
	uint32_t head; /* offsets into `at` */
	uint32_t end;
	uint32_t count;
	uint8_t at[];
};
_Static_assert(sizeof(struct rf_pack) == RF_PACK_OVERHEAD, "format");

#define RF_PACK_TEXT	 0x80u
#define RF_PACK_TEXT_MAX 63u
#define RF_PACK_NUMBER	 0xc0u
#define RF_PACK_LONG	 0xf0u

/* Bytes of a number by its form. Branches, not arithmetic: a guess at the size
 * lets the processor go on to the next item before it has read this one. */
static inline uint32_t rf_pack_number_size(uint8_t form)
{
	if (rf_likely(form < RF_PACK_NUMBER + 0x10u))
		return 3;
	return rf_likely(form < RF_PACK_NUMBER + 0x20u) ? 5 : 9;
}

/* The length in the `bytes` bytes at `from`. */
static inline uint32_t rf_pack_length(const uint8_t *from, uint32_t bytes)
{
	uint16_t half;
	uint32_t word;

	if (bytes == 1)
		return *from;
	if (bytes == 2) {
		memcpy(&half, from, sizeof half);
		return half;
	}
	memcpy(&word, from, sizeof word);
	return word;
}

/* Bytes of an item of this form; `length` is where its length stands. */
static inline uint32_t rf_pack_size_of(uint8_t form, const uint8_t *length)
{
	uint32_t length_bytes;

	if (form < RF_PACK_TEXT)
		return 1;
	if (form < RF_PACK_NUMBER)
		return form - RF_PACK_TEXT + 2u;
	if (form < RF_PACK_LONG)
		return rf_pack_number_size(form);
	length_bytes = form - RF_PACK_LONG;
	return rf_pack_length(length, length_bytes) + 2u + 2u * length_bytes;
}

/* Bytes of the item that begins here. */
static inline uint32_t rf_pack_size(const uint8_t *item)
{
	return rf_pack_size_of(*item, item + 1);
}

/* Bytes of the item that ends here. */
static inline uint32_t rf_pack_size_before(const uint8_t *end)
{
	uint8_t form = end[-1];

	/* Read only where there is a length. */
	return rf_pack_size_of(form, end - 1 - (form & 15u));
}

/* The number that stands here. */
static inline int64_t rf_pack_number(const uint8_t *item)
{
	uint32_t size = rf_pack_size(item);
	unsigned bits = (size - 1) * 8;
	uint64_t rest = 0; /* behind the first byte */

	if (size == 1)
		return *item;
	if (size == 3)
		memcpy(&rest, item + 1, 2);
	else if (size == 5)
		memcpy(&rest, item + 1, 4);
	else
		memcpy(&rest, item + 1, 8);
	/* Without the last byte, then with its lower half on top. */
	rest &= ~UINT64_C(0) >> (64 - bits) >> 8;
	rest = rest << 4 | (*item & 15u) |
	       (uint64_t)(item[size - 1] & 15u) << (bits - 4);
	return (int64_t)(rest << (64 - bits)) >> (64 - bits);
}

/* Whether it is a number, not a text. */
static inline bool rf_pack_is_number(const uint8_t *item)
{
	return *item < RF_PACK_TEXT ||
	       (*item >= RF_PACK_NUMBER && *item < RF_PACK_LONG);
}

#endif
