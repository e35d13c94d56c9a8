/* SPDX-License-Identifier: MIT */
/* kinds.h -- what can be asked of a collection, whichever it is. */
#ifndef KV_KINDS_H
#define KV_KINDS_H

#include "worker/kv/keys/keys.h"

struct kv_kind_row {
	const char *compact, *large; /* redis's names of the encodings */
	uint64_t (*count)(const void *root);
	size_t (*memory)(const void *root);
	bool (*is_compact)(const void *root);
	bool (*clear_step)(void *root, size_t budget);
	int (*check)(const void *root, const char *name);
};

/* Strings have no row: they are one block. */
extern const struct kv_kind_row kv_kinds[KV_KIND_COUNT];

#endif
