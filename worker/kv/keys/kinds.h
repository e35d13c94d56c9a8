/* SPDX-License-Identifier: MIT */
/* kinds.h -- what can be asked of a collection, whichever it is. */
#ifndef KV_KINDS_H
#define KV_KINDS_H

#include "worker/kv/keys/keys.h"
#include <refork/walk.h>

struct kv_kind_row {
	const char *compact, *large; /* redis's names of the encodings */
	uint64_t (*count)(const void *root);
	size_t (*memory)(const void *root);
	bool (*is_compact)(const void *root);
	bool (*clear_step)(void *root, size_t budget);
	bool (*walk)(struct rf_walk *walk, const void *root);
};

/* Strings have no row: they are one block. */
extern const struct kv_kind_row kv_kinds[KV_KIND_COUNT];

#endif
