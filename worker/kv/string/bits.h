/* SPDX-License-Identifier: MIT */
/* bits.h -- what the bitmap commands share. */
#ifndef KV_BITS_H
#define KV_BITS_H

#include "worker/kv/string/string.h"

/* A bit offset; with `hash_bits`, "#3" means the third field of so many bits.
 * false: the error has been replied. */
bool kv_arg_bit_offset(struct kv_call *call, uint32_t index, uint32_t hash_bits,
	uint64_t *offset);

#endif
