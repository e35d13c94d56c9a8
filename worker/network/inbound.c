/* SPDX-License-Identifier: MIT */
/* inbound.c -- from the socket into the request ring.
 *
 * The idea. What one read brings usually ends with a whole request, so all
 * connections are read into one shared buffer, parsed there and copied once,
 * into the ring. Only what is left over moves to an inbox of the connection.
 *
 * Rules, and the function that keeps each:
 *   I1  messages become visible, and the bell rings, once per round, however
 *       many there are                              lane_publish()
 *   I2  a full ring stops the reading, not the process: the connection waits
 *       in line and nobody passes it                lane_room(), conn_await()
 *   I3  the large area has one message at a time; who needs it waits alone
 *                                                   lane_large_is_busy()
 *   I4  memory grows with what has arrived, never with what was announced
 *                                                   buffer_reserve()
 *   I5  what one read brought is pushed by one commit: requests, input used
 *       up and errors owed                          commit()
 */
#include "network.h"
#include <errno.h>
#include <inttypes.h>
#include <refork/log.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define READ_BYTES_MIN ((size_t)16 << 10)
#define READ_BYTES_MAX ((size_t)256 << 10)

/* Of messages that one commit pushes, about. */
#define BATCH_BYTES (RF_RING_BYTES / 8)

/* Lengths travel as uint32_t. */
#define REQUEST_BYTES_MAX ((size_t)UINT32_MAX / 2)

enum step {
	STEP_ON,   /* one request done, maybe there is another */
	STEP_MORE, /* not all of it has come */
	STEP_WAIT, /* it stands in the inbox; the connection awaits its turn */
	STEP_REFUSED, /* error owed, the stream goes on behind the request */
	STEP_BROKEN,  /* error owed, the stream makes no sense any more */
	STEP_FAILED   /* no memory to go on */
};

/* ---- requests ---- */

static enum step await(struct net *net, struct conn *conn, enum conn_flag what)
{
	conn_await(net, conn, what);
	return STEP_WAIT;
}

static bool is_choked(const struct conn *conn, const struct inbox *in)
{
	return conn->unanswered + in->pushed >= CONN_UNANSWERED_HIGH ||
	       buffer_used(&conn->out) > CONN_UNSENT_HIGH_BYTES;
}

static const uint8_t *first_byte(const struct inbox *in)
{
	return in->buf->bytes + in->buf->start + in->done;
}

static size_t bytes_left(const struct inbox *in)
{
	return buffer_used(in->buf) - in->done;
}

/* The request is no longer part of the input. */
static void consume(struct inbox *in)
{
	in->done += in->req.bytes;
	codec_request_reset(&in->req);
}

/* The large area cannot be backed with memory: this request fails. */
static enum step refuse(struct net *net, struct conn *conn, struct inbox *in,
	size_t bytes, int error)
{
	char peer[CONN_PEER_MAX];

	conn_peer(net, conn, peer);
	rf_log(RF_LOG_WARNING,
		"request of %zu bytes from %s: memory to pass it on: %s; "
		"refused",
		bytes, peer, strerror(-error));
	if (conn_owe(net, conn,
		    "OOM no memory to pass on a request of this size"))
		return STEP_FAILED;
	consume(in);
	return STEP_REFUSED;
}

static enum step push_large(struct net *net, struct conn *conn,
	struct inbox *in, struct rf_msg *msg, size_t bytes)
{
	struct rf_lane *lane = &net->channel->request;
	int rc = rf_lane_back(net->channel, lane, bytes);

	if (rc)
		return refuse(net, conn, in, bytes, rc);
	codec_payload_write(lane->large, &in->req, first_byte(in));
	lane_push(net, msg, RF_MSG_REQUEST, RF_MSG_LARGE, conn->id, bytes);
	net->large_until = net->request_at;
	net->large_untrimmed = true;
	return STEP_ON;
}

static enum step push_small(struct net *net, struct conn *conn,
	struct inbox *in, struct rf_msg *msg, size_t bytes)
{
	codec_payload_write((uint8_t *)(msg + 1), &in->req, first_byte(in));
	lane_push(net, msg, RF_MSG_REQUEST, 0, conn->id, bytes);
	return STEP_ON;
}

static enum step push_request(
	struct net *net, struct conn *conn, struct inbox *in)
{
	size_t bytes = codec_payload_bytes(&in->req);
	bool large = bytes > RF_RING_PAYLOAD_MAX;
	struct rf_msg *msg;
	enum step step;

	if (is_choked(conn, in))
		return await(net, conn, CONN_AWAITS_DRAIN);
	if (large && (lane_large_is_busy(net) ||
			     !lane_is_next(net, &net->large_waiters)))
		return await(net, conn, CONN_AWAITS_LARGE);
	msg = lane_room(net, large ? 0 : bytes);
	if (!msg)
		return await(net, conn, CONN_AWAITS_ROOM);
	step = large ? push_large(net, conn, in, msg, bytes)
		     : push_small(net, conn, in, msg, bytes);
	if (step != STEP_ON)
		return step;
	in->pushed++;
	consume(in);
	return STEP_ON;
}

/* What follows cannot be understood: it is not read any more. */
static enum step give_up(struct net *net, struct conn *conn, struct inbox *in)
{
	struct journal *journal = &net->front->journal;

	if (conn_owe(net, conn, in->req.error))
		return STEP_FAILED;
	journal_set(journal, &conn->marks, conn->marks | CONN_LINGERS);
	journal_set(journal, &conn->state, CONN_FINISHING);
	in->done += bytes_left(in);
	return STEP_BROKEN;
}

/* One request: parse it, push it. */
static enum step advance(struct net *net, struct conn *conn, struct inbox *in)
{
	enum codec_result got = net->codec->parse(
		&in->req, first_byte(in), bytes_left(in), &net->limits);

	if (got == CODEC_MORE)
		return STEP_MORE;
	if (got == CODEC_ERROR)
		return give_up(net, conn, in);
	if (in->req.argc)
		return push_request(net, conn, in);
	consume(in);
	return STEP_ON;
}

/* ---- the inbox ---- */

static void close_for_memory(struct net *net, struct conn *conn)
{
	char peer[CONN_PEER_MAX];

	conn_peer(net, conn, peer);
	rf_log(RF_LOG_ERROR, "connection %s: no memory for its input; closed",
		peer);
	conn_close(net, conn);
}

/* Move what the shared inbox still holds to one of the connection's own. */
static int keep(struct net *net, struct conn *conn)
{
	struct buffer *rest = net->shared.buf;
	struct inbox *in = inbox_take(net);

	if (!in)
		return -ENOMEM;
	conn->inbox = in;
	in->buf = &conn->in;
	if (buffer_append(&net->store, in->buf, rest->bytes + rest->start,
		    buffer_used(rest)))
		return -ENOMEM;
	return codec_request_copy(&in->req, &net->shared.req);
}

void inbound_forget_reader(struct front *front)
{
	front_barrier();
	*(struct conn *volatile *)&front->reader = NULL;
	front_barrier();
	front->shared.start = front->shared.end = 0;
}

/* After a run: the shared inbox must be empty, an empty one given back. */
static int tidy(
	struct net *net, struct conn *conn, struct inbox *in, enum step step)
{
	bool needed = buffer_used(in->buf) != 0;
	int rc = step == STEP_FAILED ? -ENOMEM : 0;

	if (in == &net->shared) {
		if (needed && rc == 0)
			rc = keep(net, conn);
		inbound_forget_reader(net->front);
		codec_request_reset(&in->req);
	} else if (!needed) {
		conn->inbox = NULL;
		inbox_give(net, in);
		buffer_release(&net->store, &conn->in);
	}
	return rc;
}

/* All that was done counts, in one commit. */
static void commit(struct net *net, struct conn *conn, struct inbox *in)
{
	struct journal *journal = &net->front->journal;

	if (in->pushed)
		journal_set(journal, &conn->unanswered,
			conn->unanswered + in->pushed);
	if (in->done)
		journal_set(
			journal, &in->buf->start, in->buf->start + in->done);
	lane_commit(net);
	net->unanswered += in->pushed;
	in->pushed = 0;
	in->done = 0;
}

static void run(struct net *net, struct conn *conn, struct inbox *in)
{
	enum step step = STEP_ON;

	while (step == STEP_ON && bytes_left(in)) {
		step = advance(net, conn, in);
		if (net->request_at - net->front->request_at > BATCH_BYTES)
			commit(net, conn, in);
	}
	commit(net, conn, in);
	if (tidy(net, conn, in, step))
		close_for_memory(net, conn);
	else if (step == STEP_BROKEN)
		conn_finish(net, conn);
	else {
		conn_rearm(net, conn);
		if (step == STEP_REFUSED)
			conn_settle(net, conn);
	}
}

/* ---- events ---- */

static size_t request_bytes_max(const struct net *net)
{
	size_t max = net->channel->request.large_max_bytes;

	if (net->conf->network.max_request_bytes < max)
		max = net->conf->network.max_request_bytes;
	return max < REQUEST_BYTES_MAX ? max : REQUEST_BYTES_MAX;
}

void inbound_configure(struct net *net)
{
	net->limits.request_bytes_max = request_bytes_max(net);
}

void inbound_init(struct net *net)
{
	TAILQ_INIT(&net->room_waiters);
	TAILQ_INIT(&net->large_waiters);
	inbound_configure(net);
	net->shared.buf = &net->front->shared;
	lane_init(net);
	inbound_resume(net);
}

static void on_received(
	struct net *net, struct conn *conn, struct inbox *in, size_t bytes)
{
	conn->active_at_ms = net->now_ms;
	rf_status_add(net->status->bytes_in, bytes);
	run(net, conn, in);
}

static void throw_away(struct net *net, struct conn *conn)
{
	struct buffer *bin = net->shared.buf;
	ssize_t got = recv(conn->fd, bin->bytes, bin->room, MSG_DONTWAIT);

	if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
		conn_close(net, conn);
}

void inbound_on_readable(struct net *net, struct conn *conn)
{
	struct inbox *in = conn->inbox ? conn->inbox : &net->shared;
	size_t room;
	ssize_t got;

	if (conn->state == CONN_LINGERING) {
		throw_away(net, conn);
		return;
	}
	if (in == &net->shared) {
		net->front->reader = conn;
	} else if (buffer_reserve(&net->store, in->buf, READ_BYTES_MIN)) {
		close_for_memory(net, conn);
		return;
	}
	room = in->buf->room - in->buf->end;
	got = sock_receive(net, conn, in->buf,
		room < READ_BYTES_MAX ? room : READ_BYTES_MAX);
	if (got > 0)
		on_received(net, conn, in, (size_t)got);
	else if (got == 0)
		conn_finish(net, conn);
	else if (errno != EAGAIN && errno != EINTR)
		conn_close(net, conn);
}

static bool announce(struct net *net, struct conn *conn)
{
	struct journal *journal = &net->front->journal;
	char peer[CONN_PEER_MAX];

	conn_peer(net, conn, peer);
	if (!lane_notice(net, RF_MSG_OPEN, conn->id, peer))
		return false;
	journal_set(journal, &conn->marks, conn->marks | CONN_KNOWN);
	journal_set(journal, &conn->state, CONN_SERVING);
	lane_commit(net);
	return true;
}

void inbound_part(struct net *net, struct conn *conn)
{
	if (!(conn->marks & CONN_KNOWN) ||
		!lane_notice(net, RF_MSG_CLOSE, conn->id, ""))
		return;
	journal_set(&net->front->journal, &conn->marks,
		conn->marks & ~(uint64_t)CONN_KNOWN);
	lane_commit(net);
}

/* Who was never announced, or has parted, just goes. */
static bool take_leave(struct net *net, struct conn *conn)
{
	if ((conn->marks & CONN_KNOWN) &&
		!lane_notice(net, RF_MSG_CLOSE, conn->id, ""))
		return false;
	journal_set(&net->front->journal, &conn->state, CONN_FREE);
	lane_commit(net);
	return true;
}

void inbound_continue(struct net *net, struct conn *conn)
{
	if (conn->flags & CONN_AWAITS)
		return; /* it comes when its turn has come */
	if (conn->state == CONN_SERVING && conn->inbox) {
		run(net, conn, conn->inbox);
	} else if (conn->state == CONN_SERVING) {
		conn_rearm(net, conn);
	} else if (conn->state == CONN_OPENING) {
		if (announce(net, conn))
			conn_serve(net, conn);
		else
			conn_await(net, conn, CONN_AWAITS_ROOM);
	} else if (conn->state == CONN_CLOSED) {
		if (take_leave(net, conn))
			conn_free(net, conn);
		else
			conn_await(net, conn, CONN_AWAITS_ROOM);
	}
}

static void resume(struct net *net)
{
	struct conn *conn;

	while ((conn = TAILQ_FIRST(&net->room_waiters))) {
		conn_stop_awaiting(net, conn);
		inbound_continue(net, conn);
		if (conn->flags & CONN_AWAITS_ROOM)
			break;
	}
	while ((conn = TAILQ_FIRST(&net->large_waiters)) &&
		!lane_large_is_busy(net)) {
		conn_stop_awaiting(net, conn);
		inbound_continue(net, conn);
	}
}

void inbound_resume(struct net *net)
{
	net->resuming = true;
	if (net->front->owes_reset && lane_notice(net, RF_MSG_RESET, 0, "")) {
		journal_set(&net->front->journal, &net->front->owes_reset, 0);
		lane_commit(net);
	}
	if (!net->front->owes_reset)
		resume(net);
	net->resuming = false;
}
