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
 *   O3  a reply without a connection is dropped, one that answers nothing ends
 *       the connection: its stream could not be trusted
 *                                                    take_answer()
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

/* Offer the socket what is buffered, then `count` bytes more.
 * Returns how many it took, -1 when it is broken. */
static ssize_t offer(
	struct net *net, struct conn *conn, const void *bytes, size_t count)
{
	size_t buffered = buffer_used(&conn->out);
	struct iovec parts[2];
	struct msghdr all = {.msg_iov = parts};
	ssize_t took;

	if (buffered)
		parts[all.msg_iovlen++] = (struct iovec){
			conn->out.bytes + conn->out.start, buffered};
	if (count)
		parts[all.msg_iovlen++] = (struct iovec){(void *)bytes, count};
	took = all.msg_iovlen == 1
		       ? send(conn->fd, parts[0].iov_base, parts[0].iov_len,
				 MSG_NOSIGNAL | MSG_DONTWAIT)
		       : sendmsg(conn->fd, &all, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (took < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	conn->active_at_ms = net->now_ms;
	rf_status_add(net->status->bytes_out, (size_t)took);
	return took;
}

static void sent(struct net *net, struct conn *conn, size_t bytes)
{
	conn->out.start += bytes;
	if (conn->out.start == conn->out.end)
		buffer_release(&net->pool, &conn->out);
}

static void send_buffered(struct net *net, struct conn *conn)
{
	ssize_t took = offer(net, conn, NULL, 0);

	if (took < 0) {
		conn_close(net, conn);
		return;
	}
	sent(net, conn, (size_t)took);
	set_blocked(net, conn, buffer_used(&conn->out) != 0);
}

static bool may_settle(const struct conn *conn)
{
	return conn->state == CONN_FINISHING ||
	       (conn->flags & (CONN_AWAITS_DRAIN | CONN_OWES_ERROR));
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

static void keep(
	struct net *net, struct conn *conn, const void *bytes, size_t count)
{
	size_t unsent = buffer_used(&conn->out) + count;

	if (unsent > net->conf->network.client_output_limit_bytes) {
		close_for_limit(net, conn, unsent);
		return;
	}
	if (buffer_append(&net->pool, &conn->out, bytes, count)) {
		close_for_memory(net, conn);
		return;
	}
	mark_dirty(net, conn);
	if (unsent > CONN_UNSENT_HIGH_BYTES && conn->state == CONN_SERVING &&
		!(conn->flags & CONN_AWAITS)) {
		conn_await(net, conn, CONN_AWAITS_DRAIN);
		conn_rearm(net, conn);
	}
}

void outbound_put(
	struct net *net, struct conn *conn, const void *bytes, size_t count)
{
	const uint8_t *from = bytes;
	size_t buffered = buffer_used(&conn->out);
	ssize_t took = 0;

	if (count >= DIRECT_BYTES && !(conn->flags & CONN_BLOCKED))
		took = offer(net, conn, bytes, count);
	if (took < 0) {
		conn_close(net, conn);
		return;
	}
	if ((size_t)took < buffered) {
		conn->out.start += (size_t)took;
	} else if (took > 0) {
		sent(net, conn, buffered);
		from += (size_t)took - buffered;
		count -= (size_t)took - buffered;
	}
	if (count)
		keep(net, conn, from, count);
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
	if (net->reply_freed == net->reply_at)
		return;
	net->reply_freed = net->reply_at;
	if (rf_ring_release(ring_of(net), net->reply_at))
		rf_bell_ring(net->channel->bell_business);
}

/* NULL when the message lies about its payload. */
static const void *payload_of(struct net *net, const struct rf_msg *msg)
{
	struct rf_lane *lane = &net->channel->reply;

	if (!(msg->flags & RF_MSG_LARGE))
		return rf_ring_payload(ring_of(net), net->reply_at);
	/* Backed already, unless the writer was mad: then no SIGBUS here. */
	if (rf_lane_back(net->channel, lane, msg->payload_bytes))
		return NULL;
	return lane->large;
}

static void after_put(
	struct net *net, struct conn *conn, const struct rf_msg *msg)
{
	if (!conn_is_open(conn))
		return;
	if (msg->flags & RF_MSG_LAST_WORD)
		conn_last_word(net, conn);
	else if (may_settle(conn))
		conn_settle(net, conn);
}

/* The connection whose oldest request this message answers, or NULL. */
static struct conn *take_answer(struct net *net, const struct rf_msg *msg)
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
	conn->unanswered--;
	net->unanswered--;
	return conn;
}

static void take_reply(
	struct net *net, const struct rf_msg *msg, const void *payload)
{
	struct conn *conn = take_answer(net, msg);

	if (!conn)
		return;
	outbound_put(net, conn, payload, msg->payload_bytes);
	after_put(net, conn, msg);
}

static void take_error(
	struct net *net, const struct rf_msg *msg, const void *payload)
{
	struct conn *conn = take_answer(net, msg);

	if (!conn)
		return;
	outbound_put_error(net, conn, payload, msg->payload_bytes);
	after_put(net, conn, msg);
}

static void take_push(
	struct net *net, const struct rf_msg *msg, const void *payload)
{
	struct conn *conn = conn_find(net, msg->conn_id);

	if (!conn || conn->state != CONN_SERVING)
		return;
	outbound_put(net, conn, payload, msg->payload_bytes);
	after_put(net, conn, msg);
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
		what, net->reply_at);
	_exit(RF_CHILD_EXIT_CHANNEL);
}

static void take(struct net *net, const struct rf_msg *msg)
{
	const void *payload = payload_of(net, msg);

	if (!payload)
		give_up(net, "a payload that cannot be");
	if (!takers[msg->type])
		give_up(net, "a message of a type that never comes this way");
	takers[msg->type](net, msg, payload);
	net->reply_at += msg->ring_bytes;
	if (msg->flags & RF_MSG_LARGE ||
		net->reply_at - net->reply_freed >= RELEASE_BYTES)
		release(net);
}

void outbound_init(struct net *net)
{
	TAILQ_INIT(&net->dirty);
	net->reply_at = ring_of(net)->shm->tail;
	net->reply_freed = net->reply_at;
}

void outbound_drain(struct net *net)
{
	uint64_t begun_at = net->reply_at;
	struct rf_msg msg;
	int got = 1;

	while (net->reply_at - begun_at < RF_RING_BYTES && got > 0) {
		got = rf_ring_peek(ring_of(net), net->reply_at, &msg);
		if (got > 0)
			take(net, &msg);
	}
	if (got < 0)
		give_up(net, "bytes that are no message");
	release(net);
}

bool outbound_may_sleep(struct net *net)
{
	return rf_ring_sleep(ring_of(net), net->reply_at);
}

void outbound_wake(struct net *net)
{
	rf_ring_awake(ring_of(net));
}
