/* SPDX-License-Identifier: MIT */
/* set.c -- members: a sorted array of numbers, or a dict.
 *
 * The word of a set is 0 (empty), the address of an array, or that of a table
 * with one bit more. A set becomes a table with the first member that is no
 * whole number, or when there are too many, and stays one until it is empty: it
 * owns nothing then. The numbers of an array are as wide as the widest was.
 *
 * Bytes behind the last number mean nothing and need no log. So what leaves the
 * array is logged: a later call of the same transaction writes there without
 * looking.
 */
#include "set_form.h"
#include "whole.h"
#include <refork/heap.h>
#include <refork/tx.h>

#define LOGGED_MAX ((size_t)16 << 10) /* more is cheaper in a new block */
#define SMALL_MAX  ((size_t)8 << 10)  /* above, blocks grow by pages */

static uint32_t numbers_max = 512;

void rf_set_limit(uint32_t numbers)
{
	numbers_max = numbers;
}

uint64_t rf_set_count(const struct rf_set *set)
{
	if (set->word == 0)
		return 0;
	return rf_set_is_compact(set) ? rf_set_array(set)->count
				      : rf_dict_count(rf_set_table(set));
}

bool rf_set_is_compact(const struct rf_set *set)
{
	return (set->word & RF_SET_IS_TABLE) == 0;
}

size_t rf_set_memory(const struct rf_set *set)
{
	struct rf_dict *table = rf_set_table(set);

	if (set->word == 0)
		return 0;
	if (table == NULL)
		return rf_usable(rf_set_array(set));
	return rf_usable(table) + rf_dict_memory(table, NULL);
}

/* ---- arrays ---- */

/* Where the first number >= this one stands. */
static uint32_t place_of(const struct rf_set_array *array, int64_t number)
{
	uint32_t low = 0, high = array->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (rf_set_number(array, middle) < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool stands_at(
	const struct rf_set_array *array, uint32_t place, int64_t number)
{
	return place < array->count && rf_set_number(array, place) == number;
}

static void write_number(
	struct rf_set_array *array, uint32_t index, int64_t number)
{
	/* The low bytes come first. */
	memcpy(array->at + (size_t)index * array->width, &number, array->width);
}

static size_t offset_of(const struct rf_set_array *array, uint32_t index)
{
	return (size_t)index * array->width;
}

/* A new block with the numbers but those from `place` on, `old` in number. */
static struct rf_set_array *remake(struct rf_set *set, uint32_t width,
	uint32_t place, uint32_t old, uint32_t fresh)
{
	struct rf_set_array *from = rf_set_array(set);
	uint32_t had = from != NULL ? from->count : 0;
	size_t bytes = (size_t)(had - old + fresh) * width;
	struct rf_set_array *array = rf_alloc_uninit(
		sizeof *array + bytes + (bytes > SMALL_MAX ? bytes / 8 : 0));

	if (array == NULL)
		return NULL;
	array->count = had - old + fresh;
	array->width = width;
	for (uint32_t i = 0; i < place; i++)
		write_number(array, i, rf_set_number(from, i));
	for (uint32_t i = place + old; i < had; i++)
		write_number(array, i - old + fresh, rf_set_number(from, i));
	rf_free(from);
	RF_SET(set->word, (uint64_t)array);
	return array;
}

/* Open a gap for one number, or close it, in the block. */
static bool move_tail(
	struct rf_set_array *array, uint32_t from, uint32_t to, uint32_t logged)
{
	size_t off = offset_of(array, logged);

	if (rf_tx_log(array, sizeof *array) != 0 ||
		rf_tx_log(array->at + off,
			offset_of(array, array->count) - off) != 0)
		return false;
	/* What stands behind the numbers means nothing. */
	if (rf_unlikely(rf_tx_is_compared))
		rf_tx_unlogged(array->at + offset_of(array, array->count),
			rf_usable(array) - sizeof *array -
				offset_of(array, array->count));
	memmove(array->at + offset_of(array, to),
		array->at + offset_of(array, from),
		offset_of(array, array->count - from));
	array->count += to - from;
	return true;
}

static bool add_number(struct rf_set *set, int64_t number)
{
	struct rf_set_array *array = rf_set_array(set);
	uint32_t width = rf_set_width(number);
	uint32_t place = 0;
	size_t bytes;

	if (array != NULL) {
		place = place_of(array, number);
		if (stands_at(array, place, number))
			return false;
		width = array->width > width ? array->width : width;
	}
	bytes = array != NULL ? offset_of(array, array->count) : 0;
	if (array == NULL || width > array->width ||
		sizeof *array + bytes + width > rf_usable(array) ||
		bytes - offset_of(array, place) > LOGGED_MAX)
		array = remake(set, width, place, 0, 1);
	else if (!move_tail(array, place, place + 1, place))
		return false;
	if (array != NULL)
		write_number(array, place, number);
	return array != NULL;
}

static void remove_number(struct rf_set *set, uint32_t place)
{
	struct rf_set_array *array = rf_set_array(set);
	size_t bytes = offset_of(array, array->count - 1);

	if (sizeof *array + bytes <= rf_usable(array) / 2 ||
		bytes - offset_of(array, place) > LOGGED_MAX)
		remake(set, array->width, place, 1, 0);
	else
		move_tail(array, place + 1, place, place);
}

/* ---- members ---- */

static bool add_to_table(
	struct rf_dict *table, const void *member, size_t bytes)
{
	bool created;

	rf_dict_put(table, member, bytes, &created);
	return created;
}

static struct rf_dict *make_table(struct rf_set *set)
{
	struct rf_set_array *array = rf_set_array(set);
	struct rf_dict *table = rf_alloc(sizeof *table);

	if (table == NULL)
		return NULL;
	for (uint32_t i = 0; array != NULL && i < array->count; i++) {
		struct rf_item item;

		rf_whole_print(rf_set_number(array, i), &item);
		add_to_table(table, item.text.at, item.text.bytes);
	}
	rf_free(array);
	RF_SET(set->word, (uint64_t)table | RF_SET_IS_TABLE);
	return rf_tx_error() == 0 ? table : NULL;
}

bool rf_set_has(const struct rf_set *set, const void *member, size_t bytes)
{
	const struct rf_dict *table = rf_set_table(set);
	const struct rf_set_array *array = rf_set_array(set);
	int64_t number;

	if (set->word == 0)
		return false;
	if (table != NULL)
		return rf_dict_find(table, member, bytes) != NULL;
	return rf_whole_parse(member, bytes, &number) &&
	       stands_at(array, place_of(array, number), number);
}

bool rf_set_add(struct rf_set *set, const void *member, size_t bytes)
{
	struct rf_dict *table = rf_set_table(set);
	int64_t number;

	if (table == NULL && rf_whole_parse(member, bytes, &number)) {
		if (rf_set_count(set) < numbers_max)
			return add_number(set, number);
		if (rf_set_has(set, member, bytes))
			return false;
	}
	if (table == NULL)
		table = make_table(set);
	return table != NULL && add_to_table(table, member, bytes);
}

/* It is empty: it owns nothing any more. */
static void disown(struct rf_set *set)
{
	rf_free((void *)(set->word & ~RF_SET_IS_TABLE));
	RF_SET(set->word, 0);
}

static bool remove_from_array(
	struct rf_set *set, const void *member, size_t bytes)
{
	const struct rf_set_array *array = rf_set_array(set);
	uint32_t place;
	int64_t number;

	if (!rf_whole_parse(member, bytes, &number))
		return false;
	place = place_of(array, number);
	if (!stands_at(array, place, number))
		return false;
	if (array->count == 1)
		disown(set);
	else
		remove_number(set, place);
	return true;
}

bool rf_set_remove(struct rf_set *set, const void *member, size_t bytes)
{
	struct rf_dict *table = rf_set_table(set);
	struct rf_dict_entry *entry;

	if (set->word == 0)
		return false;
	if (table == NULL)
		return remove_from_array(set, member, bytes);
	entry = rf_dict_find(table, member, bytes);
	if (entry == NULL)
		return false;
	rf_dict_remove(table, entry);
	if (rf_dict_count(table) == 0 && rf_dict_clear_step(table, 64, NULL))
		disown(set);
	return true;
}

bool rf_set_clear_step(struct rf_set *set, size_t budget)
{
	struct rf_dict *table = rf_set_table(set);

	if (set->word == 0)
		return true;
	if (table != NULL && !rf_dict_clear_step(table, budget, NULL))
		return false;
	disown(set);
	return rf_tx_error() == 0;
}
