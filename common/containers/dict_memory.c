/* SPDX-License-Identifier: MIT */
/* dict_memory.c -- how much memory a dict takes, from a sample. */
#include "dict_table.h"
#include <refork/heap.h>

#define SAMPLE	5u  /* entries */
#define BUCKETS 64u /* no more are looked at */

size_t rf_dict_memory(const struct rf_dict *dict,
	size_t (*value)(const struct rf_dict_entry *entry))
{
	size_t table = dict->bucket_count * sizeof(void *);
	size_t bytes = 0, seen = 0;

	if (dict->directory_slots > 1)
		table += dict->directory_slots * sizeof(void *);
	for (uint64_t i = 0; i < BUCKETS && i < dict->bucket_count; i++) {
		const struct rf_dict_entry *entry = *rf_dict_bucket(dict, i);

		for (; entry != NULL && seen < SAMPLE; entry = entry->next) {
			bytes += rf_usable(entry);
			bytes += value != NULL ? value(entry) : 0;
			seen++;
		}
	}
	if (seen == 0)
		return table + dict->count * sizeof(struct rf_dict_entry);
	return table +
	       (size_t)((double)bytes / (double)seen * (double)dict->count);
}
