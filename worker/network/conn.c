/* SPDX-License-Identifier: MIT */
/* conn.c -- the life of a connection, and the table of all of them.
 *
 *         conn_open          conn_serve           conn_finish
 *   FREE -----------> OPENING ----------> SERVING -----------> FINISHING
 *    ^                   |                   |    conn_break     |  |
 *    |                   v                   |   conn_last_word  |  | linger
 *    +---conn_free--- CLOSED <--conn_close---+-------------------+  v
 *                        ^                                      LINGERING
 *                        +---------------conn_close-----------------+
 *
 * A client that was told of a protocol error may still be sending. Closing a
 * socket with unread input resets it, and the client might never see the error:
 * so its input is thrown away for a while (LINGERING).
 *
 * The business side hears of every connection exactly twice: RF_MSG_OPEN goes
 * out on the arc to SERVING, RF_MSG_CLOSE on the arc from CLOSED to FREE (both
 * in inbound_continue, which waits for room in the ring if need be). So a slot
 * is not used again before its last message is in the ring.
 *
 * Rules, and the function that keeps each:
 *   C1  replies leave in the order of the requests: an error found by the
 *       codec is owed until nothing is unanswered       conn_settle()
 *   C2  whoever waits is not read, whoever is not read is not polled
 *                                                       conn_rearm()
 *   C3  an idle connection holds no memory but its slot  inbox_give(),
 *                                                       buffer_release()
 */
#include "loop.h"
#include "network.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <refork/log.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SLOT_MAX	    (UINT32_C(1) << RF_CONN_SLOT_BITS)
#define FREE_INBOX_MAX	    256
#define FREE_INBOX_ARGV_MAX 64

static uint32_t slot_of(uint64_t id)
{
	return (uint32_t)(id & (SLOT_MAX - 1));
}

bool conn_is_open(const struct conn *conn)
{
	return conn->state != CONN_FREE && conn->state != CONN_CLOSED;
}

/* Closed connections keep their slot until the ring takes their last message;
 * the second half of the table lets new ones come meanwhile. */
int conn_table_init(struct net *net)
{
	uint64_t count = net->conf->network.max_clients * 2 + 64;

	net->slot_count = count < SLOT_MAX ? (uint32_t)count : SLOT_MAX;
	net->conns = calloc(net->slot_count, sizeof(*net->conns));
	TAILQ_INIT(&net->free_slots);
	return net->conns ? 0 : -ENOMEM;
}

static struct conn *slot_take(struct net *net)
{
	struct conn *conn = TAILQ_FIRST(&net->free_slots);

	if (conn)
		TAILQ_REMOVE(&net->free_slots, conn, waiting);
	else if (net->slot_fresh < net->slot_count)
		conn = &net->conns[net->slot_fresh++];
	return conn;
}

/* Serials outlive this process: a successor never uses one again. */
static uint64_t next_serial(struct net *net)
{
	uint64_t *last = &net->channel->shm->conn_serial;
	uint64_t serial = __atomic_load_n(last, __ATOMIC_RELAXED) + 1;

	__atomic_store_n(last, serial, __ATOMIC_RELAXED);
	return serial;
}

static void count_open(struct net *net, int change)
{
	net->open_count += (uint32_t)change;
	rf_status_set(net->status->clients, net->open_count);
}

int conn_open(struct net *net, int fd, int listener)
{
	struct conn *conn;
	uint32_t slot;

	if (net->open_count >= net->conf->network.max_clients)
		return -ENOSPC;
	conn = slot_take(net);
	if (!conn)
		return -ENOSPC;
	slot = (uint32_t)(conn - net->conns);
	*conn = (struct conn){
		.id = next_serial(net) << RF_CONN_SLOT_BITS | slot,
		.fd = fd,
		.state = CONN_OPENING,
		.listener = (uint16_t)listener,
		.active_at_ms = net->now_ms,
	};
	loop_watch(net->loop, slot, conn, fd);
	count_open(net, +1);
	rf_status_add(net->status->clients_total, 1);
	inbound_continue(net, conn);
	return 0;
}

void conn_serve(struct net *net, struct conn *conn)
{
	RF_CHECK(conn->state == CONN_OPENING);
	conn->state = CONN_SERVING;
	conn_rearm(net, conn);
}

static void drop_input(struct net *net, struct conn *conn)
{
	conn_stop_awaiting(net, conn);
	if (conn->inbox && !(conn->flags & CONN_OWES_ERROR)) {
		inbox_give(net, conn->inbox);
		conn->inbox = NULL;
	}
}

void conn_finish(struct net *net, struct conn *conn)
{
	if (conn->state == CONN_OPENING || conn->state == CONN_LINGERING) {
		conn_close(net, conn);
		return;
	}
	conn->state = CONN_FINISHING;
	drop_input(net, conn);
	conn_rearm(net, conn);
	conn_settle(net, conn);
}

void conn_break(struct net *net, struct conn *conn)
{
	conn->flags |= CONN_OWES_ERROR | CONN_LINGERS;
	conn_finish(net, conn);
}

static void linger(struct net *net, struct conn *conn)
{
	if (shutdown(conn->fd, SHUT_WR) != 0) {
		conn_close(net, conn);
		return;
	}
	conn->state = CONN_LINGERING;
	conn->active_at_ms = net->now_ms;
	net->lingering_count++;
	conn_rearm(net, conn);
}

static void forget_unanswered(struct net *net, struct conn *conn)
{
	net->unanswered -= conn->unanswered;
	conn->unanswered = 0;
}

void conn_last_word(struct net *net, struct conn *conn)
{
	forget_unanswered(net, conn);
	conn->flags &= (uint8_t)~CONN_OWES_ERROR;
	conn_finish(net, conn);
}

void conn_close(struct net *net, struct conn *conn)
{
	bool known = conn->state != CONN_OPENING;

	forget_unanswered(net, conn);
	conn->flags &= (uint8_t)~CONN_OWES_ERROR;
	drop_input(net, conn);
	if (conn->flags & CONN_DIRTY)
		TAILQ_REMOVE(&net->dirty, conn, dirty);
	conn->flags = 0;
	buffer_release(&net->pool, &conn->out);
	net->lingering_count -= conn->state == CONN_LINGERING;
	loop_unwatch(net->loop, slot_of(conn->id));
	close(conn->fd);
	conn->fd = -1;
	conn->state = CONN_CLOSED;
	count_open(net, -1);
	listen_resume(net);
	if (known)
		inbound_continue(net, conn);
	else
		conn_free(net, conn);
}

void conn_free(struct net *net, struct conn *conn)
{
	RF_CHECK(conn->state == CONN_CLOSED);
	conn->state = CONN_FREE;
	conn->id = 0;
	TAILQ_INSERT_HEAD(&net->free_slots, conn, waiting);
}

struct conn *conn_find(struct net *net, uint64_t id)
{
	uint32_t slot = slot_of(id);
	struct conn *conn = &net->conns[slot];

	if (slot >= net->slot_fresh || conn->id != id || !conn_is_open(conn))
		return NULL;
	return conn;
}

void conn_each(struct net *net, void (*visit)(struct net *, struct conn *))
{
	for (uint32_t i = 0; i < net->slot_fresh; i++)
		if (conn_is_open(&net->conns[i]))
			visit(net, &net->conns[i]);
}

/* ---- waiting ---- */

void conn_rearm(struct net *net, struct conn *conn)
{
	unsigned want = LOOP_WANT_NONE;

	if (conn->state == CONN_LINGERING ||
		(conn->state == CONN_SERVING &&
			!(conn->flags & (CONN_AWAITS | CONN_OWES_ERROR))))
		want |= LOOP_WANT_READ;
	if (conn->flags & CONN_BLOCKED)
		want |= LOOP_WANT_WRITE;
	if (want == conn->wanted)
		return;
	conn->wanted = (uint8_t)want;
	loop_want(net->loop, slot_of(conn->id), want);
}

static struct conn_list *waiters_of(struct net *net, unsigned what)
{
	if (what & CONN_AWAITS_ROOM)
		return &net->room_waiters;
	return what & CONN_AWAITS_LARGE ? &net->large_waiters : NULL;
}

/* First come, first served. Whoever was at the head and could not go on stays
 * there, unless it has had a share of requests. */
void conn_await(struct net *net, struct conn *conn, enum conn_flag what)
{
	struct conn_list *list = waiters_of(net, what);

	RF_CHECK(!(conn->flags & CONN_AWAITS));
	conn->flags |= (uint8_t)what;
	if (!list)
		return;
	if (net->resuming && conn->state != CONN_SERVING)
		TAILQ_INSERT_HEAD(list, conn, waiting);
	else
		TAILQ_INSERT_TAIL(list, conn, waiting);
}

void conn_stop_awaiting(struct net *net, struct conn *conn)
{
	struct conn_list *list = waiters_of(net, conn->flags);

	if (list)
		TAILQ_REMOVE(list, conn, waiting);
	conn->flags &= (uint8_t)~CONN_AWAITS;
}

static bool is_relieved(const struct conn *conn)
{
	return (conn->flags & CONN_AWAITS_DRAIN) &&
	       buffer_used(&conn->out) <= CONN_UNSENT_LOW_BYTES &&
	       conn->unanswered <= CONN_UNANSWERED_LOW;
}

void conn_settle(struct net *net, struct conn *conn)
{
	bool go_on = is_relieved(conn);

	if (go_on)
		conn_stop_awaiting(net, conn);
	if ((conn->flags & CONN_OWES_ERROR) && conn->unanswered == 0) {
		const char *text = conn->inbox->req.error;

		conn->flags &= (uint8_t)~CONN_OWES_ERROR;
		outbound_put_error(net, conn, text, strlen(text));
		go_on = true;
	}
	if (go_on && conn->state == CONN_SERVING &&
		!(conn->flags & CONN_OWES_ERROR))
		inbound_continue(net, conn);
	if (conn->state != CONN_FINISHING || conn->unanswered > 0 ||
		buffer_used(&conn->out) > 0)
		return;
	if ((conn->flags & CONN_LINGERS) && !net->drain_until_ms)
		linger(net, conn);
	else
		conn_close(net, conn);
}

/* ---- input that waits ---- */

struct inbox *inbox_take(struct net *net)
{
	struct inbox *in = net->free_inboxes;

	if (!in)
		return calloc(1, sizeof(*in));
	net->free_inboxes = in->next_free;
	net->free_inbox_count--;
	return in;
}

void inbox_give(struct net *net, struct inbox *in)
{
	buffer_release(&net->pool, &in->buf);
	codec_request_reset(&in->req);
	if (in->req.argv_room > FREE_INBOX_ARGV_MAX)
		codec_request_fini(&in->req);
	if (net->free_inbox_count == FREE_INBOX_MAX) {
		codec_request_fini(&in->req);
		free(in);
		return;
	}
	in->next_free = net->free_inboxes;
	net->free_inboxes = in;
	net->free_inbox_count++;
}

/* ---- names ---- */

static void unix_peer(const struct net *net, const struct conn *conn,
	char peer[CONN_PEER_MAX])
{
	const char *name = net->self->listen_names[conn->listener];
	const char *prefix = strncmp(name, "unix:", 5) == 0 ? "" : "unix:";

	snprintf(peer, CONN_PEER_MAX, "%s%s", prefix, name);
}

void conn_peer(const struct net *net, const struct conn *conn,
	char peer[CONN_PEER_MAX])
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
		struct sockaddr_un un;
	} from = {0};
	socklen_t bytes = sizeof(from);
	char host[INET6_ADDRSTRLEN] = "?";

	if (getpeername(conn->fd, &from.any, &bytes) != 0) {
		snprintf(peer, CONN_PEER_MAX, "?");
	} else if (from.any.sa_family == AF_INET) {
		inet_ntop(AF_INET, &from.v4.sin_addr, host, sizeof(host));
		snprintf(peer, CONN_PEER_MAX, "%s:%u", host,
			ntohs(from.v4.sin_port));
	} else if (from.any.sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &from.v6.sin6_addr, host, sizeof(host));
		snprintf(peer, CONN_PEER_MAX, "[%s]:%u", host,
			ntohs(from.v6.sin6_port));
	} else {
		unix_peer(net, conn, peer);
	}
}
