/* SPDX-License-Identifier: MIT */
/* network.h -- what the parts of the network child share.
 *
 *   listen.c    accepts connections
 *   conn.c      the life of a connection, from open to its last message
 *   inbound.c   socket -> codec -> request ring
 *   outbound.c  reply ring -> socket
 *   loop.c      libev: turns readiness into calls of the on_ functions
 *   network_main.c  start, the rounds, the clock, the end
 *
 * One process, one thread: nothing here is locked.
 */
#ifndef NETWORK_NETWORK_H
#define NETWORK_NETWORK_H

#include "buffer.h"
#include "child.h"
#include "codec.h"
#include "conf/conf.h"
#include <sys/queue.h>

/* Unsent output at which a connection is no longer read, and back again. */
#define CONN_UNSENT_HIGH_BYTES ((size_t)1 << 20)
#define CONN_UNSENT_LOW_BYTES  (CONN_UNSENT_HIGH_BYTES / 2)
/* The same for requests whose reply has not come yet. */
#define CONN_UNANSWERED_HIGH 1024
#define CONN_UNANSWERED_LOW  (CONN_UNANSWERED_HIGH / 2)

/* How long a client may go on sending after it was told of its error. */
#define CONN_LINGER_MS 2000

#define CONN_PEER_MAX 64

enum conn_state {
	CONN_FREE,	/* the slot is nobody's */
	CONN_OPENING,	/* RF_MSG_OPEN not pushed yet */
	CONN_SERVING,	/* requests are read */
	CONN_FINISHING, /* replies are still sent, nothing is read */
	CONN_LINGERING, /* nothing is sent, what is read is thrown away */
	CONN_CLOSED,	/* no socket; RF_MSG_CLOSE not pushed yet */
	CONN_STATE_COUNT
};

enum conn_flag {
	CONN_AWAITS_ROOM = 1,  /* on net->room_waiters */
	CONN_AWAITS_LARGE = 2, /* on net->large_waiters */
	CONN_AWAITS_DRAIN = 4, /* back-pressure: too much unsent, unanswered */
	CONN_OWES_ERROR = 8,   /* inbox->req.error, after the last reply */
	CONN_DIRTY = 16,       /* on net->dirty */
	CONN_BLOCKED = 32,     /* the socket takes no more output now */
	CONN_LINGERS = 64,     /* to be drained of input before it is closed */
};
#define CONN_AWAITS (CONN_AWAITS_ROOM | CONN_AWAITS_LARGE | CONN_AWAITS_DRAIN)

/* Input that did not end with a whole request, or has to wait. */
struct inbox {
	struct buffer buf; /* from the first byte of `req` on */
	struct codec_request req;
	struct inbox *next_free;
};

struct conn {
	uint64_t id; /* serial << RF_CONN_SLOT_BITS | slot */
	int fd;
	uint8_t state;	/* enum conn_state */
	uint8_t flags;	/* enum conn_flag */
	uint8_t wanted; /* enum loop_want, as the loop knows it */
	uint16_t listener;
	uint32_t unanswered;  /* requests pushed whose reply has not come */
	struct inbox *inbox;  /* NULL most of the time */
	struct buffer out;    /* not sent yet */
	int64_t active_at_ms; /* coarse: net->now_ms */
	TAILQ_ENTRY(conn) waiting;
	TAILQ_ENTRY(conn) dirty;
};
TAILQ_HEAD(conn_list, conn);

struct net {
	const struct rf_child *self;
	const struct conf *conf;
	struct rf_channel *channel;
	struct rf_status_network *status;
	const struct codec *codec;
	struct codec_limits limits;
	struct loop *loop;
	struct buffer_pool pool;
	int64_t now_ms; /* monotonic, as of the last tick */

	/* conn.c */
	struct conn *conns;  /* all slots */
	uint32_t slot_count; /* of them */
	uint32_t slot_fresh; /* this and later ones were never used */
	struct conn_list free_slots;
	uint32_t open_count; /* connections with a socket */
	uint64_t unanswered; /* sum over all connections */
	uint32_t lingering_count;
	struct inbox *free_inboxes;
	uint32_t free_inbox_count;

	/* listen.c */
	bool accept_paused;    /* for want of descriptors or memory */
	bool accept_trouble;   /* logged; until a tick finds it over */
	uint64_t refused_told; /* refusals logged so far */

	/* inbound.c: producer of the request ring */
	uint64_t request_at;	/* private head */
	uint64_t request_shown; /* public head */
	size_t request_room;	/* known to be free behind request_at */
	uint64_t large_until;	/* the large area is free once tail is here */
	bool large_untrimmed;
	bool owes_reset; /* RF_MSG_RESET is to be pushed before all else */
	bool resuming;
	struct conn_list room_waiters;
	struct conn_list large_waiters;
	struct inbox shared; /* of whoever is being read; empty in between */

	/* outbound.c: consumer of the reply ring */
	uint64_t reply_at;    /* private tail */
	uint64_t reply_freed; /* public tail */
	struct conn_list dirty;

	/* network_main.c */
	int64_t progress_at_ms;	    /* a reply came, or none was awaited */
	uint64_t progress_reply_at; /* reply_at at that time */
	int64_t drain_until_ms;	    /* 0: not draining */
};

/* ---- conn.c ---- */
int conn_table_init(struct net *net);
/* Take over a connected socket; -ENOSPC when there is no slot. */
int conn_open(struct net *net, int fd, int listener);
/* Its business is known: from now on requests are read. */
void conn_serve(struct net *net, struct conn *conn);
/* Read no more; close once everything unanswered is answered and sent. */
void conn_finish(struct net *net, struct conn *conn);
/* The same because the stream makes no sense: the error is owed. */
void conn_break(struct net *net, struct conn *conn);
/* The same, but what is still unanswered stays so. */
void conn_last_word(struct net *net, struct conn *conn);
/* Close the socket now. The slot is free once RF_MSG_CLOSE has been pushed. */
void conn_close(struct net *net, struct conn *conn);
void conn_free(struct net *net, struct conn *conn);
/* The connection of that id, with an open socket; or NULL. */
struct conn *conn_find(struct net *net, uint64_t id);
bool conn_is_open(const struct conn *conn);
/* Something that a connection waited for may have happened: go on. */
void conn_settle(struct net *net, struct conn *conn);
/* Tell the loop what readiness is of interest now. */
void conn_rearm(struct net *net, struct conn *conn);
void conn_await(struct net *net, struct conn *conn, enum conn_flag what);
void conn_stop_awaiting(struct net *net, struct conn *conn);
void conn_peer(const struct net *net, const struct conn *conn,
	char peer[CONN_PEER_MAX]);
/* Each connection with an open socket. `visit` may close it. */
void conn_each(struct net *net, void (*visit)(struct net *, struct conn *));

struct inbox *inbox_take(struct net *net);
void inbox_give(struct net *net, struct inbox *in);

/* ---- listen.c ---- */
int listen_init(struct net *net);
void listen_pause(struct net *net);
void listen_resume(struct net *net);
void listen_on_ready(struct net *net, int listener);

/* ---- inbound.c ---- */
int inbound_init(struct net *net);
void inbound_on_readable(struct net *net, struct conn *conn);
/* Push what the connection has to say next: OPEN, requests, or CLOSE. */
void inbound_continue(struct net *net, struct conn *conn);
/* The ring may have room again: let those go on who wait for it. */
void inbound_resume(struct net *net);
/* Give back what the last large request needed, if it is done. */
void inbound_trim(struct net *net);
/* Show what was pushed; ring the bell once. */
void inbound_publish(struct net *net);
/* False: who waits for room has it now; resume instead of sleeping. */
bool inbound_may_sleep(struct net *net);

/* ---- outbound.c ---- */
void outbound_init(struct net *net);
/* Take replies off the ring, at most about a ring full. Ends the process when
 * the ring holds something else. */
void outbound_drain(struct net *net);
/* Bytes for the socket, sent at the end of the round. May close. */
void outbound_put(
	struct net *net, struct conn *conn, const void *bytes, size_t count);
/* Error text, in the codec's form. May close. */
void outbound_put_error(
	struct net *net, struct conn *conn, const void *text, size_t count);
void outbound_on_writable(struct net *net, struct conn *conn);
/* Send what outbound_put left. */
void outbound_flush(struct net *net);
/* Announce the sleep. False: there are more replies. */
bool outbound_may_sleep(struct net *net);
void outbound_wake(struct net *net);

/* ---- network_main.c, called by the loop ---- */
void network_on_tick(struct net *net);
void network_on_terminate(struct net *net);

#endif
