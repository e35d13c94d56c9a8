/* SPDX-License-Identifier: MIT */
/* set_form.h -- what the word of a set leads to; see set.c. */
#ifndef RF_SET_FORM_H
#define RF_SET_FORM_H

#include <refork/dict.h>
#include <refork/set.h>
#include <string.h>

#define RF_SET_IS_TABLE UINT64_C(1)

struct rf_set_array {
	uint32_t count;
	uint32_t width; /* of a number: 2, 4 or 8 bytes */
	uint8_t at[];	/* ascending; what is behind means nothing */
};

/* NULL: it is compact. */
static inline struct rf_dict *rf_set_table(const struct rf_set *set)
{
	return set->word & RF_SET_IS_TABLE
		       ? (struct rf_dict *)(set->word - RF_SET_IS_TABLE)
		       : NULL;
}

/* Of a compact one; NULL: it is empty. */
static inline struct rf_set_array *rf_set_array(const struct rf_set *set)
{
	return (struct rf_set_array *)set->word;
}

static inline int64_t rf_set_number(
	const struct rf_set_array *array, uint32_t index)
{
	const uint8_t *at = array->at + (size_t)index * array->width;
	int16_t half;
	int32_t word;
	int64_t wide;

	if (array->width == sizeof half) {
		memcpy(&half, at, sizeof half);
		return half;
	}
	if (array->width == sizeof word) {
		memcpy(&word, at, sizeof word);
		return word;
	}
	memcpy(&wide, at, sizeof wide);
	return wide;
}

static inline uint32_t rf_set_width(int64_t number)
{
	return number == (int16_t)number   ? 2
	       : number == (int32_t)number ? 4
					   : 8;
}

#endif
