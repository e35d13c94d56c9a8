/* SPDX-License-Identifier: MIT */
/* map.c -- fields and values: one pack of pairs, or a dict.
 *
 * The word of a map is 0 (empty), the address of a pack with field, value,
 * field, value ..., or that of a table with one bit more. A map becomes a table
 * when it outgrows the limits, and stays one until it is empty: it owns nothing
 * then. The values of a table are words of map_value.h.
 */
#include "map_form.h"
#include "map_value.h"
#include <refork/heap.h>
#include <refork/tx.h>

static uint32_t fields_max = 512;
static uint32_t bytes_max = 64;

void rf_map_limits(uint32_t fields, uint32_t bytes)
{
	fields_max = fields;
	bytes_max = bytes;
}

uint64_t rf_map_count(const struct rf_map *map)
{
	if (map->word == 0)
		return 0;
	return rf_map_is_compact(map) ? rf_pack_count(rf_map_pack(map)) / 2
				      : rf_dict_count(rf_map_table(map));
}

bool rf_map_is_compact(const struct rf_map *map)
{
	return (map->word & RF_MAP_IS_TABLE) == 0;
}

static size_t value_memory(const struct rf_dict_entry *entry)
{
	return rf_map_value_memory(entry->word);
}

size_t rf_map_memory(const struct rf_map *map)
{
	struct rf_dict *table = rf_map_table(map);

	if (map->word == 0)
		return 0;
	if (table == NULL)
		return rf_usable(rf_map_pack(map));
	return rf_usable(table) + rf_dict_memory(table, value_memory);
}

/* ---- one field ---- */

/* Where the value of a field stands; the end when there is none. */
static uint32_t value_at(
	const struct rf_pack *pack, const void *field, size_t field_bytes)
{
	uint32_t at =
		rf_pack_find(pack, rf_pack_first(pack), field, field_bytes, 2);

	return at == rf_pack_end(pack) ? at : rf_pack_next(pack, at);
}

bool rf_map_get(const struct rf_map *map, const void *field, size_t field_bytes,
	struct rf_item *value)
{
	const struct rf_dict *table = rf_map_table(map);
	const struct rf_pack *pack = rf_map_pack(map);
	const struct rf_dict_entry *entry;
	uint32_t at;

	if (map->word == 0)
		return false;
	if (table != NULL) {
		entry = rf_dict_find(table, field, field_bytes);
		if (entry != NULL)
			rf_map_value_get(entry->word, value);
		return entry != NULL;
	}
	at = value_at(pack, field, field_bytes);
	if (at == rf_pack_end(pack))
		return false;
	rf_pack_get(pack, at, value);
	return true;
}

/* ---- changing ---- */

static bool put_in_table(struct rf_dict *table, const void *field,
	size_t field_bytes, const void *value, size_t value_bytes)
{
	bool created;
	struct rf_dict_entry *entry =
		rf_dict_put(table, field, field_bytes, &created);
	uint64_t word;

	if (entry == NULL)
		return false;
	/* A new entry has the word 0: a string that is none. */
	word = rf_map_value_set(entry->word, value, value_bytes);
	if (created)
		entry->word = word; /* a fresh block: no log */
	else if (word != 0 && word != entry->word)
		RF_SET(entry->word, word);
	return created;
}

static bool put_in_pack(struct rf_map *map, const void *field,
	size_t field_bytes, const void *value, size_t value_bytes)
{
	struct rf_pack *pack = rf_map_pack(map);
	uint32_t at;
	bool created;

	if (pack == NULL)
		pack = rf_pack_create(field_bytes + value_bytes + 4);
	if (pack == NULL)
		return false;
	at = value_at(pack, field, field_bytes);
	created = at == rf_pack_end(pack);
	if (created) {
		pack = rf_pack_insert(pack, at, field, field_bytes);
		if (pack != NULL)
			pack = rf_pack_insert(
				pack, rf_pack_end(pack), value, value_bytes);
	} else {
		pack = rf_pack_replace(pack, at, value, value_bytes);
	}
	if (pack == NULL)
		return false;
	if (pack != rf_map_pack(map))
		RF_SET(map->word, (uint64_t)pack);
	return created;
}

static struct rf_dict *make_table(struct rf_map *map)
{
	struct rf_dict *table = rf_alloc(sizeof *table);
	struct rf_pack *pack = rf_map_pack(map);
	uint32_t at = pack != NULL ? rf_pack_first(pack) : 0;

	if (table == NULL)
		return NULL;
	while (pack != NULL && at != rf_pack_end(pack)) {
		struct rf_item field, value;

		rf_pack_get(pack, at, &field);
		at = rf_pack_next(pack, at);
		rf_pack_get(pack, at, &value);
		at = rf_pack_next(pack, at);
		put_in_table(table, field.text.at, field.text.bytes,
			value.text.at, value.text.bytes);
	}
	rf_free(pack);
	RF_SET(map->word, (uint64_t)table | RF_MAP_IS_TABLE);
	return rf_tx_error() == 0 ? table : NULL;
}

/* Must this field make it a table? */
static bool is_too_large(const struct rf_map *map, const void *field,
	size_t field_bytes, size_t value_bytes)
{
	const struct rf_pack *pack = rf_map_pack(map);

	if (field_bytes > bytes_max || value_bytes > bytes_max)
		return true;
	if (rf_map_count(map) < fields_max)
		return false;
	return pack == NULL ||
	       value_at(pack, field, field_bytes) == rf_pack_end(pack);
}

bool rf_map_put(struct rf_map *map, const void *field, size_t field_bytes,
	const void *value, size_t value_bytes)
{
	struct rf_dict *table = rf_map_table(map);

	if (table == NULL) {
		if (!is_too_large(map, field, field_bytes, value_bytes))
			return put_in_pack(
				map, field, field_bytes, value, value_bytes);
		table = make_table(map);
	}
	return table != NULL &&
	       put_in_table(table, field, field_bytes, value, value_bytes);
}

/* It is empty: it owns nothing any more. */
static void disown(struct rf_map *map)
{
	rf_free((void *)(map->word & ~RF_MAP_IS_TABLE));
	RF_SET(map->word, 0);
}

static void drop(struct rf_dict_entry *entry)
{
	rf_map_value_drop(entry->word);
}

static bool remove_from_pack(
	struct rf_map *map, const void *field, size_t field_bytes)
{
	struct rf_pack *pack = rf_map_pack(map);
	uint32_t at =
		rf_pack_find(pack, rf_pack_first(pack), field, field_bytes, 2);

	if (at == rf_pack_end(pack))
		return false;
	if (rf_pack_count(pack) == 2) {
		disown(map);
		return true;
	}
	pack = rf_pack_erase(pack, at, 2);
	if (pack != NULL && pack != rf_map_pack(map))
		RF_SET(map->word, (uint64_t)pack);
	return true;
}

bool rf_map_remove(struct rf_map *map, const void *field, size_t field_bytes)
{
	struct rf_dict *table = rf_map_table(map);
	struct rf_dict_entry *entry;

	if (map->word == 0 || rf_tx_error() != 0)
		return false;
	if (table == NULL)
		return remove_from_pack(map, field, field_bytes);
	entry = rf_dict_find(table, field, field_bytes);
	if (entry == NULL)
		return false;
	drop(entry);
	rf_dict_remove(table, entry);
	if (rf_dict_count(table) == 0 && rf_dict_clear_step(table, 64, drop))
		disown(map);
	return true;
}

bool rf_map_clear_step(struct rf_map *map, size_t budget)
{
	struct rf_dict *table = rf_map_table(map);

	if (map->word == 0)
		return true;
	if (table != NULL && !rf_dict_clear_step(table, budget, drop))
		return false;
	disown(map);
	return rf_tx_error() == 0;
}
