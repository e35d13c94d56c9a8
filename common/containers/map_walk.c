/* SPDX-License-Identifier: MIT */
/* map_walk.c -- going through a map: scan, random choice, the check. */
#include "map_form.h"
#include "map_value.h"
#include <errno.h>
#include <refork/heap.h>
#include <refork/log.h>

/* Above, the walker does not look for a field that stands twice. */
#define COMPARED_MAX 1024u

struct visit {
	void (*visit)(const struct rf_item *field, const struct rf_item *value,
		void *context);
	void *context;
};

static void entry_get(const struct rf_dict_entry *entry, struct rf_item *field,
	struct rf_item *value)
{
	field->text = (struct rf_bytes){entry->key, entry->key_bytes};
	if (value != NULL)
		rf_map_value_get(entry->word, value);
}

static void visit_entry(struct rf_dict_entry *entry, void *context)
{
	const struct visit *to = context;
	struct rf_item field, value;

	entry_get(entry, &field, &value);
	to->visit(&field, &value, to->context);
}

/* The pair whose field stands at `at`; where the next one does. A field whose
 * value found no memory, in a transaction that will be undone, has none. */
static uint32_t pair_get(const struct rf_pack *pack, uint32_t at,
	struct rf_item *field, struct rf_item *value)
{
	rf_pack_get(pack, at, field);
	at = rf_pack_next(pack, at);
	if (value != NULL)
		value->text = (struct rf_bytes){value->digits, 0};
	if (rf_unlikely(at == rf_pack_end(pack)))
		return at;
	if (value != NULL)
		rf_pack_get(pack, at, value);
	return rf_pack_next(pack, at);
}

uint64_t rf_map_scan(const struct rf_map *map, uint64_t cursor,
	void (*visit)(const struct rf_item *field, const struct rf_item *value,
		void *context),
	void *context)
{
	const struct rf_dict *table = rf_map_table(map);
	const struct rf_pack *pack = rf_map_pack(map);
	struct visit to = {visit, context};
	struct rf_item field, value;

	if (map->word == 0)
		return 0;
	if (table != NULL)
		return rf_dict_scan(table, cursor, visit_entry, &to);
	for (uint32_t at = rf_pack_first(pack); at != rf_pack_end(pack);) {
		at = pair_get(pack, at, &field, &value);
		visit(&field, &value, context);
	}
	return 0;
}

bool rf_map_random(const struct rf_map *map, uint64_t random,
	struct rf_item *field, struct rf_item *value)
{
	const struct rf_dict *table = rf_map_table(map);
	const struct rf_pack *pack = rf_map_pack(map);
	uint64_t count = rf_map_count(map);

	if (count == 0)
		return false;
	if (table != NULL) {
		entry_get(rf_dict_random(table, random), field, value);
		return true;
	}
	pair_get(pack, rf_pack_at(pack, (int64_t)(random % count * 2)), field,
		value);
	return true;
}

/* ---- the walker ---- */

static int bad(const struct rf_map *map, const char *name, const char *what)
{
	rf_log(RF_LOG_ERROR, "map check: %s at %p: %s", name, (const void *)map,
		what);
	return -EBADMSG;
}

static int check_pack(const struct rf_map *map, const char *name)
{
	const struct rf_pack *pack = rf_map_pack(map);
	uint32_t at;

	if (rf_pack_check(pack, name) != 0)
		return -EBADMSG;
	if (rf_pack_count(pack) == 0 || rf_pack_count(pack) % 2 != 0)
		return bad(map, name, "not a pack of pairs");
	if (rf_pack_count(pack) / 2 > COMPARED_MAX)
		return 0;
	for (at = rf_pack_first(pack); at != rf_pack_end(pack);) {
		struct rf_item field;
		uint32_t next = pair_get(pack, at, &field, NULL);

		if (rf_pack_find(pack, next, field.text.at, field.text.bytes,
			    2) != rf_pack_end(pack))
			return bad(map, name, "a field twice");
		at = next;
	}
	return 0;
}

static void check_entry(struct rf_dict_entry *entry, void *context)
{
	const char **fault = context;

	if (*fault == NULL)
		*fault = rf_map_value_fault(entry->word);
}

int rf_map_check(const struct rf_map *map, const char *name)
{
	const struct rf_dict *table = rf_map_table(map);
	const char *fault = NULL;
	uint64_t cursor = 0;

	if (map->word == 0)
		return 0;
	if (table == NULL)
		return check_pack(map, name);
	if (!rf_is_block(table, sizeof *table))
		return bad(map, name, "its table is not a block");
	if (rf_dict_check(table, name) != 0)
		return -EBADMSG;
	do
		cursor = rf_dict_scan(table, cursor, check_entry, &fault);
	while (cursor != 0);
	return fault == NULL ? 0 : bad(map, name, fault);
}
