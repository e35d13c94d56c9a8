/* SPDX-License-Identifier: MIT */
/* clients.h -- what this room keeps in the arena.
 *
 *   rf_conn.user[] -> kv_client -> queue of MULTI
 *                               -> kv_watch  -> kv_spot
 *                               -> kv_wait   -> kv_spot
 *                               -> kv_sub    -> kv_channel
 *
 * A spot is a key, there or not, that somebody watches or waits for. Nodes
 * hang in two lists, their client's and their spot's (channel's), so that
 * either end finds the other; a spot or a channel lives as long as its nodes.
 */
#ifndef KV_CLIENTS_H
#define KV_CLIENTS_H

#include "worker/kv/client/client.h"

/* One command of a MULTI, in one block with its arguments. */
struct kv_queued {
	struct kv_queued *next;
	uint64_t argc;
	struct rf_bytes argv[];
};

struct kv_watch {
	struct kv_spot *spot;
	struct kv_client *client;
	struct kv_watch *next, **link; /* of the spot; what points here */
	struct kv_watch *more;	       /* of the client */
	uint64_t was_expired; /* when it was watched; and is still there */
};

struct kv_wait {
	struct kv_spot *spot;
	struct kv_client *client;
	struct kv_wait *next, *prev; /* of the spot: first come, first served */
	struct kv_wait *more;	     /* of the client */
};

struct kv_spot {
	struct rf_dict_entry *entry; /* of clients->spots: database and key */
	struct kv_watch *watches;
	struct kv_wait *first, *last;
	struct kv_spot *next_ready; /* in the list of those that changed */
	uint64_t is_ready;
};

struct kv_channel {
	struct rf_dict_entry *entry; /* of clients->channels[kind] */
	struct kv_sub *first, *last;
	uint64_t count;
};

struct kv_sub { /* a word of client->subs[kind] */
	struct kv_channel *channel;
	struct kv_client *client;
	struct kv_sub *next, *prev; /* of the channel */
};

enum kv_client_text {
	CLIENT_NAME,
	CLIENT_LIB_NAME,
	CLIENT_LIB_VER,
	TEXT_COUNT
};

/* How waiting ends when not by a key. */
enum kv_wait_end { WAIT_GOES_ON, WAIT_TIMED_OUT, WAIT_UNBLOCKED };

struct kv_client {
	struct rf_conn *conn;
	char *texts[TEXT_COUNT]; /* each a block that ends with a zero; NULL */

	struct kv_queued *queue, *queue_last;
	uint64_t queue_count;
	uint64_t queue_flags; /* of all queued commands together */
	uint64_t queue_bytes;
	struct kv_watch *watches;

	struct rf_dict subs[KV_CHANNEL_KIND_COUNT];

	struct kv_wait *waits;
	struct rf_timer timeout;
	uint32_t wait_kind;  /* enum kv_kind */
	uint32_t wait_end;   /* enum kv_wait_end */
	uint32_t wait_first; /* the keys among the arguments; 0: not there */
	uint32_t wait_count;
	struct kv_spot *wait_spot; /* whose change ended it; NULL */
};

enum kv_pause { PAUSE_NONE, PAUSE_WRITE, PAUSE_ALL };

/* The root, in the slot "kv_clients". */
struct kv_clients {
	uint64_t pause; /* enum kv_pause */
	int64_t pause_until_ms;
	struct kv_spot *ready, *ready_last;
	uint64_t watch_count, wait_count;     /* nodes */
	uint64_t blocked_count, paused_count; /* clients */
	struct rf_dict spots;
	struct rf_timers timeouts;
	struct rf_dict channels[KV_CHANNEL_KIND_COUNT];
	uint64_t password_is_set; /* else it is that of the file */
	uint64_t password_bytes;
	char *password;
};
extern struct kv_clients *kv_clients;

static inline struct kv_client *kv_client_of(const struct rf_conn *conn)
{
	return (struct kv_client *)conn->user[KV_CONN_CLIENT];
}
/* The block of a connection, made on first need. NULL: there is no memory, -OOM
 * has been replied and the transaction goes on. */
struct kv_client *kv_client_need(struct kv_call *call);

static inline void kv_state_set(struct rf_conn *conn, uint64_t state)
{
	if (kv_state(conn) != state)
		RF_SET(conn->user[KV_CONN_STATE], state);
}
static inline void kv_state_add(struct rf_conn *conn, uint64_t flags)
{
	kv_state_set(conn, kv_state(conn) | flags);
}
static inline void kv_state_drop(struct rf_conn *conn, uint64_t flags)
{
	kv_state_set(conn, kv_state(conn) & ~flags);
}
/* Database, its keys and RESP version, as the connection has them now. */
void kv_call_bind(struct kv_call *call);

#define KV_ERR_OOM "OOM command not allowed when used memory > 'maxmemory'."

/* What a handler left to do at the end of its request; private. */
struct kv_leftover {
	bool any;
	bool parked; /* the request waits: there is no reply */
	bool silent; /* the one before was CLIENT REPLY SKIP */
	bool told;   /* the reply is pushes: CLIENT REPLY lets them through */
	char *own;   /* pushes to the connection itself, before its reply */
	size_t own_bytes, own_room;
};
extern struct kv_leftover kv_leftover;
/* Park the request. */
void kv_park(struct kv_call *call);

/* ---- auth.c ---- */

extern bool kv_auth_has_password; /* or may have */
/* Whether the user and the password are right. */
bool kv_auth_check(struct rf_bytes user, struct rf_bytes password);
#define KV_ERR_WRONGPASS                                                       \
	"WRONGPASS invalid username-password pair or user is disabled."

/* ---- multi.c ---- */

/* Queue the call's command. */
void kv_multi_queue(struct kv_call *call);
/* MULTI and WATCH are as if they had not been. */
void kv_multi_discard(struct rf_conn *conn);

/* ---- watch.c ---- */

void kv_unwatch(struct kv_client *client);
/* Whether a watched key has expired since. */
bool kv_watch_expired(struct kv_client *client, int64_t now_ms);

/* ---- spot.c ---- */

/* NULL: nobody watches it or waits for it. */
struct kv_spot *kv_spot_find(uint32_t db, struct rf_bytes key);
/* NULL: no memory; the transaction can only be aborted. */
struct kv_spot *kv_spot_make(uint32_t db, struct rf_bytes key);
void kv_spot_drop_if_idle(struct kv_spot *spot);
static inline uint32_t kv_spot_db(const struct kv_spot *spot)
{
	uint32_t db;

	memcpy(&db, spot->entry->key, sizeof db);
	return db;
}
static inline struct rf_bytes kv_spot_key(const struct kv_spot *spot)
{
	return (struct rf_bytes){spot->entry->key + sizeof(uint32_t),
		spot->entry->key_bytes - sizeof(uint32_t)};
}

/* ---- block.c ---- */

/* Run a blocked request again, or end it. */
void kv_block_again(struct kv_call *call);
/* Resume whoever a change of this request serves. */
void kv_block_serve(void);
void kv_block_ready(struct kv_spot *spot);
/* The client does not wait any more. */
void kv_block_end(struct kv_client *client);
/* End the wait of a client by CLIENT UNBLOCK. false: it does not wait. */
bool kv_block_unblock(struct kv_client *client, enum kv_wait_end how);
void kv_block_tick(int64_t now_ms);

/* ---- pause.c ---- */

/* Park the request until the pause ends. */
void kv_pause_wait(struct kv_call *call);
/* Its request is run, or it has ended. */
void kv_pause_end(struct rf_conn *conn);
bool kv_pause_holds(const struct kv_call *call);
void kv_pause_tick(int64_t now_ms);

/* ---- pubsub.c ---- */

void kv_unsubscribe_all(struct kv_client *client);
uint64_t kv_sub_count(const struct kv_client *client);

/* ---- publish.c ---- */

/* How many got it. */
uint64_t kv_publish(struct kv_call *call, enum kv_channel_kind kind,
	struct rf_bytes channel, struct rf_bytes message);

/* ---- who.c ---- */

/* Give the client that text. An empty one is none. false: the error has been
 * replied. */
bool kv_client_set_text(struct kv_call *call, enum kv_client_text which,
	const char *what, struct rf_bytes text);

#endif
