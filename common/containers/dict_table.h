/* SPDX-License-Identifier: MIT */
/* dict_table.h -- where the entries of a dict stand; see dict.c. */
#ifndef RF_DICT_TABLE_H
#define RF_DICT_TABLE_H

#include "common/siphash.h"
#include <refork/dict.h>
#include <refork/worker.h>

#define RF_DICT_SEGMENT	    512u		/* buckets */
#define RF_DICT_BUCKETS_MAX ((uint64_t)1 << 32) /* of a 32-bit hash */

static inline uint32_t rf_dict_hash(const void *key, size_t key_bytes)
{
	return (uint32_t)rf_siphash13(key, key_bytes, rf_arena_seed());
}

static inline uint64_t rf_dict_bucket_of(
	const struct rf_dict *dict, uint32_t hash)
{
	uint64_t index = hash & dict->mask;

	return index < dict->bucket_count ? index : hash & (dict->mask >> 1);
}

static inline struct rf_dict_entry **rf_dict_bucket(
	const struct rf_dict *dict, uint64_t index)
{
	return &dict->segments[index / RF_DICT_SEGMENT]
			      [index % RF_DICT_SEGMENT];
}

#endif
