/* SPDX-License-Identifier: MIT */
/* test_net_sock.c -- what a system call did is found out by a successor,
 * whatever the client does meanwhile. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include "worker/network/network.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define CALLS	    60000
#define CALL_BYTES  INBOX_BYTES
#define INBOX_BYTES 4096

static struct front front;
static struct conn conn;
static uint8_t inbox[INBOX_BYTES];
static int client;

static void call(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t bytes = sizeof(at);
	int listening = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	setsockopt(listening, SOL_SOCKET, SO_OOBINLINE, &one, sizeof(one));
	assert_int_equal(
		bind(listening, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(listening, 1), 0);
	getsockname(listening, (struct sockaddr *)&at, &bytes);
	client = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(
		connect(client, (struct sockaddr *)&at, sizeof(at)), 0);
	setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	memset(&front, 0, sizeof(front));
	conn = (struct conn){.fd = accept(listening, NULL, NULL),
		.state = CONN_SERVING,
		.is_tcp = true,
		.in = {.bytes = inbox, .room = sizeof(inbox)}};
	assert_true(conn.fd >= 0);
	close(listening);
}

static void hang_up(void)
{
	close(client);
	close(conn.fd);
}

/* One call, whose process is killed right behind it. Returns its result. */
static ssize_t die_in(enum ledger_op op, size_t bytes)
{
	struct ledger *l = &front.ledger;

	l->conn = &conn;
	l->into = &conn.in;
	l->from = conn.in.end = 0;
	l->buffered = 0;
	l->parts[0] = (struct iovec){inbox, bytes};
	l->call.msg_hdr.msg_iovlen = 1;
	l->call.msg_len = LEDGER_UNKNOWN;
	l->op = op;
	return op == LEDGER_SEND ? send(conn.fd, inbox, bytes, MSG_NOSIGNAL)
				 : recv(conn.fd, inbox, bytes, 0);
}

/* A client that sends and reads as fast as it can. */
static pid_t chatter(void)
{
	pid_t pid = fork();
	char bytes[16] = "";

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		if (send(client, bytes, sizeof(bytes), MSG_DONTWAIT) < 0 &&
			recv(client, bytes, 1, MSG_DONTWAIT) < 0)
			usleep(1);
	}
}

static void a_busy_client_does_not_blur_what_was_done(void **state)
{
	uint64_t received = 0, sent = 0;
	pid_t pid;

	(void)state;
	call();
	pid = chatter();
	for (int i = 0; i < CALLS; i++) {
		bool send = i % 8 == 0;
		ssize_t done = die_in(send ? LEDGER_SEND : LEDGER_RECEIVE,
			send ? 4 : CALL_BYTES);

		*(send ? &sent : &received) += (uint64_t)done;
		assert_int_equal(sock_redo(&front), -1);
		assert_int_equal(front.ledger.op, LEDGER_NONE);
		assert_int_equal(conn.state, CONN_SERVING);
		assert_int_equal(conn.received, received);
		assert_int_equal(conn.sent, sent);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	hang_up();
}

static void the_end_of_a_stream_is_no_byte_of_it(void **state)
{
	(void)state;
	call();
	assert_int_equal(send(client, "abcdef", 6, 0), 6);
	shutdown(client, SHUT_WR);
	assert_int_equal(die_in(LEDGER_RECEIVE, 4), 4);
	sock_redo(&front);
	assert_int_equal(conn.in.end, 4);
	assert_int_equal(die_in(LEDGER_RECEIVE, 4), 2);
	sock_redo(&front);
	assert_int_equal(conn.in.end, 2);
	assert_int_equal(die_in(LEDGER_RECEIVE, 4), 0);
	sock_redo(&front);
	assert_int_equal(conn.in.end, 0);
	assert_int_equal(conn.received, 6);
	assert_int_equal(conn.state, CONN_SERVING);
	hang_up();
}

static void urgent_bytes_count(void **state)
{
	(void)state;
	call();
	assert_int_equal(send(client, "ab", 2, MSG_OOB), 2);
	assert_int_equal(send(client, "cd", 2, 0), 2);
	usleep(10000);
	while (conn.received < 4) {
		uint64_t before = conn.received;
		ssize_t got = die_in(LEDGER_RECEIVE, 4);

		sock_redo(&front);
		assert_true(got > 0);
		assert_int_equal(conn.received, before + (uint64_t)got);
	}
	hang_up();
}

static void a_stream_that_was_reset_does_not_go_on(void **state)
{
	struct linger hard = {.l_onoff = 1};

	(void)state;
	call();
	assert_int_equal(send(client, "abcdef", 6, 0), 6);
	assert_int_equal(die_in(LEDGER_RECEIVE, 4), 4);
	setsockopt(client, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(client);
	sock_redo(&front);
	assert_int_equal(front.ledger.op, LEDGER_NONE);
	assert_int_equal(conn.in.end, 0);
	assert_int_equal(conn.state, CONN_CLOSED);
	close(conn.fd);
}

static void a_client_that_leaves_replies_unread_is_still_read(void **state)
{
	struct net net = {.front = &front};
	int pair[2];

	(void)state;
	memset(&front, 0, sizeof(front));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	conn = (struct conn){
		.fd = pair[0], .in = {.bytes = inbox, .room = sizeof(inbox)}};
	assert_int_equal(send(pair[0], "reply", 5, 0), 5);
	assert_int_equal(send(pair[1], "request", 7, 0), 7);
	close(pair[1]);
	assert_int_equal(sock_receive(&net, &conn, &conn.in, 100), 7);
	assert_int_equal(conn.in.end, 7);
	assert_int_equal(sock_receive(&net, &conn, &conn.in, 100), 0);
	close(pair[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_busy_client_does_not_blur_what_was_done),
		cmocka_unit_test(the_end_of_a_stream_is_no_byte_of_it),
		cmocka_unit_test(urgent_bytes_count),
		cmocka_unit_test(a_stream_that_was_reset_does_not_go_on),
		cmocka_unit_test(
			a_client_that_leaves_replies_unread_is_still_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
