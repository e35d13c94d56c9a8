/* SPDX-License-Identifier: MIT */
/* outbound.c -- from the reply ring to the sockets.
 *
 * The idea. Replies are copied out of the ring, so that its room is free again
 * at once, and gathered per connection; at the end of the round each socket is
 * written once. Only a socket that takes no more is polled for writing.
 *
 * Rules, and the function that keeps each:
 *   O1  a slow reader costs memory, up to client_output_limit, never time: the
 *       ring is drained whatever the sockets do      outbound_drain()
 *   O2  what the business side wrote is input: a message that is none ends
 *       this process, and both children start anew   payload_of()
 *   O3  a reply is taken, and stands behind the output of its connection, in
 *       one commit                                   take(), keep()
 *   O4  a reply without a connection is dropped, one that answers nothing ends
 *       the connection: its stream could not be trusted
 *                                                    find_asker()
 */
#include "network.h"
#include <errno.h>
#include <inttypes.h>
#include <refork/log.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* Payloads from here on are offered to the socket before they are copied. */
#define DIRECT_BYTES ((size_t)16 << 10)
/* Ring bytes consumed before the producer hears of it. */
#define RELEASE_BYTES (RF_RING_BYTES / 4)

static struct rf_ring *ring_of(struct net *net)
{
	return &net->channel->reply.ring;
}

/* ---- sockets ---- */

static void set_blocked(struct net *net, struct conn *conn, bool blocked)
{
	if (blocked)
		conn->flags |= CONN_BLOCKED;
	else
		conn->flags &= (uint8_t)~CONN_BLOCKED;
	conn_rearm(net, conn);
}

static void send_buffered(struct net *net, struct conn *conn)
{
	if (sock_send(net, conn, NULL, 0) < 0)
		conn_close(net, conn);
	else
		set_blocked(net, conn, buffer_used(&conn->out) != 0);
}

static bool may_settle(const struct conn *conn)
{
	return conn->state == CONN_FINISHING || conn->owed ||
	       (conn->flags & CONN_AWAITS_DRAIN);
}

void outbound_on_writable(struct net *net, struct conn *conn)
{
	send_buffered(net, conn);
	if (may_settle(conn))
		conn_settle(net, conn);
}

void outbound_flush(struct net *net)
{
	struct conn *conn;

	while ((conn = TAILQ_FIRST(&net->dirty))) {
		TAILQ_REMOVE(&net->dirty, conn, dirty);
		conn->flags &= (uint8_t)~CONN_DIRTY;
		outbound_on_writable(net, conn);
	}
}

/* ---- output of one connection ---- */

static void close_for_limit(struct net *net, struct conn *conn, size_t bytes)
{
	char peer[CONN_PEER_MAX];

	conn_peer(net, conn, peer);
	rf_log(RF_LOG_WARNING,
		"connection %s: %zu bytes unsent, client_output_limit is "
		"%" PRIu64 "; closed",
		peer, bytes, net->conf->network.client_output_limit_bytes);
	rf_status_add(net->status->closed_output_limit, 1);
	conn_close(net, conn);
}

static void close_for_memory(struct net *net, struct conn *conn)
{
	char peer[CONN_PEER_MAX];

	conn_peer(net, conn, peer);
	rf_log(RF_LOG_ERROR, "connection %s: no memory for its output; closed",
		peer);
	conn_close(net, conn);
}

static void mark_dirty(struct net *net, struct conn *conn)
{
	if (conn->flags & (CONN_DIRTY | CONN_BLOCKED))
		return;
	conn->flags |= CONN_DIRTY;
	TAILQ_INSERT_TAIL(&net->dirty, conn, dirty);
}

static void press_back(struct net *net, struct conn *conn)
{
	if (buffer_used(&conn->out) <= CONN_UNSENT_HIGH_BYTES ||
		conn->state != CONN_SERVING || (conn->flags & CONN_AWAITS))
		return;
	conn_await(net, conn, CONN_AWAITS_DRAIN);
	conn_rearm(net, conn);
}

/* Behind the output, where nobody looks; then it counts. */
static void keep(
	struct net *net, struct conn *conn, const void *bytes, size_t count)
{
	struct journal *journal = &net->front->journal;
	size_t unsent = buffer_used(&conn->out) + count;

	if (unsent > net->conf->network.client_output_limit_bytes) {
		close_for_limit(net, conn, unsent);
		return;
	}
	if (buffer_reserve(&net->store, &conn->out, count)) {
		close_for_memory(net, conn);
		return;
	}
	memcpy(conn->out.bytes + conn->out.end, bytes, count);
	journal_set(journal, &conn->out.end, conn->out.end + count);
	journal_commit(journal);
	mark_dirty(net, conn);
	press_back(net, conn);
}

void outbound_resume(struct net *net, struct conn *conn)
{
	if (!buffer_used(&conn->out)) {
		buffer_release(&net->store, &conn->out);
		return;
	}
	mark_dirty(net, conn);
	press_back(net, conn);
}

void outbound_put(
	struct net *net, struct conn *conn, const void *bytes, size_t count)
{
	size_t gone = net->front->reply_sent;

	if (count >= DIRECT_BYTES && !(conn->flags & CONN_BLOCKED)) {
		if (sock_send(net, conn, bytes, count) < 0) {
			conn_close(net, conn);
			return;
		}
		gone = net->front->reply_sent - gone;
	} else {
		gone = 0;
	}
	if (count > gone)
		keep(net, conn, (const uint8_t *)bytes + gone, count - gone);
}

void outbound_put_error(
	struct net *net, struct conn *conn, const void *text, size_t count)
{
	uint8_t line[1024 + CODEC_ERROR_FRAME];

	if (count > sizeof(line) - CODEC_ERROR_FRAME)
		count = sizeof(line) - CODEC_ERROR_FRAME;
	outbound_put(
		net, conn, line, net->codec->encode_error(line, text, count));
}

/* ---- the ring ---- */

static void release(struct net *net)
{
	if (net->reply_freed == net->front->reply_at)
		return;
	net->reply_freed = net->front->reply_at;
	if (rf_ring_release(ring_of(net), net->front->reply_at))
		rf_bell_ring(net->channel->bell_business);
}

/* NULL when the message lies about its payload. */
static const void *payload_of(struct net *net, const struct rf_msg *msg)
{
	struct rf_lane *lane = &net->channel->reply;

	if (!(msg->flags & RF_MSG_LARGE))
		return rf_ring_payload(ring_of(net), net->front->reply_at);
	/* Backed already, unless the writer was mad: then no SIGBUS here. */
	if (rf_lane_back(net->channel, lane, msg->payload_bytes))
		return NULL;
	return lane->large;
}

/* The connection whose oldest request this message answers, or NULL. */
static struct conn *find_asker(struct net *net, const struct rf_msg *msg)
{
	struct conn *conn = conn_find(net, msg->conn_id);

	if (!conn)
		return NULL;
	if (conn->unanswered == 0) {
		/* After a last word that is as it should be. */
		if (conn->state == CONN_SERVING) {
			rf_log(RF_LOG_ERROR,
				"connection %" PRIx64 ": a reply without a "
				"request; closed",
				conn->id);
			conn_close(net, conn);
		}
		return NULL;
	}
	return conn;
}

/* A request of this client has killed once too often. */
static bool is_expelled(struct net *net, struct conn *conn)
{
	const struct conf *conf = net->conf;

	if (offenders_count(&net->front->offenders, conn->fd,
		    conf->quarantine.client_limit,
		    conf->quarantine.client_ban_ms, net->now_ms))
		return true;
	journal_set(&net->front->journal, &conn->marks,
		conn->marks | CONN_OFFENDED);
	return conn->marks & CONN_OFFENDED;
}

/* Stage what the message says beside its payload: a successor that finds it
 * taken goes on likewise. Returns true for a last word. */
static bool stage_flags(struct net *net, struct conn *conn,
	const struct rf_msg *msg, uint64_t unanswered)
{
	struct journal *journal = &net->front->journal;
	bool last = msg->flags & RF_MSG_LAST_WORD;

	if (msg->flags & RF_MSG_CRASHED)
		last |= is_expelled(net, conn);
	net->unanswered -= conn->unanswered;
	if (last) {
		unanswered = 0;
		net->unowed = conn->owed;
		journal_set(journal, &conn->owed, 0);
		journal_set(journal, &conn->state, CONN_FINISHING);
	}
	net->unanswered += unanswered;
	journal_set(journal, &conn->unanswered, unanswered);
	return last;
}

/* The payload has been put. */
static void settle(struct net *net, struct conn *conn, bool last)
{
	journal_commit(&net->front->journal);
	if (net->unowed)
		store_give(&net->store, (void *)net->unowed);
	net->unowed = 0;
	if (!conn_is_open(conn))
		return;
	if (last)
		conn_last_word(net, conn);
	else if (may_settle(conn))
		conn_settle(net, conn);
}

/* What a predecessor sent of it is not sent again. */
static void put_rest(struct net *net, struct conn *conn,
	const struct rf_msg *msg, const uint8_t *payload)
{
	size_t gone = net->front->reply_sent;

	if (gone > msg->payload_bytes)
		gone = msg->payload_bytes;
	outbound_put(net, conn, payload + gone, msg->payload_bytes - gone);
}

static void take_reply(
	struct net *net, const struct rf_msg *msg, const void *payload)
{
	struct conn *conn = find_asker(net, msg);
	bool last;

	if (!conn)
		return;
	last = stage_flags(net, conn, msg, conn->unanswered - 1);
	put_rest(net, conn, msg, payload);
	settle(net, conn, last);
}

static void take_error(
	struct net *net, const struct rf_msg *msg, const void *payload)
{
	struct conn *conn = find_asker(net, msg);
	bool last;

	if (!conn)
		return;
	last = stage_flags(net, conn, msg, conn->unanswered - 1);
	outbound_put_error(net, conn, payload, msg->payload_bytes);
	settle(net, conn, last);
}

static void take_push(
	struct net *net, const struct rf_msg *msg, const void *payload)
{
	struct conn *conn = conn_find(net, msg->conn_id);
	bool last;

	if (!conn || conn->state != CONN_SERVING)
		return;
	last = stage_flags(net, conn, msg, conn->unanswered);
	/* Never half sent: a successor reads before it writes, and what it
	 * reads may end the connection. */
	if (msg->payload_bytes)
		keep(net, conn, payload, msg->payload_bytes);
	settle(net, conn, last);
}

static void (*const takers[RF_MSG_TYPE_COUNT])(
	struct net *net, const struct rf_msg *msg, const void *payload) = {
	[RF_MSG_REPLY] = take_reply,
	[RF_MSG_PUSH] = take_push,
	[RF_MSG_ERROR] = take_error,
};

_Noreturn static void give_up(struct net *net, const char *what)
{
	rf_log(RF_LOG_ERROR,
		"reply ring: %s at position %" PRIu64 "; ending, so that "
		"both children start with a new channel",
		what, net->front->reply_at);
	_exit(RF_CHILD_EXIT_CHANNEL);
}

static void take(struct net *net, const struct rf_msg *msg)
{
	const void *payload = payload_of(net, msg);
	struct journal *journal = &net->front->journal;
	uint64_t at = net->front->reply_at;

	if (!payload)
		give_up(net, "a payload that cannot be");
	if (!takers[msg->type])
		give_up(net, "a message of a type that never comes this way");
	journal_set(journal, &net->front->reply_at, at + msg->ring_bytes);
	if (net->front->reply_sent || msg->payload_bytes >= DIRECT_BYTES)
		journal_set(journal, &net->front->reply_sent, 0);
	takers[msg->type](net, msg, payload);
	journal_commit(journal); /* unless a put has done so */
	if (msg->flags & RF_MSG_LARGE ||
		net->front->reply_at - net->reply_freed >= RELEASE_BYTES)
		release(net);
}

void outbound_init(struct net *net)
{
	TAILQ_INIT(&net->dirty);
	net->reply_freed = ring_of(net)->shm->tail;
}

void outbound_drain(struct net *net)
{
	uint64_t begun_at = net->front->reply_at;
	struct rf_msg msg;
	int got = 1;

	while (net->front->reply_at - begun_at < RF_RING_BYTES && got > 0) {
		got = rf_ring_peek(ring_of(net), net->front->reply_at, &msg);
		if (got > 0)
			take(net, &msg);
	}
	if (got < 0)
		give_up(net, "bytes that are no message");
	release(net);
}

bool outbound_may_sleep(struct net *net)
{
	return rf_ring_sleep(ring_of(net), net->front->reply_at);
}

void outbound_wake(struct net *net)
{
	rf_ring_awake(ring_of(net));
}
