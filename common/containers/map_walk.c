/* SPDX-License-Identifier: MIT */
/* map_walk.c -- going through a map: scan, random choice, the check. */
#include "common/verify/walk_form.h"
#include "distinct.h"
#include "map_form.h"
#include "map_value.h"
#include <errno.h>

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

static void walk_compact(struct rf_walk *walk, const struct rf_map *map)
{
	const struct rf_pack *pack = rf_map_pack(map);

	if (!rf_walk_pack(walk, pack))
		return;
	if (rf_pack_count(pack) == 0 || rf_pack_count(pack) % 2 != 0)
		rf_walk_problem(walk, map, "map: not a pack of pairs");
	else
		rf_walk_distinct(walk, pack);
}

static void walk_value(
	struct rf_walk *walk, const struct rf_dict_entry *entry, void *context)
{
	(void)context;
	rf_map_value_walk(walk, &entry->word);
}

bool rf_walk_map(struct rf_walk *walk, const struct rf_map *map)
{
	const struct rf_dict *table = rf_map_table(map);
	uint64_t before = rf_walk_problems(walk);

	if (map->word == 0)
		return true;
	if (table == NULL)
		walk_compact(walk, map);
	else if (rf_walk_block(walk, table, sizeof *table, "map"))
		rf_walk_dict(walk, table, walk_value, NULL);
	return rf_walk_problems(walk) == before;
}

int rf_map_check(const struct rf_map *map, const char *name)
{
	struct rf_walk_alone alone;

	return rf_walk_map(rf_walk_alone(&alone, name), map) ? 0 : -EBADMSG;
}
