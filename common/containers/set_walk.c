/* SPDX-License-Identifier: MIT */
/* set_walk.c -- going through a set: scan, random choice, the check. */
#include "common/verify/walk_form.h"
#include "set_form.h"
#include "whole.h"
#include <errno.h>

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

static const char *array_fault(
	struct rf_walk *walk, const struct rf_set_array *array)
{
	size_t room = rf_walk_usable(walk, array) - sizeof *array;

	if (array->width != 2 && array->width != 4 && array->width != 8)
		return "numbers of an impossible width";
	if (array->count == 0 || array->count > room / array->width)
		return "its array does not fit its block";
	for (uint32_t i = 1; i < array->count; i++)
		if (rf_set_number(array, i - 1) >= rf_set_number(array, i))
			return "numbers out of order";
	return NULL;
}

bool rf_walk_set(struct rf_walk *walk, const struct rf_set *set)
{
	const struct rf_dict *table = rf_set_table(set);
	const struct rf_set_array *array = rf_set_array(set);
	uint64_t before = rf_walk_problems(walk);
	const char *fault = NULL;

	if (set->word == 0)
		return true;
	if (table != NULL) {
		if (rf_walk_block(walk, table, sizeof *table, "set"))
			rf_walk_dict(walk, table, NULL, NULL);
	} else if (rf_walk_block(walk, array, sizeof *array, "set array")) {
		fault = array_fault(walk, array);
	}
	if (fault != NULL)
		rf_walk_problem(walk, set, "set: %s", fault);
	return rf_walk_problems(walk) == before;
}

int rf_set_check(const struct rf_set *set, const char *name)
{
	struct rf_walk_alone alone;

	return rf_walk_set(rf_walk_alone(&alone, name), set) ? 0 : -EBADMSG;
}
