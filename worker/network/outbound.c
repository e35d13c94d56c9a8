/* SPDX-License-Identifier: MIT */
/* outbound.c -- from the reply ring to the output of each connection.
 *
 * The idea. Replies are copied out of the ring, so that its room is free again
 * at once; output.c sends them.
 *
 * Rules, and the function that keeps each:
 *   O1  a slow reader costs memory, never time: the ring is drained whatever
 *       the sockets do                               outbound_drain()
 *   O2  what the business side wrote is input: a message that is none ends
 *       this process, and both children start anew   payload_of()
 *   O3  a reply is taken, and stands behind the output of its connection, in
 *       one commit                                   take(), output_keep()
 *   O4  of a batch of pushes each one counts in a commit of its own, and how
 *       far the batch is done in the same one        take_pushes()
 *   O5  a reply without a connection is dropped, one that answers nothing ends
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

/* Ring bytes consumed before the producer hears of it. */
#define RELEASE_BYTES (RF_RING_BYTES / 4)

static struct rf_ring *ring_of(struct net *net)
{
	return &net->channel->reply.ring;
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

/* Of pushes in the large area, which the reader shares with the writer. */
static const uint8_t *batch_of(struct net *net, const struct rf_msg *msg)
{
	struct rf_lane *lane = &net->channel->reply;
	uint64_t off = msg->conn_id, bytes = msg->payload_bytes;

	if (!(msg->flags & RF_MSG_LARGE) || off > lane->large_max_bytes ||
		bytes > lane->large_max_bytes - off ||
		rf_lane_back(net->channel, lane, off + bytes))
		return NULL;
	return lane->large + off;
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

/* The connection for which this message is, unasked, or NULL. */
static struct conn *find_listener(struct net *net, const struct rf_msg *msg)
{
	struct conn *conn = conn_find(net, msg->conn_id);

	if (!conn || conn->state == CONN_SERVING)
		return conn;
	return conn->state == CONN_FINISHING && (msg->flags & RF_MSG_LAST_WORD)
		       ? conn
		       : NULL;
}

/* A request of this client has killed once too often. */
static bool is_expelled(struct net *net, struct conn *conn)
{
	const struct conf *conf = net->conf;

	if (offenders_count(&net->front->offenders, conn->fd,
		    conf->quarantine.client_limit,
		    conf->quarantine.client_ban_ms, net->now_ms))
		return true;
	return conn->marks & CONN_OFFENDED;
}

/* The marks that it has from now on. */
static uint64_t marks_of(
	struct net *net, struct conn *conn, const struct rf_msg *msg)
{
	uint64_t marks = conn->marks;

	if (msg->flags & RF_MSG_PATIENT)
		marks |= CONN_PATIENT;
	if (msg->flags & RF_MSG_IMPATIENT) {
		marks &= ~(uint64_t)CONN_PATIENT;
		conn->active_at_ms = net->now_ms; /* it waited, was not idle */
	}
	if (msg->flags & RF_MSG_CRASHED)
		marks |= CONN_OFFENDED;
	return marks;
}

/* Stage what the message says beside its payload: a successor that finds it
 * taken goes on likewise. Returns true for a last word. */
static bool stage_flags(struct net *net, struct conn *conn,
	const struct rf_msg *msg, uint64_t unanswered)
{
	struct journal *journal = &net->front->journal;
	bool last = msg->flags & RF_MSG_LAST_WORD;
	uint64_t marks = marks_of(net, conn, msg);

	if (marks != conn->marks)
		journal_set(journal, &conn->marks, marks);
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
	else if (output_may_settle(conn))
		conn_settle(net, conn);
}

/* What a predecessor sent of it is not sent again. */
static void put_rest(struct net *net, struct conn *conn,
	const struct rf_msg *msg, const uint8_t *payload)
{
	size_t gone = net->front->reply_sent;

	if (gone > msg->payload_bytes)
		gone = msg->payload_bytes;
	output_put(net, conn, payload + gone, msg->payload_bytes - gone);
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
	bool asked = !(msg->flags & RF_MSG_UNASKED);
	struct conn *conn =
		asked ? find_asker(net, msg) : find_listener(net, msg);
	bool last;

	if (!conn)
		return;
	last = stage_flags(net, conn, msg, conn->unanswered - asked);
	output_put_error(net, conn, payload, msg->payload_bytes);
	settle(net, conn, last);
}

static void take_push(
	struct net *net, const struct rf_msg *msg, const void *payload)
{
	struct conn *conn = find_listener(net, msg);
	bool last;

	if (!conn)
		return;
	last = stage_flags(net, conn, msg, conn->unanswered);
	/* Never half sent: a successor reads before it writes, and what it
	 * reads may end the connection. */
	if (msg->payload_bytes)
		output_keep(net, conn, payload, msg->payload_bytes);
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

/* The push at `at` of a batch: its bytes in the batch, 0 when it lies. The
 * header is read once. */
static size_t push_of(
	const uint8_t *batch, uint64_t bytes, uint64_t at, struct rf_msg *push)
{
	uint64_t rest = bytes - at;

	if (rest < sizeof(*push))
		return 0;
	memcpy(push, batch + at, sizeof(*push));
	front_barrier();
	if (push->type != RF_MSG_PUSH || (push->flags & RF_MSG_LARGE) ||
		push->payload_bytes > rest - sizeof(*push) ||
		rf_ring_need(push->payload_bytes) > rest)
		return 0;
	return rf_ring_need(push->payload_bytes);
}

/* Many pushes as one message. A predecessor may have taken the first ones:
 * reply_sent says how far the batch is done. */
static void take_pushes(struct net *net, const struct rf_msg *msg)
{
	struct journal *journal = &net->front->journal;
	uint64_t *done = &net->front->reply_sent;
	const uint8_t *batch = batch_of(net, msg);
	struct rf_msg push;

	if (!batch)
		give_up(net, "pushes that cannot be");
	while (*done < msg->payload_bytes) {
		uint64_t at = *done;
		size_t bytes = push_of(batch, msg->payload_bytes, at, &push);

		if (!bytes)
			give_up(net, "bytes that are no push");
		journal_set(journal, done, at + bytes);
		take_push(net, &push, batch + at + sizeof(push));
		journal_commit(journal); /* unless a put has done so */
		output_relieve(net);
	}
	journal_set(journal, done, 0);
}

static void take_one(struct net *net, const struct rf_msg *msg)
{
	const void *payload = payload_of(net, msg);

	if (!payload)
		give_up(net, "a payload that cannot be");
	if (!takers[msg->type])
		give_up(net, "a message of a type that never comes this way");
	if (net->front->reply_sent || msg->payload_bytes >= OUTPUT_DIRECT_BYTES)
		journal_set(&net->front->journal, &net->front->reply_sent, 0);
	journal_set(&net->front->journal, &net->front->reply_at,
		net->front->reply_at + msg->ring_bytes);
	takers[msg->type](net, msg, payload);
}

static void take(struct net *net, const struct rf_msg *msg)
{
	struct journal *journal = &net->front->journal;

	if (msg->type == RF_MSG_PUSHES) {
		take_pushes(net, msg);
		journal_set(journal, &net->front->reply_at,
			net->front->reply_at + msg->ring_bytes);
	} else {
		take_one(net, msg);
	}
	journal_commit(journal); /* unless a put has done so */
	if (msg->flags & RF_MSG_LARGE ||
		net->front->reply_at - net->reply_freed >= RELEASE_BYTES)
		release(net);
	output_relieve(net);
}

void outbound_init(struct net *net)
{
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
