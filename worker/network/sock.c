/* SPDX-License-Identifier: MIT */
/* sock.c -- reading and writing sockets so that a death in between is exact.
 *
 * The problem. A process that is killed right behind a system call has not
 * noted what the call did: the next one would send or drop bytes twice.
 * The idea. The kernel knows, and there is memory that outlives the process:
 *
 *   TCP    counts what it received and what was acknowledged; less what waits
 *          to be read, more what waits to be acknowledged, that is what was
 *          ever read and written. Not so once it was reset: then it is
 *          closed                                        redo_tcp()
 *   unix   counts nothing, but recvmmsg() and sendmmsg() store their result
 *          into the ledger before they return, and a process that is killed
 *          leaves a call only at its end. (They would do for TCP, too, at 120
 *          ns a call.)
 *
 * At any instant
 *
 *   ledger.op is NONE   the buffers tell the truth
 *   otherwise           the call may have been made: its result is found out,
 *                       and added to what the buffers say
 *
 *   S1  the op, its result and the connection's counts are noted in one commit
 *                                       settle_received(), settle_sent()
 *   S2  a successor does the same from the ledger               sock_redo()
 */
#include "network.h"
#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <refork/log.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* tcpi_state */
#define RESET 7 /* or timed out: over, in any case */
#define ENDED 8 /* the client has ended its side, we have not */

#define COUNTS_TRIES 1000

static void open_entry(struct ledger *l, enum ledger_op op, int parts)
{
	l->call.msg_hdr.msg_iov = l->parts;
	l->call.msg_hdr.msg_iovlen = (size_t)parts;
	*(volatile unsigned int *)&l->call.msg_len = LEDGER_UNKNOWN;
	front_barrier();
	*(volatile uint64_t *)&l->op = op;
	front_barrier();
}

static void close_entry(struct ledger *l)
{
	front_barrier();
	*(volatile uint64_t *)&l->op = LEDGER_NONE;
	front_barrier();
}

static void settle_received(struct front *front)
{
	struct ledger *l = &front->ledger;

	journal_set(&front->moves, &l->into->end, l->from + l->call.msg_len);
	journal_set(&front->moves, &l->conn->received,
		l->conn->received + l->call.msg_len);
	journal_set(&front->moves, &l->op, LEDGER_NONE);
	journal_commit(&front->moves);
}

/* What was buffered goes first; the rest was of the message in the ring. */
static void settle_sent(struct front *front)
{
	struct ledger *l = &front->ledger;
	uint64_t took = l->call.msg_len;

	if (took < l->buffered) {
		journal_set(&front->moves, &l->conn->out.start, l->from + took);
	} else {
		journal_set(&front->moves, &l->conn->out.start, l->from);
		journal_set(&front->moves, &l->conn->out.end, l->from);
		journal_set(&front->moves, &front->reply_sent,
			front->reply_sent + took - l->buffered);
	}
	journal_set(&front->moves, &l->conn->sent, l->conn->sent + took);
	journal_set(&front->moves, &l->op, LEDGER_NONE);
	journal_commit(&front->moves);
}

/* ---- the calls ---- */

bool sock_is_tcp(int fd)
{
	int protocol = 0;
	socklen_t bytes = sizeof(protocol);

	return getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &bytes) ==
		       0 &&
	       protocol == IPPROTO_TCP;
}

static bool receive_unix(struct conn *conn, struct ledger *l)
{
	int got = recvmmsg(conn->fd, &l->call, 1, MSG_DONTWAIT, NULL);

	/* The client left without reading all replies. recvmmsg(), unlike
	 * recv(), says so before it hands out the last requests. */
	if (got < 0 && errno == ECONNRESET)
		got = recvmmsg(conn->fd, &l->call, 1, MSG_DONTWAIT, NULL);
	return got == 1;
}

static bool receive(struct conn *conn, struct ledger *l)
{
	ssize_t got;

	if (!conn->is_tcp)
		return receive_unix(conn, l);
	got = recv(conn->fd, l->parts[0].iov_base, l->parts[0].iov_len,
		MSG_DONTWAIT);
	l->call.msg_len = (unsigned int)got;
	return got >= 0;
}

static bool transmit(struct conn *conn, struct ledger *l)
{
	const int flags = MSG_NOSIGNAL | MSG_DONTWAIT;
	ssize_t took;

	if (!conn->is_tcp)
		return sendmmsg(conn->fd, &l->call, 1, flags) == 1;
	took = l->call.msg_hdr.msg_iovlen == 1
		       ? send(conn->fd, l->parts[0].iov_base,
				 l->parts[0].iov_len, flags)
		       : sendmsg(conn->fd, &l->call.msg_hdr, flags);
	l->call.msg_len = (unsigned int)took;
	return took >= 0;
}

ssize_t sock_receive(struct net *net, struct conn *conn, struct buffer *into,
	size_t bytes_max)
{
	struct front *front = net->front;
	struct ledger *l = &front->ledger;

	l->conn = conn;
	l->into = into;
	l->from = into->end;
	l->parts[0] = (struct iovec){into->bytes + into->end, bytes_max};
	open_entry(l, LEDGER_RECEIVE, 1);
	if (!receive(conn, l)) {
		close_entry(l);
		return -1;
	}
	settle_received(front);
	return (ssize_t)l->call.msg_len;
}

ssize_t sock_send(
	struct net *net, struct conn *conn, const void *bytes, size_t count)
{
	struct front *front = net->front;
	struct ledger *l = &front->ledger;
	size_t buffered = buffer_used(&conn->out);
	int parts = 0;

	if (buffered)
		l->parts[parts++] = (struct iovec){
			conn->out.bytes + conn->out.start, buffered};
	if (count)
		l->parts[parts++] = (struct iovec){(void *)bytes, count};
	l->conn = conn;
	l->from = conn->out.start;
	l->buffered = buffered;
	open_entry(l, LEDGER_SEND, parts);
	if (!transmit(conn, l)) {
		close_entry(l);
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	}
	settle_sent(front);
	if (conn->out.room && buffer_used(&conn->out) == 0)
		buffer_release(&net->store, &conn->out);
	conn->active_at_ms = net->now_ms;
	rf_status_add(net->status->bytes_out, l->call.msg_len);
	return (ssize_t)l->call.msg_len;
}

void sock_refuse(struct net *net, int fd, void *text, size_t count)
{
	struct ledger *l = &net->front->ledger;

	l->fd = fd;
	l->parts[0] = (struct iovec){text, count};
	open_entry(l, LEDGER_REFUSE, 1);
	/* Best effort: a fresh socket has room for one line. */
	(void)!sendmmsg(fd, &l->call, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
	close_entry(l);
}

/* ---- after a predecessor's death ---- */

struct tcp_counts {
	uint64_t received;
	uint64_t acked;
	uint8_t state;
};

static bool read_counts(int fd, struct tcp_counts *counts)
{
	struct tcp_info info = {0};
	socklen_t bytes = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &bytes))
		return false;
	*counts = (struct tcp_counts){.received = info.tcpi_bytes_received,
		.acked = info.tcpi_bytes_acked,
		.state = info.tcpi_state};
	return true;
}

/* All of one instant: the client goes on sending and acknowledging. */
static bool count(int fd, struct tcp_counts *counts, int *unread, int *unacked)
{
	struct tcp_counts after;

	for (int i = 0; i < COUNTS_TRIES; i++) {
		if (!read_counts(fd, counts) || ioctl(fd, SIOCINQ, unread) ||
			ioctl(fd, SIOCOUTQ, unacked) ||
			!read_counts(fd, &after))
			return false;
		if (after.received == counts->received &&
			after.acked == counts->acked &&
			after.state == counts->state)
			return true;
	}
	return false;
}

/* What the call did, or LEDGER_UNKNOWN. */
static unsigned int tcp_result(const struct ledger *l)
{
	const struct conn *conn = l->conn;
	struct tcp_counts counts;
	uint64_t offered = 0, done;
	int unread, unacked;

	if (!count(conn->fd, &counts, &unread, &unacked))
		return LEDGER_UNKNOWN;
	for (size_t i = 0; i < l->call.msg_hdr.msg_iovlen; i++)
		offered += l->parts[i].iov_len;
	if (l->op == LEDGER_SEND) {
		done = counts.acked + (uint64_t)unacked - conn->sent;
	} else {
		done = counts.received - (uint64_t)unread - conn->received;
		/* The end of the stream counts as a byte received. */
		done -= counts.state == ENDED;
	}
	return counts.state != RESET && done <= offered ? (unsigned int)done
							: LEDGER_UNKNOWN;
}

/* Nobody knows where its streams stand: they must not go on. */
static void redo_tcp(struct ledger *l)
{
	l->call.msg_len = tcp_result(l);
	if (l->call.msg_len == LEDGER_UNKNOWN)
		front_store(&l->conn->state, CONN_CLOSED);
}

int sock_redo(struct front *front)
{
	struct ledger *l = &front->ledger;
	int refused = -1;

	if ((l->op == LEDGER_RECEIVE || l->op == LEDGER_SEND) &&
		l->conn->is_tcp)
		redo_tcp(l);
	if (l->call.msg_len == LEDGER_UNKNOWN)
		close_entry(l);
	if (l->op == LEDGER_RECEIVE)
		settle_received(front);
	else if (l->op == LEDGER_SEND)
		settle_sent(front);
	else if (l->op == LEDGER_REFUSE)
		refused = (int)l->fd;
	close_entry(l);
	return refused;
}
