/* SPDX-License-Identifier: MIT */
/* string.h -- changing strings; what the string and bitmap commands share. */
#ifndef KV_STRING_H
#define KV_STRING_H

#include "worker/kv/keys/keys.h"

/* The entry of a key that holds a string, for changing it; NULL when there is
 * no such key. false: WRONGTYPE has been replied. */
bool kv_find_string(struct kv_call *call, struct rf_bytes key,
	struct rf_dict_entry **entry);

/* Write at `off` of a string, zeroing a gap; the expiry is kept.
 * entry    of argv[1]; NULL: there is none, it is made
 * Returns  the string as it is now; NULL after an error, replied or stuck */
struct rf_string *kv_string_write(struct kv_call *call,
	struct rf_dict_entry *entry, size_t off, const void *from,
	size_t bytes);

/* The text of a value; none: empty. */
static inline struct rf_bytes kv_string_text(const struct kv_value *value)
{
	if (value == NULL)
		return (struct rf_bytes){"", 0};
	return (struct rf_bytes){(const char *)value->body, value->bytes};
}

#endif
