/* SPDX-License-Identifier: MIT */
/* conn.c -- the life of a connection, and the table of all of them.
 *
 *         conn_open          conn_serve           conn_finish
 *   FREE -----------> OPENING ----------> SERVING -----------> FINISHING
 *    ^                   |                   |      conn_owe     |  |
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
 * is not used again before its last message is in the ring. When sending or
 * lingering takes longer, it is told sooner, if the ring has room at once
 * (inbound_part).
 *
 * Rules, and the function that keeps each:
 *   C1  replies leave in the order of the requests: an error found by the
 *       codec is owed until nothing is unanswered       conn_settle()
 *   C2  whoever waits is not read, whoever is not read is not polled
 *                                                       conn_rearm()
 *   C3  an idle connection holds no memory but its slot  inbox_give(),
 *                                                       buffer_release()
 *   C4  a state is entered by one store or commit, and only then is done what
 *       follows from it: a successor that finds the state does it (again)
 *                                                       conn_resume()
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

#define FREE_INBOX_MAX	    256
#define FREE_INBOX_ARGV_MAX 64
#define FREE_INBOX_TEXT_MAX 1024

static uint32_t slot_of(uint64_t id)
{
	return (uint32_t)(id & (CONN_SLOT_MAX - 1));
}

bool conn_is_open(const struct conn *conn)
{
	return conn->state != CONN_FREE && conn->state != CONN_CLOSED;
}

/* Closed connections keep their slot until the ring takes their last message;
 * new ones come meanwhile. */
void conn_table_init(struct net *net)
{
	net->conns = front_conns(net->channel);
	TAILQ_INIT(&net->free_slots);
}

static struct conn *slot_take(struct net *net)
{
	struct conn *conn = TAILQ_FIRST(&net->free_slots);
	uint32_t slot = (uint32_t)net->front->slot_fresh;

	if (conn) {
		TAILQ_REMOVE(&net->free_slots, conn, waiting);
		return conn;
	}
	if (slot == CONN_SLOT_MAX || front_back_slot(net->channel, slot))
		return NULL;
	conn = &net->conns[slot];
	conn->state = CONN_FREE;
	front_barrier();
	net->front->slot_fresh = slot + 1;
	front_barrier();
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

static void set_state(struct conn *conn, enum conn_state state)
{
	front_barrier();
	front_store(&conn->state, state);
	front_barrier();
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
		.state = CONN_FREE,
		.listener = (uint16_t)listener,
		.is_tcp = sock_is_tcp(fd),
		.active_at_ms = net->now_ms,
	};
	set_state(conn, CONN_OPENING);
	loop_watch(net->loop, slot, conn, fd);
	count_open(net, +1);
	rf_status_add(net->status->clients_total, 1);
	inbound_continue(net, conn);
	return 0;
}

void conn_serve(struct net *net, struct conn *conn)
{
	RF_CHECK(conn->state == CONN_SERVING);
	conn_rearm(net, conn);
}

static void drop_input(struct net *net, struct conn *conn)
{
	conn_stop_awaiting(net, conn);
	if (conn->inbox)
		inbox_give(net, conn->inbox);
	conn->inbox = NULL;
	buffer_release(&net->store, &conn->in);
}

void conn_finish(struct net *net, struct conn *conn)
{
	if (conn->state == CONN_OPENING || conn->state == CONN_LINGERING) {
		conn_close(net, conn);
		return;
	}
	set_state(conn, CONN_FINISHING);
	drop_input(net, conn);
	conn_rearm(net, conn);
	conn_settle(net, conn);
}

int conn_owe(struct net *net, struct conn *conn, const char *text)
{
	char *owed = store_take(&net->store);

	if (!owed)
		return -ENOMEM;
	snprintf(owed, BUFFER_BLOCK_BYTES, "%s", text);
	journal_set(&net->front->journal, &conn->owed, (uintptr_t)owed);
	return 0;
}

static void forget_owed(struct net *net, struct conn *conn)
{
	uint64_t owed = conn->owed;

	front_store(&conn->owed, 0);
	front_barrier();
	if (owed)
		store_give(&net->store, (void *)owed);
}

static void linger(struct net *net, struct conn *conn)
{
	if (shutdown(conn->fd, SHUT_WR) != 0) {
		conn_close(net, conn);
		return;
	}
	conn->active_at_ms = net->now_ms;
	set_state(conn, CONN_LINGERING);
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
	forget_owed(net, conn);
	conn_finish(net, conn);
}

/* Of a connection in state CLOSED: what is left of it but its last message. */
static void discard(struct net *net, struct conn *conn)
{
	forget_unanswered(net, conn);
	forget_owed(net, conn);
	drop_input(net, conn);
	buffer_release(&net->store, &conn->out);
	if (conn->fd >= 0)
		close(conn->fd);
	front_barrier();
	conn->fd = -1;
	front_barrier();
}

void conn_close(struct net *net, struct conn *conn)
{
	struct journal *journal = &net->front->journal;

	net->lingering_count -= conn->state == CONN_LINGERING;
	/* Together with what else is staged: a reply that it did not take. */
	journal_set(journal, &conn->state, CONN_CLOSED);
	journal_commit(journal);
	loop_unwatch(net->loop, slot_of(conn->id));
	output_forget(net, conn);
	discard(net, conn);
	conn->flags = 0;
	count_open(net, -1);
	listen_resume(net);
	inbound_continue(net, conn);
}

void conn_free(struct net *net, struct conn *conn)
{
	RF_CHECK(conn->state == CONN_FREE);
	conn->id = 0;
	TAILQ_INSERT_HEAD(&net->free_slots, conn, waiting);
}

struct conn *conn_find(struct net *net, uint64_t id)
{
	uint32_t slot = slot_of(id);
	struct conn *conn = &net->conns[slot];

	if (slot >= net->front->slot_fresh || conn->id != id ||
		!conn_is_open(conn))
		return NULL;
	return conn;
}

void conn_each(struct net *net, void (*visit)(struct net *, struct conn *))
{
	for (uint32_t i = 0; i < net->front->slot_fresh; i++)
		if (conn_is_open(&net->conns[i]))
			visit(net, &net->conns[i]);
}

/* ---- waiting ---- */

void conn_rearm(struct net *net, struct conn *conn)
{
	unsigned want = LOOP_WANT_NONE;

	if (conn->state == CONN_LINGERING ||
		(conn->state == CONN_SERVING && !conn->owed &&
			!(conn->flags & CONN_AWAITS)))
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

static void tell_owed(struct net *net, struct conn *conn)
{
	char *text = (char *)conn->owed;

	journal_set(&net->front->journal, &conn->owed, 0);
	output_put_error(net, conn, text, strlen(text));
	journal_commit(&net->front->journal);
	store_give(&net->store, text);
}

void conn_settle(struct net *net, struct conn *conn)
{
	bool go_on = is_relieved(conn), lingers;

	if (go_on)
		conn_stop_awaiting(net, conn);
	if (conn->owed && conn->unanswered == 0) {
		tell_owed(net, conn);
		go_on = true;
	}
	if (go_on && conn->state == CONN_SERVING && !conn->owed)
		inbound_continue(net, conn);
	if (conn->state != CONN_FINISHING || conn->unanswered > 0)
		return;
	lingers = (conn->marks & CONN_LINGERS) && !net->drain_until_ms;
	if (lingers || buffer_used(&conn->out) > 0)
		inbound_part(net, conn);
	if (buffer_used(&conn->out) > 0)
		return;
	if (lingers)
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
	codec_request_reset(&in->req);
	if (in->req.argv_room > FREE_INBOX_ARGV_MAX ||
		in->req.text_room > FREE_INBOX_TEXT_MAX)
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

/* ---- after a predecessor's death ---- */

static void resume_input(struct net *net, struct conn *conn)
{
	if (!buffer_used(&conn->in)) {
		buffer_release(&net->store, &conn->in);
		return;
	}
	conn->inbox = inbox_take(net);
	if (conn->inbox)
		conn->inbox->buf = &conn->in;
	else
		conn_close(net, conn);
}

static void resume_open(struct net *net, struct conn *conn)
{
	loop_watch(net->loop, slot_of(conn->id), conn, conn->fd);
	count_open(net, +1);
	rf_status_add(net->status->clients_resumed, 1);
	net->unanswered += conn->unanswered;
	net->lingering_count += conn->state == CONN_LINGERING;
	if (conn->state == CONN_SERVING)
		resume_input(net, conn);
	else
		buffer_release(&net->store, &conn->in);
	if (!conn_is_open(conn))
		return;
	output_resume(net, conn);
	if (!conn_is_open(conn))
		return;
	conn_rearm(net, conn);
	if (conn->state == CONN_FINISHING || conn->owed)
		conn_settle(net, conn);
	else if (conn->state != CONN_LINGERING)
		inbound_continue(net, conn);
}

void conn_resume(struct net *net, struct conn *conn)
{
	conn->flags = 0;
	conn->wanted = LOOP_WANT_NONE;
	conn->inbox = NULL;
	if (conn->state == CONN_FREE) {
		conn_free(net, conn);
	} else if (conn->state == CONN_CLOSED) {
		net->unanswered += conn->unanswered;
		discard(net, conn);
		inbound_continue(net, conn);
	} else {
		resume_open(net, conn);
	}
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
