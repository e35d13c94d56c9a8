/* SPDX-License-Identifier: MIT */
/* server.h -- settings, counters and records of the kv worker. */
#ifndef KV_SERVER_H
#define KV_SERVER_H

#include "worker/kv/keys/keys.h"

/* ---- counters: in the arena, written without the log (a death may lose the
 * count of the request in hand, never more); zeroed by CONFIG RESETSTAT ---- */

enum kv_counter {
	KV_COUNT_HITS,
	KV_COUNT_MISSES,
	KV_COUNT_EXPIRED,
	KV_COUNT_EVICTED,
	KV_COUNT_COMMANDS,
	KV_COUNT_ERRORS,
	KV_COUNT_CHANGES, /* since the last SAVE */
	KV_COUNTER_COUNT
};
void kv_count(enum kv_counter counter);
uint64_t kv_counter(enum kv_counter counter);

/* ---- settings that CONFIG SET changes: in the arena, under the log; what the
 * ini says is the value at a cold start ---- */

enum kv_policy { /* in the order of redis's messages */
	KV_VOLATILE_LRU,
	KV_VOLATILE_LFU,
	KV_VOLATILE_RANDOM,
	KV_VOLATILE_TTL,
	KV_ALLKEYS_LRU,
	KV_ALLKEYS_LFU,
	KV_ALLKEYS_RANDOM,
	KV_NOEVICTION,
	KV_POLICY_COUNT
};

struct kv_settings {
	uint64_t maxmemory_bytes;   /* 0: arena.max */
	uint64_t maxmemory_policy;  /* enum kv_policy */
	uint64_t maxmemory_samples; /* 5 */
	uint64_t lfu_log_factor;    /* 10 */
	uint64_t lfu_decay_minutes; /* 1 */
	uint64_t notify_events;	    /* bits of pubsub's own; 0: none */
	int64_t slowlog_us;	    /* -1: none */
	uint64_t slowlog_max_len;   /* 128 */
	uint64_t latency_ms;	    /* 0: off */
	uint64_t hash_entries, hash_bytes;
	uint64_t zset_entries, zset_bytes;
	uint64_t set_ints;
	int64_t list_size; /* as redis's list-max-listpack-size: -2 is 8 KiB */
	uint64_t string_bytes_max; /* proto-max-bulk-len */
};
extern struct kv_settings *kv_settings; /* in the root */
/* The containers' limits are the process's own: set them from the settings; in
 * `start`, and when one changes. */
void kv_settings_apply(void);

/* ---- around each command (stats.c) ---- */

/* Take down calls, time, SLOWLOG and LATENCY of a command that took so long.
 * failed  whether rf_resp_errors() has grown since it began */
void kv_stats_add(struct kv_call *call, uint64_t us, bool failed);
/* It was refused before it ran: unknown (no call->command), not allowed. */
void kv_stats_reject(const struct kv_call *call);
/* CONFIG RESETSTAT. */
void kv_stats_reset(void);

/* Make the parts of the root that the server's records need, if they are not
 * there yet; to be called in every `build`. Sets kv_settings. */
void kv_server_create(void);
/* The settings of new state: what the ini says. */
void kv_settings_create(void);

#endif
