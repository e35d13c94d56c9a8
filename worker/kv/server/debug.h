/* SPDX-License-Identifier: MIT */
/* debug.h -- what the files of DEBUG share. */
#ifndef KV_DEBUG_H
#define KV_DEBUG_H

#include "worker/kv/keys/root.h"

/* 160 bits, as 40 digits. */
struct kv_digest {
	uint32_t words[5];
};

void kv_digest_value(struct kv_digest *digest, const struct kv_value *value);
/* Of all databases. The order of the keys makes no difference. O(all). */
void kv_digest_all(struct kv_digest *digest);
void kv_digest_print(const struct kv_digest *digest, char text[41]);

/* debug_protocol.c */
void kv_debug_protocol(struct kv_call *call);

/* debug_die.c: ways to die, for those who want to see it survived. NULL when
 * there is none of that name. */
void (*kv_debug_death(struct rf_bytes name))(struct kv_call *call);

#endif
