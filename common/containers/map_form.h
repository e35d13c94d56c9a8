/* SPDX-License-Identifier: MIT */
/* map_form.h -- what the word of a map leads to; see map.c. */
#ifndef RF_MAP_FORM_H
#define RF_MAP_FORM_H

#include <refork/dict.h>
#include <refork/map.h>
#include <refork/pack.h>

#define RF_MAP_IS_TABLE UINT64_C(1)

/* NULL: it is compact. */
static inline struct rf_dict *rf_map_table(const struct rf_map *map)
{
	return map->word & RF_MAP_IS_TABLE
		       ? (struct rf_dict *)(map->word - RF_MAP_IS_TABLE)
		       : NULL;
}

/* Of a compact one; NULL: it is empty. */
static inline struct rf_pack *rf_map_pack(const struct rf_map *map)
{
	return (struct rf_pack *)map->word;
}

#endif
