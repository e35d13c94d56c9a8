/* SPDX-License-Identifier: MIT */
/* access.h -- when, or how often, a value was used; in 24 bits of its head.
 *
 * Under an LRU policy: the second of the last access, modulo 2^24. Under an
 * LFU policy: the minute of the last decay, modulo 2^16, and a counter of 8
 * bits that grows with the logarithm of the accesses. The bits are written
 * without the log: after a death they say what they said, and a rolled back
 * header brings back older ones, which is as good.
 *
 * Source of the counter. Robert Morris, "Counting large numbers of events in
 * small registers", CACM 1978.
 */
#ifndef KV_ACCESS_H
#define KV_ACCESS_H

#include "worker/kv/server/server.h"

static inline bool kv_policy_is_lfu(void)
{
	return kv_settings->maxmemory_policy == KV_ALLKEYS_LFU ||
	       kv_settings->maxmemory_policy == KV_VOLATILE_LFU;
}

static inline uint32_t kv_access_now(int64_t now_ms)
{
	return (uint32_t)((uint64_t)now_ms / 1000) & KV_ACCESS;
}

/* Of a new value. */
uint32_t kv_access_first(int64_t now_ms);
/* One access more; LFU. */
void kv_access_lfu(struct kv_value *value, int64_t now_ms);

static inline void kv_access_write(struct kv_value *value, uint32_t access)
{
	rf_tx_unlogged(&value->head, sizeof value->head);
	value->head = (value->head & ~KV_ACCESS) | access;
}

static inline void kv_access(struct kv_value *value, int64_t now_ms)
{
	uint32_t now = kv_access_now(now_ms);

	if (rf_unlikely(kv_policy_is_lfu()))
		kv_access_lfu(value, now_ms);
	else if ((value->head & KV_ACCESS) != now)
		kv_access_write(value, now);
}

/* Seconds since the last access; under LFU the counter, decayed. */
uint64_t kv_idle_seconds(const struct kv_value *value, int64_t now_ms);
uint32_t kv_frequency(const struct kv_value *value, int64_t now_ms);
/* For RESTORE. */
void kv_set_idle(struct kv_value *value, int64_t now_ms, uint64_t seconds);
void kv_set_frequency(
	struct kv_value *value, int64_t now_ms, uint32_t frequency);

#endif
