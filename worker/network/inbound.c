/* SPDX-License-Identifier: MIT */
/* inbound.c -- from the socket into the request ring.
 *
 * The idea. What one read brings usually ends with a whole request, so all
 * connections are read into one shared buffer, parsed there and copied once,
 * into the ring. Only what is left over moves to an inbox of the connection.
 *
 * Rules, and the function that keeps each:
 *   I1  messages become visible, and the bell rings, once per round, however
 *       many there are                              inbound_publish()
 *   I2  a full ring stops the reading, not the process: the connection waits
 *       in line and nobody passes it                push_room(), conn_await()
 *   I3  the large area has one message at a time; who needs it waits alone
 *                                                   large_is_busy()
 *   I4  memory grows with what has arrived, never with what was announced
 *                                                   buffer_reserve()
 */
#include "network.h"
#include <errno.h>
#include <inttypes.h>
#include <refork/log.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define SHARED_BYTES   ((size_t)64 << 10)
#define READ_BYTES_MIN ((size_t)16 << 10)
#define READ_BYTES_MAX ((size_t)256 << 10)
/* Memory of the large area that stays between two large requests. */
#define LARGE_KEEP_BYTES ((size_t)1 << 20)

/* Lengths travel as uint32_t. */
#define REQUEST_BYTES_MAX ((size_t)UINT32_MAX / 2)

enum step {
	STEP_ON,   /* one request done, maybe there is another */
	STEP_MORE, /* not all of it has come */
	STEP_WAIT, /* it stands in the inbox; the connection awaits its turn */
	STEP_REFUSED, /* error owed, the stream goes on behind the request */
	STEP_BROKEN   /* error owed, the stream makes no sense any more */
};

/* ---- the ring ---- */

static struct rf_ring *ring_of(struct net *net)
{
	return &net->channel->request.ring;
}

static void show(struct net *net, bool bell)
{
	if (net->request_shown == net->request_at)
		return;
	net->request_shown = net->request_at;
	if (rf_ring_publish(ring_of(net), net->request_at, bell))
		rf_bell_ring(net->channel->bell_business);
}

void inbound_publish(struct net *net)
{
	show(net, true);
}

/* Nobody passes those who wait already. */
static bool is_next(const struct net *net, const struct conn_list *waiters)
{
	return net->resuming || (!net->owes_reset && TAILQ_EMPTY(waiters));
}

/* Room for a message with that payload in the ring, or NULL. */
static struct rf_msg *push_room(struct net *net, size_t payload_bytes)
{
	size_t need = rf_ring_need(payload_bytes);

	if (!is_next(net, &net->room_waiters))
		return NULL;
	if (need > net->request_room)
		net->request_room = rf_ring_room(ring_of(net), net->request_at);
	if (need > net->request_room)
		return NULL;
	return rf_ring_slot(ring_of(net), net->request_at);
}

/* The payload of this message stands in push_room()'s room (or in the large
 * area): write the head before it. */
static void push(struct net *net, struct rf_msg *msg, enum rf_msg_type type,
	enum rf_msg_flag flags, uint64_t conn_id, size_t payload_bytes)
{
	size_t need = rf_ring_need(flags & RF_MSG_LARGE ? 0 : payload_bytes);

	msg->ring_bytes = (uint32_t)need;
	msg->type = (uint16_t)type;
	msg->flags = (uint16_t)flags;
	msg->conn_id = conn_id;
	msg->payload_bytes = payload_bytes;
	net->request_at += need;
	net->request_room -= need;
	/* The other side may begin on a big batch before it is complete. */
	if (net->request_at - net->request_shown > RF_RING_BYTES / 2)
		show(net, false);
}

static bool push_notice(
	struct net *net, enum rf_msg_type type, uint64_t id, const char *text)
{
	size_t bytes = strlen(text);
	struct rf_msg *msg = push_room(net, bytes);

	if (!msg)
		return false;
	memcpy(msg + 1, text, bytes);
	push(net, msg, type, 0, id, bytes);
	return true;
}

/* Busy from the push of its message until the public tail has passed it. */
static bool large_is_busy(struct net *net)
{
	const struct rf_ring *ring = ring_of(net);
	uint64_t waiting = ring->size - rf_ring_room(ring, net->request_at);

	return waiting > net->request_at - net->large_until;
}

/* ---- requests ---- */

static enum step await(struct net *net, struct conn *conn, enum conn_flag what)
{
	conn_await(net, conn, what);
	return STEP_WAIT;
}

static bool is_choked(const struct conn *conn)
{
	return conn->unanswered >= CONN_UNANSWERED_HIGH ||
	       buffer_used(&conn->out) > CONN_UNSENT_HIGH_BYTES;
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
	in->buf.start += in->req.bytes;
	codec_request_reset(&in->req);
	snprintf(in->req.error, sizeof(in->req.error),
		"OOM no memory to pass on a request of this size");
	conn->flags |= CONN_OWES_ERROR;
	return STEP_REFUSED;
}

static enum step push_large(struct net *net, struct conn *conn,
	struct inbox *in, struct rf_msg *msg, size_t bytes)
{
	struct rf_lane *lane = &net->channel->request;
	int rc = rf_lane_back(net->channel, lane, bytes);

	if (rc)
		return refuse(net, conn, in, bytes, rc);
	codec_payload_write(
		lane->large, &in->req, in->buf.bytes + in->buf.start);
	push(net, msg, RF_MSG_REQUEST, RF_MSG_LARGE, conn->id, bytes);
	net->large_until = net->request_at;
	net->large_untrimmed = true;
	return STEP_ON;
}

static enum step push_small(struct net *net, struct conn *conn,
	struct inbox *in, struct rf_msg *msg, size_t bytes)
{
	codec_payload_write(
		(uint8_t *)(msg + 1), &in->req, in->buf.bytes + in->buf.start);
	push(net, msg, RF_MSG_REQUEST, 0, conn->id, bytes);
	return STEP_ON;
}

static enum step push_request(
	struct net *net, struct conn *conn, struct inbox *in)
{
	size_t bytes = codec_payload_bytes(&in->req);
	bool large = bytes > RF_RING_PAYLOAD_MAX;
	struct rf_msg *msg;
	enum step step;

	if (is_choked(conn))
		return await(net, conn, CONN_AWAITS_DRAIN);
	if (large && (large_is_busy(net) || !is_next(net, &net->large_waiters)))
		return await(net, conn, CONN_AWAITS_LARGE);
	msg = push_room(net, large ? 0 : bytes);
	if (!msg)
		return await(net, conn, CONN_AWAITS_ROOM);
	step = large ? push_large(net, conn, in, msg, bytes)
		     : push_small(net, conn, in, msg, bytes);
	if (step == STEP_ON) {
		conn->unanswered++;
		net->unanswered++;
	}
	return step;
}

/* One request: parse it, push it. */
static enum step advance(struct net *net, struct conn *conn, struct inbox *in)
{
	enum codec_result got =
		net->codec->parse(&in->req, in->buf.bytes + in->buf.start,
			buffer_used(&in->buf), &net->limits);

	if (got == CODEC_MORE)
		return STEP_MORE;
	if (got == CODEC_ERROR) {
		in->buf.start = in->buf.end;
		return STEP_BROKEN;
	}
	if (in->req.argc) {
		enum step step = push_request(net, conn, in);

		if (step != STEP_ON)
			return step;
	}
	in->buf.start += in->req.bytes;
	codec_request_reset(&in->req);
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
	struct buffer *rest = &net->shared.buf;
	struct inbox *in = inbox_take(net);

	if (!in)
		return -ENOMEM;
	conn->inbox = in;
	if (buffer_append(&net->pool, &in->buf, rest->bytes + rest->start,
		    buffer_used(rest)))
		return -ENOMEM;
	return codec_request_copy(&in->req, &net->shared.req);
}

/* After a run: the shared inbox must be empty, an empty one given back. */
static int tidy(
	struct net *net, struct conn *conn, struct inbox *in, enum step step)
{
	bool needed = buffer_used(&in->buf) || step == STEP_BROKEN ||
		      step == STEP_REFUSED;
	int rc = 0;

	if (in == &net->shared) {
		if (needed)
			rc = keep(net, conn);
		in->buf.start = in->buf.end = 0;
		codec_request_reset(&in->req);
	} else if (!needed) {
		conn->inbox = NULL;
		inbox_give(net, in);
	}
	return rc;
}

static void run(struct net *net, struct conn *conn, struct inbox *in)
{
	enum step step = STEP_ON;

	while (step == STEP_ON && buffer_used(&in->buf))
		step = advance(net, conn, in);
	if (tidy(net, conn, in, step))
		close_for_memory(net, conn);
	else if (step == STEP_BROKEN)
		conn_break(net, conn);
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

int inbound_init(struct net *net)
{
	TAILQ_INIT(&net->room_waiters);
	TAILQ_INIT(&net->large_waiters);
	net->limits.request_bytes_max = request_bytes_max(net);
	net->shared.buf.bytes = malloc(SHARED_BYTES);
	if (!net->shared.buf.bytes)
		return -ENOMEM;
	net->shared.buf.room = SHARED_BYTES;
	net->request_at = ring_of(net)->shm->head;
	net->request_shown = net->request_at;
	/* A predecessor's large request may still stand there. */
	net->large_until = net->request_at;
	net->large_untrimmed = true;
	net->owes_reset = true;
	inbound_resume(net);
	return 0;
}

static void on_received(
	struct net *net, struct conn *conn, struct inbox *in, size_t bytes)
{
	in->buf.end += bytes;
	conn->active_at_ms = net->now_ms;
	rf_status_add(net->status->bytes_in, bytes);
	run(net, conn, in);
}

static void throw_away(struct net *net, struct conn *conn)
{
	struct buffer *bin = &net->shared.buf;
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
	if (buffer_reserve(&net->pool, &in->buf, READ_BYTES_MIN)) {
		close_for_memory(net, conn);
		return;
	}
	room = in->buf.room - in->buf.end;
	got = recv(conn->fd, in->buf.bytes + in->buf.end,
		room < READ_BYTES_MAX ? room : READ_BYTES_MAX, MSG_DONTWAIT);
	if (got > 0)
		on_received(net, conn, in, (size_t)got);
	else if (got == 0)
		conn_finish(net, conn);
	else if (errno != EAGAIN && errno != EINTR)
		conn_close(net, conn);
}

static bool announce(struct net *net, struct conn *conn)
{
	char peer[CONN_PEER_MAX];

	conn_peer(net, conn, peer);
	return push_notice(net, RF_MSG_OPEN, conn->id, peer);
}

void inbound_continue(struct net *net, struct conn *conn)
{
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
		if (push_notice(net, RF_MSG_CLOSE, conn->id, ""))
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
		!large_is_busy(net)) {
		conn_stop_awaiting(net, conn);
		inbound_continue(net, conn);
	}
}

void inbound_resume(struct net *net)
{
	net->resuming = true;
	if (net->owes_reset)
		net->owes_reset = !push_notice(net, RF_MSG_RESET, 0, "");
	if (!net->owes_reset)
		resume(net);
	net->resuming = false;
}

bool inbound_may_sleep(struct net *net)
{
	size_t need = SIZE_MAX;

	/* Half a ring: more than any message, and worth waking up for. */
	if (net->owes_reset || !TAILQ_EMPTY(&net->room_waiters))
		need = RF_RING_BYTES / 2;
	if (!TAILQ_EMPTY(&net->large_waiters)) {
		uint64_t behind = net->request_at - net->large_until;

		if (!large_is_busy(net))
			return false;
		if (RF_RING_BYTES - behind < need)
			need = RF_RING_BYTES - behind;
	}
	return need == SIZE_MAX ||
	       rf_ring_wait_room(ring_of(net), net->request_at, need);
}

void inbound_trim(struct net *net)
{
	if (!net->large_untrimmed || large_is_busy(net))
		return;
	rf_lane_trim(net->channel, &net->channel->request, LARGE_KEEP_BYTES);
	net->large_untrimmed = false;
}
