/* SPDX-License-Identifier: MIT */
/* memory.h -- where the memory is. */
#ifndef KV_MEMORY_H
#define KV_MEMORY_H

#include "worker/kv/server/records.h"

struct kv_memory {
	uint64_t used_bytes;	 /* in blocks of the arena */
	uint64_t active_bytes;	 /* in pages of the arena that hold any */
	uint64_t size_bytes;	 /* of the arena at present */
	uint64_t max_bytes;	 /* maxmemory, or what the arena may grow to */
	uint64_t resident_bytes; /* of this process, the arena included */
	uint64_t peak_bytes;	 /* the most that was used */
	uint64_t startup_bytes;	 /* used before the first key */
	uint64_t overhead_bytes; /* all that is no key and no value */
	uint64_t dataset_bytes;
	uint64_t keys;
};

void kv_memory_measure(struct kv_memory *memory);

#endif
