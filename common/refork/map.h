/* SPDX-License-Identifier: MIT */
/* map.h -- a recoverable map from byte strings to byte strings.
 *
 * Small ones are one pack of field, value, field, value; beyond that a dict.
 * Lives in the arena; every change is part of the open transaction: undone by
 * its abort, and by the death of the process. Nothing here begins or commits.
 */
#ifndef REFORK_MAP_H
#define REFORK_MAP_H

#include <refork/check.h>
#include <refork/item.h>
#include <stdbool.h>
#include <stdint.h>

/* Zeroed: an empty map. Not to be looked into. */
struct rf_map {
	uint64_t word;
};

RF_API uint64_t rf_map_count(const struct rf_map *map);
RF_API bool rf_map_is_compact(const struct rf_map *map);
RF_API size_t rf_map_memory(const struct rf_map *map); /* an estimate, O(1) */

/* false: no such field. The value is valid until the map changes. Cost: O(1),
 * a compact map O(its limits). */
RF_API bool rf_map_get(const struct rf_map *map, const void *field,
	size_t field_bytes, struct rf_item *value);
/* Returns true when the field is new. Neither text may be in this map. No
 * memory: the transaction carries -ENOMEM (-EMSGSIZE: a text of 4 GiB or more).
 * Cost: O(1), a compact map O(its limits); once, when it becomes a dict, one
 * insertion for each field. */
RF_API bool rf_map_put(struct rf_map *map, const void *field,
	size_t field_bytes, const void *value, size_t value_bytes);
/* Returns false when there was no such field. It may be an item of this map.
 * What is empty owns nothing. */
RF_API bool rf_map_remove(
	struct rf_map *map, const void *field, size_t field_bytes);

/* As rf_dict_scan; a compact map is gone through at once. The items live for
 * the call of `visit`. */
RF_API uint64_t rf_map_scan(const struct rf_map *map, uint64_t cursor,
	void (*visit)(const struct rf_item *field, const struct rf_item *value,
		void *context),
	void *context);
/* Any field, all equally likely; false when empty. value may be NULL. */
RF_API bool rf_map_random(const struct rf_map *map, uint64_t random,
	struct rf_item *field, struct rf_item *value);

/* Free about `budget` fields. True: the map is empty and owns nothing. */
RF_API bool rf_map_clear_step(struct rf_map *map, size_t budget);

/* A compact map has at most so many fields (512), none with a field or value
 * longer than that (64 bytes); of this process, for maps that change. */
RF_API void rf_map_limits(uint32_t fields, uint32_t bytes);

RF_API int rf_map_check(const struct rf_map *map, const char *name);

#endif
