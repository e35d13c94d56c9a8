/* SPDX-License-Identifier: MIT */
/* test_net_death.c -- the network child is killed anywhere, and the clients
 * see nothing of it.
 *
 * One scripted exchange is played again and again; each time the network child
 * is killed at another instant of it: before and after every system call, and
 * at instructions in between. The clients must see exactly the bytes that were
 * replied, the business side exactly the requests that were sent, each once. */
#include "net_keeper.h"
#include "net_unix.h"

#include <time.h>

#define BIG_BYTES  ((size_t)700 << 10)
#define PART_BYTES ((size_t)100 << 10)
#define SPAN_MAX   4000 /* instructions between two system calls, about */

static uint8_t big[BIG_BYTES];

static void hear_big(int fd, size_t bytes)
{
	static uint8_t got[BIG_BYTES];

	assert_int_equal(recv(fd, got, bytes, MSG_WAITALL), bytes);
	assert_memory_equal(got, big, bytes);
}

static void play_small(struct stage *s, int fd, uint64_t conn)
{
	say(fd, "PING\r\n*2\r\n$3\r\nGET\r\n$1\r\na\r\n*2\r\n$3\r\nGE");
	assert_int_equal(expect_request(s, "PING"), conn);
	assert_int_equal(expect_request(s, "GET|a"), conn);
	reply(s, conn, "+PONG\r\n");
	hear(fd, "+PONG\r\n");
	say(fd, "T\r\n$1\r\nb\r\nECHO \"x y\" z\r\n");
	assert_int_equal(expect_request(s, "GET|b"), conn);
	assert_int_equal(expect_request(s, "ECHO|x y|z"), conn);
	reply(s, conn, "$1\r\n1\r\n");
	reply(s, conn, "$1\r\n2\r\n");
	post(s, conn, RF_MSG_ERROR, 0, "OOM none");
	hear(fd, "$1\r\n1\r\n$1\r\n2\r\n-OOM none\r\n");
}

static void play_large(struct stage *s, int fd, uint64_t conn)
{
	struct message got;
	char head[64];

	snprintf(head, sizeof(head), "*2\r\n$3\r\nSET\r\n$%zu\r\n", BIG_BYTES);
	say(fd, head);
	say_bytes(fd, big, BIG_BYTES);
	say(fd, "\r\nPING\r\n");
	got = expect_message(s, RF_MSG_REQUEST);
	assert_int_equal(got.head.payload_bytes, 12 + 3 + BIG_BYTES);
	assert_memory_equal(got.payload + 15, big, BIG_BYTES);
	expect_request(s, "PING");
	/* More than the socket takes at once. */
	for (int i = 0; i < 8; i++)
		if (i < 2)
			post_bytes(s, conn, RF_MSG_REPLY, 0, big, BIG_BYTES);
		else
			post_bytes(s, conn, RF_MSG_PUSH, 0, big, BIG_BYTES);
	post_bytes(s, conn, RF_MSG_PUSH, 0, big, PART_BYTES);
	post(s, conn, RF_MSG_PUSH, 0, "+end\r\n");
	for (int i = 0; i < 8; i++)
		hear_big(fd, BIG_BYTES);
	hear_big(fd, PART_BYTES);
	hear(fd, "+end\r\n");
}

/* Many pushes as one message, some of them for nobody. */
static void play_pushes(struct stage *s, int fd, uint64_t conn)
{
	const uint64_t conns[] = {conn, conn + (1 << RF_CONN_SLOT_BITS)};

	post_pushes(s, 64, conns, 2, 24, big, PART_BYTES / 10 + 3);
	post_pushes(s, 0, conns, 1, 300, "+short\r\n", 8);
	post_pushes(s, 0, conns, 1, 3, big, PART_BYTES);
	post(s, conn, RF_MSG_PUSH, 0, "+end\r\n");
	for (int i = 0; i < 12; i++)
		hear_big(fd, PART_BYTES / 10 + 3);
	for (int i = 0; i < 300; i++)
		hear(fd, "+short\r\n");
	for (int i = 0; i < 3; i++)
		hear_big(fd, PART_BYTES);
	hear(fd, "+end\r\n");
}

/* Each ends its connection in another way. */
static void play_end(struct stage *s, int (*call)(struct stage *))
{
	int fd = call(s);
	uint64_t conn = expect_message(s, RF_MSG_OPEN).head.conn_id;

	say(fd, "PING\r\n*1\r\n!\r\nPING\r\n");
	assert_int_equal(expect_request(s, "PING"), conn);
	reply(s, conn, "+PONG\r\n");
	hear(fd, "+PONG\r\n-ERR Protocol error: expected '$', got '!'\r\n");
	close(fd);
	assert_int_equal(expect_message(s, RF_MSG_CLOSE).head.conn_id, conn);
	fd = call(s);
	conn = expect_message(s, RF_MSG_OPEN).head.conn_id;
	say(fd, "QUIT\r\nPING\r\n");
	expect_request(s, "QUIT");
	expect_request(s, "PING");
	post(s, conn, RF_MSG_REPLY, RF_MSG_LAST_WORD, "+OK\r\n");
	hear(fd, "+OK\r\n");
	hear_end(fd);
	assert_int_equal(expect_message(s, RF_MSG_CLOSE).head.conn_id, conn);
	fd = call(s);
	conn = expect_message(s, RF_MSG_OPEN).head.conn_id;
	say(fd, "PING\r\n*1");
	shutdown(fd, SHUT_WR);
	expect_request(s, "PING");
	reply(s, conn, "+PONG\r\n");
	hear(fd, "+PONG\r\n");
	hear_end(fd);
	assert_int_equal(expect_message(s, RF_MSG_CLOSE).head.conn_id, conn);
}

static int call_unix(struct stage *s)
{
	(void)s;
	return dial_unix();
}

enum script {
	SCRIPT_SMALL = 1,
	SCRIPT_LARGE = 2,
	SCRIPT_END = 4,
	SCRIPT_PUSHES = 8
};

/* Returns the number of deaths. */
static int play(unsigned script, int (*call)(struct stage *), struct plan plan)
{
	struct keeper k;
	struct stage s;
	uint64_t conn;
	int fd, deaths;

	stage_set(&s, NULL);
	stage_listen_unix(&s);
	keeper_start(&s, &k, plan);
	expect_message(&s, RF_MSG_RESET);
	fd = call(&s);
	conn = expect_message(&s, RF_MSG_OPEN).head.conn_id;
	if (script & SCRIPT_SMALL)
		play_small(&s, fd, conn);
	if (script & SCRIPT_LARGE)
		play_large(&s, fd, conn);
	if (script & SCRIPT_PUSHES)
		play_pushes(&s, fd, conn);
	if (script & SCRIPT_END)
		play_end(&s, call);
	close(fd);
	assert_int_equal(expect_message(&s, RF_MSG_CLOSE).head.conn_id, conn);
	assert_false(has_message(&s));
	deaths = *k.deaths;
	keeper_end(&s, &k);
	return deaths;
}

static void sweep(unsigned script, int (*call)(struct stage *), int stride)
{
	int calls = 1;

	/* Until the script ends before its turn has come. */
	while (play(script, call, (struct plan){.calls = calls}) > 0)
		calls += stride;
	print_message("%d system call stops\n", calls);
	assert_true(calls > 50);
}

static void a_death_at_any_system_call_is_not_seen(void **state)
{
	(void)state;
	sweep(SCRIPT_SMALL | SCRIPT_END, dial, 1);
	sweep(SCRIPT_SMALL | SCRIPT_END, call_unix, 1);
}

static void a_death_amid_large_messages_is_not_seen(void **state)
{
	(void)state;
	sweep(SCRIPT_LARGE, dial, 3);
	sweep(SCRIPT_LARGE, call_unix, 3);
}

/* What matters here lies between system calls. */
static void a_death_amid_many_pushes_is_not_seen(void **state)
{
	unsigned seed = (unsigned)time(NULL);

	(void)state;
	print_message("seed %u\n", seed);
	srandom(seed);
	for (int i = 0; i < 120; i++)
		play(SCRIPT_PUSHES, i % 2 ? dial : call_unix,
			(struct plan){
				.calls = 1 + i % 40,
				.steps = 1 + (int)(random() % SPAN_MAX),
			});
}

static void a_death_at_any_instruction_is_not_seen(void **state)
{
	unsigned seed = (unsigned)time(NULL);

	(void)state;
	print_message("seed %u\n", seed);
	srandom(seed);
	for (int i = 0; i < 150; i++)
		play(i % 10 ? SCRIPT_SMALL | SCRIPT_END : SCRIPT_LARGE,
			i % 2 ? dial : call_unix,
			(struct plan){
				.calls = 1 + (int)(random() % 120),
				.steps = 1 + (int)(random() % SPAN_MAX),
				.again_us =
					i % 3 ? 0 : 1 + (int)(random() % 3000),
			});
}

static int set_up(void **state)
{
	(void)state;
	for (size_t i = 0; i < BIG_BYTES; i++)
		big[i] = (uint8_t)(i * 2654435761u >> 13);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_death_at_any_system_call_is_not_seen),
		cmocka_unit_test(a_death_amid_large_messages_is_not_seen),
		cmocka_unit_test(a_death_amid_many_pushes_is_not_seen),
		cmocka_unit_test(a_death_at_any_instruction_is_not_seen),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
