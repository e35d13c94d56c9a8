/* SPDX-License-Identifier: MIT */
/* network.h -- what the parts of the network child share.
 *
 *   listen.c    accepts connections
 *   conn.c      the life of a connection, from open to its last message
 *   inbound.c   socket -> codec -> request ring
 *   lane.c      this side of the request ring
 *   outbound.c  reply ring -> output of each connection
 *   output.c    that -> socket
 *   sock.c      the system calls that move a connection's bytes
 *   front.c     memory that outlives this process: all that is true of a
 *               connection stands there, at every instant
 *   resume.c    going on with what a dead predecessor left there
 *   vault.c     how its descriptors come to be left as well
 *   ferry.c     how they come to be left to another daemon
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
#include "front.h"
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
#define CONN_SLOT_MAX (UINT32_C(1) << RF_CONN_SLOT_BITS)

enum conn_state {
	CONN_FREE,	/* the slot is nobody's */
	CONN_OPENING,	/* RF_MSG_OPEN not pushed yet */
	CONN_SERVING,	/* requests are read */
	CONN_FINISHING, /* replies are still sent, nothing is read */
	CONN_LINGERING, /* nothing is sent, what is read is thrown away */
	CONN_CLOSED,	/* no socket; RF_MSG_CLOSE not pushed yet */
	CONN_STATE_COUNT
};

enum conn_flag {	       /* what this process knows of it */
	CONN_AWAITS_ROOM = 1,  /* on net->room_waiters */
	CONN_AWAITS_LARGE = 2, /* on net->large_waiters */
	CONN_AWAITS_DRAIN = 4, /* back-pressure: too much unsent, unanswered */
	CONN_DIRTY = 8,	       /* on net->dirty */
	CONN_BLOCKED = 16,     /* the socket takes no more output now */
};
#define CONN_AWAITS (CONN_AWAITS_ROOM | CONN_AWAITS_LARGE | CONN_AWAITS_DRAIN)

enum conn_mark {	   /* what outlives this process */
	CONN_KNOWN = 1,	   /* RF_MSG_OPEN was pushed, RF_MSG_CLOSE not yet */
	CONN_LINGERS = 2,  /* to be drained of input before it is closed */
	CONN_OFFENDED = 4, /* one of its requests was a killer */
	CONN_PATIENT = 8,  /* client_idle_timeout does not count */
};

/* Input that did not end with a whole request, or has to wait. */
struct inbox {
	struct buffer *buf;
	/* In a run, not committed yet: */
	size_t done;	 /* bytes used up; `req` begins behind them */
	uint32_t pushed; /* requests */
	struct codec_request req;
	struct inbox *next_free;
};

struct conn {		     /* in the front segment */
	uint64_t id;	     /* serial << RF_CONN_SLOT_BITS | slot */
	uint64_t state;	     /* enum conn_state */
	uint64_t marks;	     /* enum conn_mark */
	uint64_t unanswered; /* requests pushed whose reply has not come */
	uint64_t received;   /* bytes, so far */
	uint64_t sent;
	int32_t fd;
	uint16_t listener;
	bool is_tcp;
	struct buffer in;     /* of `inbox` */
	struct buffer out;    /* not sent yet */
	uint64_t owed;	      /* address of an error text that is to be told
				 after the last reply; 0: none */
	uint64_t cookie;      /* the kernel's name of its socket; ferry.c */
	int64_t active_at_ms; /* coarse: net->now_ms */

	/* From here on it is this process's own. */
	uint8_t flags;	     /* enum conn_flag */
	uint8_t wanted;	     /* enum loop_want, as the loop knows it */
	struct inbox *inbox; /* NULL most of the time */
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
	struct front *front;
	struct store store;
	int64_t now_ms; /* monotonic, as of the last tick */

	/* conn.c */
	struct conn *conns; /* all slots */
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

	/* lane.c: producer of the request ring */
	uint64_t request_shown; /* public head */
	uint64_t request_at;	/* behind all messages, committed or not */
	size_t request_room;	/* known to be free behind request_at */
	uint64_t large_until;	/* the large area is free once tail is here */
	bool large_untrimmed;
	bool resuming; /* those who waited for room go on */
	struct conn_list room_waiters;
	struct conn_list large_waiters;
	struct inbox shared; /* of front->reader; empty in between */

	/* outbound.c: consumer of the reply ring */
	uint64_t reply_freed; /* public tail */
	uint64_t unowed;      /* the text of an error that is no longer owed */

	/* output.c */
	struct conn_list dirty; /* have output, and may take it */
	uint32_t dirty_count;

	/* network_main.c */
	int64_t progress_at_ms;	    /* a reply came, or none was awaited */
	uint64_t progress_reply_at; /* reply_at at that time */
	int64_t drain_until_ms;	    /* 0: not draining */
	uint64_t conf_serial;	    /* of the supervisor, as last acted upon */
};

/* ---- conn.c ---- */
void conn_table_init(struct net *net);
/* Take over a connected socket; -ENOSPC when there is no slot. */
int conn_open(struct net *net, int fd, int listener);
/* Go on with a slot that a predecessor left; see resume.c. */
void conn_resume(struct net *net, struct conn *conn);
/* Its business is known: from now on requests are read. */
void conn_serve(struct net *net, struct conn *conn);
/* Read no more; close once everything unanswered is answered and sent. */
void conn_finish(struct net *net, struct conn *conn);
/* Stage that this error is told after the last reply. 0 or -ENOMEM. */
int conn_owe(struct net *net, struct conn *conn, const char *text);
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

/* ---- sock.c ---- */
bool sock_is_tcp(int fd);
/* Read behind the end of `into`. Bytes, 0 at the end of the stream, -1. */
ssize_t sock_receive(struct net *net, struct conn *conn, struct buffer *into,
	size_t bytes_max);
/* Offer the socket what is buffered, then `count` bytes of the message at
 * reply_at. Notes what it took: in conn->out, the rest in front->reply_sent.
 * Returns the number of bytes; 0: it takes none now; -1: it is broken. */
ssize_t sock_send(
	struct net *net, struct conn *conn, const void *bytes, size_t count);
/* Say that, once, and close. */
void sock_refuse(struct net *net, int fd, void *text, size_t count);
/* A successor: note what the last call did. Returns the descriptor of one that
 * was being refused, -1: none. */
int sock_redo(struct front *front);

/* ---- resume.c ---- */
/* Before anything is opened: take over what a predecessor left, or make it all
 * anew. 0 or -errno. */
int resume_begin(struct net *net);
/* Once all parts are ready: let the connections go on. */
void resume_connections(struct net *net);
/* Nothing is left to do of what the predecessor left: this was no trap. */
void resume_end(struct net *net);

/* ---- listen.c ---- */
int listen_init(struct net *net);
/* A connected socket: it becomes a connection, or is told why not. */
void listen_admit(struct net *net, int fd, int listener);
/* The listener that this socket came in by, or the first. */
int listen_find(const struct net *net, int fd);
void listen_pause(struct net *net);
void listen_resume(struct net *net);
void listen_on_ready(struct net *net, int listener);

/* ---- lane.c ---- */
void lane_init(struct net *net);
/* Nobody passes those who wait already. */
bool lane_is_next(const struct net *net, const struct conn_list *waiters);
/* Room for a message with that payload in the ring, or NULL. */
struct rf_msg *lane_room(struct net *net, size_t payload_bytes);
/* The payload stands behind lane_room()'s head, or in the large area: write the
 * head. The message is pushed by the next lane_commit(). */
void lane_push(struct net *net, struct rf_msg *msg, enum rf_msg_type type,
	enum rf_msg_flag flags, uint64_t conn_id, size_t payload_bytes);
/* The same for a message that is only text. False: no room. */
bool lane_notice(
	struct net *net, enum rf_msg_type type, uint64_t id, const char *text);
/* What was pushed counts now, with all that is staged in front->journal. */
void lane_commit(struct net *net);
/* Busy from the push of its message until the public tail has passed it. */
bool lane_large_is_busy(struct net *net);
/* Give back what the last large request needed, if it is done. */
void lane_trim(struct net *net);
/* Show what was pushed; ring the bell once. */
void lane_publish(struct net *net);
/* False: who waits for room has it now; resume instead of sleeping. */
bool lane_may_sleep(struct net *net);

/* ---- inbound.c ---- */
/* What was read into the shared inbox is used up. */
void inbound_forget_reader(struct front *front);
void inbound_init(struct net *net);
/* What the configuration says may have changed. */
void inbound_configure(struct net *net);
void inbound_on_readable(struct net *net, struct conn *conn);
/* Push what the connection has to say next: OPEN, requests, or CLOSE. */
void inbound_continue(struct net *net, struct conn *conn);
/* Nothing is awaited of the business side any more: say so before the output
 * is sent, or the input thrown away, if there is room. What it parked for the
 * connection would be run for nobody. */
void inbound_part(struct net *net, struct conn *conn);
/* The ring may have room again: let those go on who wait for it. */
void inbound_resume(struct net *net);

/* ---- outbound.c ---- */
void outbound_init(struct net *net);
/* Take replies off the ring, at most about a ring full. Ends the process when
 * the ring holds something else. */
void outbound_drain(struct net *net);
/* Announce the sleep. False: there are more replies. */
bool outbound_may_sleep(struct net *net);
void outbound_wake(struct net *net);

/* ---- output.c ---- */
/* Payloads from here on are offered to the socket before they are copied. */
#define OUTPUT_DIRECT_BYTES ((size_t)16 << 10)
void output_init(struct net *net);
/* Bytes for the socket, sent at the end of the round. They count in one commit
 * with what is staged in front->journal. May close. */
void output_put(
	struct net *net, struct conn *conn, const void *bytes, size_t count);
/* The same, and nothing of it is sent before. */
void output_keep(
	struct net *net, struct conn *conn, const void *bytes, size_t count);
/* Error text, in the codec's form. May close. */
void output_put_error(
	struct net *net, struct conn *conn, const void *text, size_t count);
/* Of a connection whose predecessor left output. May close. */
void output_resume(struct net *net, struct conn *conn);
/* Its end is near, or it waits for its output to be sent. */
bool output_may_settle(const struct conn *conn);
void output_on_writable(struct net *net, struct conn *conn);
/* Send what was put. */
void output_flush(struct net *net);
/* The same, once many connections have something to send. Nothing is staged
 * then. */
void output_relieve(struct net *net);
/* Nothing is to be sent for it at the end of the round. */
void output_forget(struct net *net, struct conn *conn);

/* ---- network_main.c, called by the loop ---- */
/* The end of a round: show requests, take replies, send. */
void network_hand_over(struct net *net);
void network_on_tick(struct net *net);
void network_on_terminate(struct net *net);

#endif
