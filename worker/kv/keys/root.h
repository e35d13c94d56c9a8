/* SPDX-License-Identifier: MIT */
/* root.h -- the root of all state, in the slot "kv".
 *
 * Everything here changes under the log, but where it says otherwise.
 */
#ifndef KV_ROOT_H
#define KV_ROOT_H

#include "worker/kv/server/server.h"

struct kv_root {
	struct kv_keys **databases; /* by number; SWAPDB exchanges two */
	uint64_t database_count;

	/* Flushed, being freed by ticks. */
	struct kv_keys *dead_keys;
	/* Collections without a key, being freed by ticks: the address of the
	 * next one stands in the low 48 bits of each one's first word. */
	struct kv_value *dead_values;
	uint64_t dead_value_count;
	/* Empty ones: a flush needs no memory. */
	struct kv_keys *spare;
	uint64_t spare_count;

	uint64_t random;     /* state of kv_random() */
	uint64_t expiry_off; /* DEBUG SET-ACTIVE-EXPIRE 0 */

	struct kv_records *records; /* made and owned by server/ */
	struct kv_settings settings;
	uint64_t counters[KV_COUNTER_COUNT]; /* without the log */
};

#endif
