/* SPDX-License-Identifier: MIT */
/* output.c -- what waits to be sent to each client.
 *
 * The idea. Output is gathered per connection, and each socket is written once:
 * at the end of the round, or when output waits for SEND_CONNS of them. Only a
 * socket that takes no more is polled for writing.
 *
 *   P1  a slow reader costs memory, up to client_output_limit   output_keep()
 *   P2  those that are not slow, SEND_CONNS buffers together, however many
 *       a push is for                                          output_relieve()
 */
#include "network.h"
#include <inttypes.h>
#include <refork/log.h>
#include <string.h>

/* As many as there are buffers that keep their memory when they are free. */
#define SEND_CONNS 128

/* ---- sockets ---- */

void output_init(struct net *net)
{
	TAILQ_INIT(&net->dirty);
	net->dirty_count = 0;
}

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

bool output_may_settle(const struct conn *conn)
{
	return conn->state == CONN_FINISHING || conn->owed ||
	       (conn->flags & CONN_AWAITS_DRAIN);
}

void output_on_writable(struct net *net, struct conn *conn)
{
	send_buffered(net, conn);
	if (output_may_settle(conn))
		conn_settle(net, conn);
}

void output_forget(struct net *net, struct conn *conn)
{
	if (!(conn->flags & CONN_DIRTY))
		return;
	TAILQ_REMOVE(&net->dirty, conn, dirty);
	conn->flags &= (uint8_t)~CONN_DIRTY;
	net->dirty_count--;
}

void output_flush(struct net *net)
{
	struct conn *conn;

	while ((conn = TAILQ_FIRST(&net->dirty))) {
		output_forget(net, conn);
		output_on_writable(net, conn);
	}
}

void output_relieve(struct net *net)
{
	if (net->dirty_count >= SEND_CONNS)
		output_flush(net);
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
	net->dirty_count++;
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
void output_keep(
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

void output_resume(struct net *net, struct conn *conn)
{
	if (!buffer_used(&conn->out)) {
		buffer_release(&net->store, &conn->out);
		return;
	}
	mark_dirty(net, conn);
	press_back(net, conn);
}

void output_put(
	struct net *net, struct conn *conn, const void *bytes, size_t count)
{
	size_t gone = net->front->reply_sent;

	if (count >= OUTPUT_DIRECT_BYTES && !(conn->flags & CONN_BLOCKED)) {
		if (sock_send(net, conn, bytes, count) < 0) {
			conn_close(net, conn);
			return;
		}
		gone = net->front->reply_sent - gone;
	} else {
		gone = 0;
	}
	if (count > gone)
		output_keep(
			net, conn, (const uint8_t *)bytes + gone, count - gone);
}

void output_put_error(
	struct net *net, struct conn *conn, const void *text, size_t count)
{
	uint8_t line[1024 + CODEC_ERROR_FRAME];

	if (count > sizeof(line) - CODEC_ERROR_FRAME)
		count = sizeof(line) - CODEC_ERROR_FRAME;
	output_put(
		net, conn, line, net->codec->encode_error(line, text, count));
}
