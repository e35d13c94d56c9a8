/* SPDX-License-Identifier: MIT */
/* list.h -- what the commands on lists share. */
#ifndef KV_LIST_LIST_H
#define KV_LIST_LIST_H

#include "worker/kv/keys/collection.h"

/* "lpush", "rpop": the events, by enum rf_end. */
extern const char *const kv_list_pushed[2];
extern const char *const kv_list_popped[2];

/* LEFT or RIGHT. false: the error has been replied. */
bool kv_arg_end(struct kv_call *call, uint32_t index, enum rf_end *end);

/* The index of the outermost element at this end. The list is not empty. */
static inline uint64_t kv_list_edge(const struct rf_list *list, enum rf_end end)
{
	return end == RF_HEAD ? 0 : rf_list_count(list) - 1;
}

/* Reply `count` elements, in the order in which they are popped, take them out
 * of the list of this key and tell; an empty list goes. */
void kv_list_pop(struct kv_call *call, struct rf_bytes key,
	struct rf_list *list, enum rf_end end, uint64_t count);

#endif
