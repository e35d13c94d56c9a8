/* SPDX-License-Identifier: MIT */
/* whole.h -- texts that are whole numbers, and whole numbers as texts.
 *
 * A text is one when printing the number gives that text again: no sign but
 * a minus, no leading zero, nothing around it.
 */
#ifndef RF_WHOLE_H
#define RF_WHOLE_H

#include <refork/item.h>
#include <stdbool.h>
#include <stdint.h>

#define RF_WHOLE_DIGITS_MAX 20u /* with the minus */
_Static_assert(RF_WHOLE_DIGITS_MAX <= RF_ITEM_DIGITS, "an item holds it");

static inline bool rf_whole_parse(
	const void *text, size_t bytes, int64_t *number)
{
	const uint8_t *at = text;
	const uint8_t *end = at + bytes;
	bool minus = bytes > 1 && *at == '-';
	uint64_t sum = 0;

	if (bytes == 0 || bytes > RF_WHOLE_DIGITS_MAX)
		return false;
	at += minus;
	if (*at == '0')
		return !minus && bytes == 1 ? (*number = 0, true) : false;
	for (; at < end; at++) {
		uint8_t digit = (uint8_t)(*at - '0');

		if (digit > 9 || __builtin_mul_overflow(sum, 10u, &sum) ||
			__builtin_add_overflow(sum, digit, &sum))
			return false;
	}
	if (sum > (uint64_t)INT64_MAX + minus)
		return false;
	*number = (int64_t)(minus ? 0 - sum : sum);
	return true;
}

/* Into the item's own digits. */
static inline void rf_whole_print(int64_t number, struct rf_item *item)
{
	char *end = item->digits + sizeof item->digits;
	uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
	char *at = end;

	do
		*--at = (char)('0' + rest % 10);
	while ((rest /= 10) > 0);
	if (number < 0)
		*--at = '-';
	item->text = (struct rf_bytes){at, (size_t)(end - at)};
}

#endif
