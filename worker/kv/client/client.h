/* SPDX-License-Identifier: MIT */
/* client.h -- what the worker knows of a connection.
 *
 * The words every command needs stand in the connection's record itself; a
 * block is made for the first thing beyond (a name, MULTI, WATCH,
 * subscriptions, blocking).
 */
#ifndef KV_CLIENT_H
#define KV_CLIENT_H

#include "worker/kv/keys/keys.h"

/* rf_conn.user[] */
enum kv_conn_field {
	KV_CONN_STATE,	/* see below */
	KV_CONN_CLIENT, /* struct kv_client *, or NULL */
	KV_CONN_LAST,	/* of CLIENT LIST; written without the log */
	KV_CONN_FIELD_COUNT
};

/* KV_CONN_STATE: flags, RESP version, database. Zero at open: RESP 2, 0. */
#define KV_STATE_RESP3 (UINT64_C(1) << 0)
/* Those below make a request take the long way (kv_gate). */
#define KV_STATE_MULTI	    (UINT64_C(1) << 1)
#define KV_STATE_SUBSCRIBED (UINT64_C(1) << 2)
#define KV_STATE_REPLY_OFF  (UINT64_C(1) << 3)
#define KV_STATE_REPLY_SKIP (UINT64_C(1) << 4)
#define KV_STATE_AUTH	    (UINT64_C(1) << 5) /* has given the password */
#define KV_STATE_BAD	    (UINT64_C(1) << 6) /* EXEC is to fail: an error */
#define KV_STATE_TOUCHED    (UINT64_C(1) << 7) /* ... a watched key changed */
#define KV_STATE_PAUSED	    (UINT64_C(1) << 8) /* parked until UNPAUSE */
#define KV_STATE_BLOCKED    (UINT64_C(1) << 9) /* parked until a key changes */
#define KV_STATE_NO_EVICT   (UINT64_C(1) << 10)
#define KV_STATE_DB_SHIFT   32

/* KV_CONN_LAST: Unix ms of the last request, and its command: what
 * kv_table_index says. */
#define KV_LAST_SHIFT 16

static inline uint64_t kv_state(const struct rf_conn *conn)
{
	return conn->user[KV_CONN_STATE];
}
static inline int kv_state_proto(uint64_t state)
{
	return state & KV_STATE_RESP3 ? 3 : 2;
}
static inline uint32_t kv_state_db(uint64_t state)
{
	return (uint32_t)(state >> KV_STATE_DB_SHIFT);
}

/* The whole way of a request: password, MULTI, subscriptions, pause, memory,
 * then kv_run. */
void kv_dispatch(struct kv_call *call);

/* ---- blocking (block.c) ---- */

/* Nothing to pop: wait until one of these keys, of that kind, has something,
 * at most as long as argument `timeout_index` says (seconds, 0: for ever).
 * Replies the error of a bad timeout; in an EXEC, the reply of a timeout.
 * The command is run again, whole, when a key has changed: it must look at its
 * keys first, pop if there is something, and only else call this. */
void kv_block(struct kv_call *call, const struct rf_bytes *keys, uint32_t count,
	enum kv_kind kind, uint32_t timeout_index);
/* Check the timeout argument first, as redis does. false: error replied. */
bool kv_arg_timeout(struct kv_call *call, uint32_t index, int64_t *until_ms);

/* kv_changed() asks these. */
void kv_watch_touch(struct kv_call *call, struct rf_bytes key);
void kv_block_wake(struct kv_call *call, struct rf_bytes key);
void kv_notify(struct kv_call *call, struct rf_bytes key, enum kv_class class,
	const char *event);

/* Call this before a database is flushed (`with` NULL), or gets the keys of
 * `with`: for SWAPDB once for each of the two. Fails the transactions that
 * WATCH a key that changes; wakes who waits for one that is there then. */
void kv_watch_touch_all(
	struct kv_call *call, struct kv_keys *keys, struct kv_keys *with);

/* While CLIENT PAUSE holds writes back, what has expired is gone to all who
 * look and yet not removed. */
bool kv_pause_keeps(const struct kv_call *call);

/* ---- for INFO ---- */

enum kv_channel_kind {
	KV_CHANNEL,
	KV_PATTERN,
	KV_SHARD,
	KV_CHANNEL_KIND_COUNT
};
/* How many have subscribers. */
uint64_t kv_channel_count(enum kv_channel_kind kind);
/* Connections that wait for a key or for the end of a pause. */
uint64_t kv_blocked_count(void);

/* ---- settings ---- */

/* notify-keyspace-events: "KEA" and the like. false: a letter means nothing. */
bool kv_notify_parse(struct rf_bytes text, uint64_t *events);
#define KV_NOTIFY_TEXT_MAX 24
void kv_notify_print(uint64_t events, char text[KV_NOTIFY_TEXT_MAX]);

/* requirepass. What it is set to stands in the arena from then on; until then
 * it is the first line of kv.requirepass_file. Empty: none. */
void kv_auth_set_password(struct rf_bytes password);
struct rf_bytes kv_auth_password(void);

/* ---- the worker's hooks ---- */

/* Find or create what stands in the arena; in `build`. 0 or -errno. */
int kv_client_build(void);
/* Read the password file; in `build`. 0 or -errno. */
int kv_auth_build(void);
/* In `start`. */
void kv_auth_start(void);

/* Last in a tick: timeouts, the end of a pause. When it wants to run again,
 * Unix ms. */
int64_t kv_client_tick(struct kv_call *call);
/* The connection has ended. */
void kv_client_closed(struct rf_conn *conn);
/* The request has killed or could not commit, and is skipped. */
void kv_client_skipped(const struct rf_request *req);
/* The request is released from quarantine: have its connection ready for it.
 * false: it cannot run without its own; the error has been replied. */
bool kv_client_released(const struct rf_request *req, struct rf_reply *reply);

#endif
