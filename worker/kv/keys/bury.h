/* SPDX-License-Identifier: MIT */
/* bury.h -- the list of dead values. */
#ifndef KV_BURY_H
#define KV_BURY_H

#include "worker/kv/keys/keys.h"

#define KV_DEAD_ADDRESS ((UINT64_C(1) << 48) - 1)

static inline struct kv_value *kv_dead_next(const struct kv_value *value)
{
	uint64_t word;

	memcpy(&word, value, sizeof word);
	return (struct kv_value *)(word & KV_DEAD_ADDRESS);
}

#endif
