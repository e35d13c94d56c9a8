/* SPDX-License-Identifier: MIT */
/* set_walk.c -- going through a set: scan, random choice, the check. */
#include "set_form.h"
#include "whole.h"
#include <errno.h>
#include <refork/heap.h>
#include <refork/log.h>

struct visit {
	void (*visit)(const struct rf_item *member, void *context);
	void *context;
};

static void visit_entry(struct rf_dict_entry *entry, void *context)
{
	const struct visit *to = context;
	struct rf_item member = {.text = {entry->key, entry->key_bytes}};

	to->visit(&member, to->context);
}

uint64_t rf_set_scan(const struct rf_set *set, uint64_t cursor,
	void (*visit)(const struct rf_item *member, void *context),
	void *context)
{
	const struct rf_dict *table = rf_set_table(set);
	const struct rf_set_array *array = rf_set_array(set);
	struct visit to = {visit, context};

	if (set->word == 0)
		return 0;
	if (table != NULL)
		return rf_dict_scan(table, cursor, visit_entry, &to);
	for (uint32_t i = 0; i < array->count; i++) {
		struct rf_item member;

		rf_whole_print(rf_set_number(array, i), &member);
		visit(&member, context);
	}
	return 0;
}

bool rf_set_random(
	const struct rf_set *set, uint64_t random, struct rf_item *member)
{
	const struct rf_dict *table = rf_set_table(set);
	uint64_t count = rf_set_count(set);
	const struct rf_dict_entry *entry;

	if (count == 0)
		return false;
	if (table == NULL) {
		rf_whole_print(rf_set_number(rf_set_array(set),
				       (uint32_t)(random % count)),
			member);
		return true;
	}
	entry = rf_dict_random(table, random);
	member->text = (struct rf_bytes){entry->key, entry->key_bytes};
	return true;
}

/* ---- the walker ---- */

static int bad(const struct rf_set *set, const char *name, const char *what)
{
	rf_log(RF_LOG_ERROR, "set check: %s at %p: %s", name, (const void *)set,
		what);
	return -EBADMSG;
}

static int check_array(const struct rf_set *set, const char *name)
{
	const struct rf_set_array *array = rf_set_array(set);

	if (!rf_is_block(array, sizeof *array))
		return bad(set, name, "its array is not a block");
	if (array->width != 2 && array->width != 4 && array->width != 8)
		return bad(set, name, "numbers of an impossible width");
	if (array->count == 0 ||
		!rf_is_block(array,
			sizeof *array + (size_t)array->count * array->width))
		return bad(set, name, "its array does not fit its block");
	for (uint32_t i = 1; i < array->count; i++)
		if (rf_set_number(array, i - 1) >= rf_set_number(array, i))
			return bad(set, name, "numbers out of order");
	return 0;
}

int rf_set_check(const struct rf_set *set, const char *name)
{
	const struct rf_dict *table = rf_set_table(set);

	if (set->word == 0)
		return 0;
	if (table == NULL)
		return check_array(set, name);
	if (!rf_is_block(table, sizeof *table))
		return bad(set, name, "its table is not a block");
	return rf_dict_check(table, name);
}
