/* SPDX-License-Identifier: MIT */
/* test_net_flow.c -- much, big, slow: back-pressure in the network child. */
#include "net_stage.h"
#include <worker/network/front.h>

#define MIB ((size_t)1 << 20)

static uint8_t *pattern(size_t bytes, unsigned seed)
{
	uint8_t *at = malloc(bytes);

	for (size_t i = 0; i < bytes; i++)
		at[i] = (uint8_t)((i * 31 + (i >> 12) + seed) & 0xff);
	return at;
}

/* A process of its own, so that it may block: says everything, then ends. */
static pid_t say_aside(int fd, const char *head, const void *body, size_t bytes)
{
	pid_t pid = fork();

	if (pid == 0) {
		say(fd, head);
		say_bytes(fd, body, bytes);
		say(fd, "\r\n");
		_exit(0);
	}
	return pid;
}

static void expect_echo(
	const struct message *got, const void *body, size_t bytes)
{
	const uint32_t *payload = (const uint32_t *)got->payload;

	assert_int_equal(payload[0], 2);
	assert_int_equal(payload[1], 4);
	assert_int_equal(payload[2], bytes);
	assert_memory_equal(payload + 3, "ECHO", 4);
	assert_memory_equal(payload + 4, body, bytes);
}

static void large_requests_take_turns_and_others_pass(void **state)
{
	struct stage s;
	uint8_t *body[2] = {pattern(3 * MIB, 1), pattern(3 * MIB, 2)};
	char head[64];
	struct message got;
	uint64_t conn[3], first;
	int fd[3];

	(void)state;
	snprintf(head, sizeof(head), "*2\r\n$4\r\nECHO\r\n$%zu\r\n", 3 * MIB);
	stage_start(&s, NULL);
	expect_message(&s, RF_MSG_RESET);
	for (int i = 0; i < 3; i++)
		conn[i] = meet(&s, &fd[i]);
	for (int i = 0; i < 2; i++)
		waitpid(say_aside(fd[i], head, body[i], 3 * MIB), NULL, 0);
	got = expect_message(&s, RF_MSG_REQUEST);
	assert_int_equal(got.head.flags, RF_MSG_LARGE);
	first = got.head.conn_id;
	/* It is not released yet: the other large one has to wait. */
	usleep(100000);
	assert_false(has_message(&s));
	say(fd[2], "PING\r\n");
	while (!has_message(&s))
		usleep(1000);
	expect_echo(&got, body[first == conn[1]], 3 * MIB);
	assert_int_equal(expect_request(&s, "PING"), conn[2]);
	got = expect_message(&s, RF_MSG_REQUEST);
	assert_int_equal(got.head.conn_id, conn[first == conn[0]]);
	expect_echo(&got, body[got.head.conn_id == conn[1]], 3 * MIB);
	for (int i = 0; i < 3; i++)
		close(fd[i]);
	free(body[0]);
	free(body[1]);
	stage_end(&s);
}

static void a_large_reply_arrives_whole(void **state)
{
	struct stage s;
	size_t bytes = 20 * MIB;
	uint8_t *body = pattern(bytes, 3), *heard = malloc(bytes);
	uint64_t conn;
	int fd;

	(void)state;
	stage_start(&s, NULL);
	expect_message(&s, RF_MSG_RESET);
	conn = meet(&s, &fd);
	say(fd, "PING\r\nGET k\r\nPING\r\n");
	expect_request(&s, "PING");
	expect_request(&s, "GET|k");
	expect_request(&s, "PING");
	reply(&s, conn, "+PONG\r\n");
	post_bytes(&s, conn, RF_MSG_REPLY, 0, body, bytes);
	/* Free again although nobody has read yet. */
	await_reply_room(&s, RF_RING_BYTES);
	reply(&s, conn, "+pong\r\n");
	hear(fd, "+PONG\r\n");
	assert_int_equal(recv(fd, heard, bytes, MSG_WAITALL), bytes);
	assert_memory_equal(heard, body, bytes);
	hear(fd, "+pong\r\n");
	close(fd);
	free(body);
	free(heard);
	stage_end(&s);
}

static void a_client_that_never_reads_is_closed_and_stalls_nobody(void **state)
{
	static const char *const overrides[] = {
		"network.client_output_limit=4M", NULL};
	struct stage s;
	struct message got = {0};
	uint8_t *body = pattern(200000, 4);
	uint64_t deaf, other;
	int deaf_fd, fd;

	(void)state;
	stage_start(&s, overrides);
	expect_message(&s, RF_MSG_RESET);
	deaf = meet(&s, &deaf_fd);
	other = meet(&s, &fd);
	for (int i = 0; i < 200; i++) {
		post_bytes(&s, deaf, RF_MSG_PUSH, 0, body, 200000);
		say(fd, "PING\r\n");
		got = take_message(&s);
		if (got.head.type == RF_MSG_CLOSE)
			break;
		expect_arguments(&got, "PING");
		reply(&s, other, "+PONG\r\n");
		hear(fd, "+PONG\r\n");
	}
	assert_int_equal(got.head.type, RF_MSG_CLOSE);
	assert_int_equal(got.head.conn_id, deaf);
	assert_int_equal(s.child.status->network.closed_output_limit, 1);
	close(fd);
	close(deaf_fd);
	free(body);
	stage_end(&s);
}

static void a_slow_client_is_not_read_until_it_reads(void **state)
{
	struct stage s;
	uint8_t *body = pattern(200000, 5);
	uint8_t *heard = malloc(200000);
	uint64_t conn;
	int fd, count = 0;

	(void)state;
	stage_start(&s, NULL);
	expect_message(&s, RF_MSG_RESET);
	conn = meet(&s, &fd);
	/* Ask as long as it listens. */
	for (int idle_ms = 0; idle_ms < 200;) {
		if (!has_message(&s)) {
			say(fd, "GET k\r\n");
			usleep(10000);
			idle_ms += 10;
			continue;
		}
		idle_ms = 0;
		expect_request(&s, "GET|k");
		post_bytes(&s, conn, RF_MSG_REPLY, 0, body, 200000);
		assert_in_range(++count, 1, 200);
	}
	/* Now it reads: what it asked meanwhile is heard. */
	for (int i = 0; i < count; i++) {
		assert_int_equal(recv(fd, heard, 200000, MSG_WAITALL), 200000);
		assert_memory_equal(heard, body, 200000);
	}
	expect_request(&s, "GET|k");
	reply(&s, conn, "+last\r\n");
	hear(fd, "+last\r\n");
	close(fd);
	free(body);
	free(heard);
	stage_end(&s);
}

static void one_client_has_a_bounded_number_of_requests_in_flight(void **state)
{
	struct stage s;
	uint64_t conn;
	int fd, taken = 0;

	(void)state;
	stage_start(&s, NULL);
	expect_message(&s, RF_MSG_RESET);
	conn = meet(&s, &fd);
	for (int i = 0; i < 3000; i++)
		say(fd, "PING\r\n");
	usleep(200000);
	for (; has_message(&s); taken++)
		expect_request(&s, "PING");
	assert_int_equal(taken, 1024);
	for (int i = 0; i < taken; i++)
		reply(&s, conn, "+PONG\r\n");
	for (; taken < 3000; taken++) {
		expect_request(&s, "PING");
		reply(&s, conn, "+PONG\r\n");
	}
	for (int i = 0; i < 3000; i++)
		hear(fd, "+PONG\r\n");
	close(fd);
	stage_end(&s);
}

static void replies_do_not_wait_for_the_clock(void **state)
{
	struct stage s;
	uint64_t conn;
	int64_t begun_at_ms;
	int fd;

	(void)state;
	stage_start(&s, NULL);
	expect_message(&s, RF_MSG_RESET);
	conn = meet(&s, &fd);
	begun_at_ms = rf_monotonic_ms();
	for (int i = 0; i < 20; i++) {
		say(fd, "PING\r\n");
		expect_request(&s, "PING");
		usleep(2000); /* it sleeps by now */
		reply(&s, conn, "+PONG\r\n");
		hear(fd, "+PONG\r\n");
	}
	/* A tick each would take 10 s. */
	assert_in_range(rf_monotonic_ms() - begun_at_ms, 0, 4000);
	close(fd);
	stage_end(&s);
}

/* Requests of 10,000 bytes, numbered, until nobody accepts more. */
static unsigned fill_ring(int *fds, unsigned count, unsigned each)
{
	static const char head[] = "*2\r\n$4\r\nECHO\r\n$10000\r\n";
	char body[10003];

	memset(body, 'x', sizeof(body));
	memcpy(body + 10000, "\r\n", 2);
	for (unsigned i = 0; i < each * count; i++) {
		snprintf(body, 9, "%08u", i);
		body[8] = 'x';
		say(fds[i % count], head);
		say_bytes(fds[i % count], body, 10002);
	}
	return each * count;
}

static void a_full_ring_loses_nothing(void **state)
{
	enum { CLIENTS = 8, EACH = 30 };
	struct stage s;
	uint64_t conn[CLIENTS], idle, late = 0;
	int fd[CLIENTS], idle_fd, late_fd;
	unsigned asked, closes = 0, next[CLIENTS];

	(void)state;
	stage_start(&s, NULL);
	expect_message(&s, RF_MSG_RESET);
	for (unsigned i = 0; i < CLIENTS; i++) {
		conn[i] = meet(&s, &fd[i]);
		next[i] = i;
	}
	idle = meet(&s, &idle_fd);
	release_requests(&s);
	asked = fill_ring(fd, CLIENTS, EACH);
	late_fd = dial(&s);
	say(late_fd, "PING\r\n");
	for (unsigned i = 0; i < CLIENTS; i++)
		shutdown(fd[i], SHUT_WR);
	usleep(200000);
	close(idle_fd);
	usleep(100000);
	/* It does not poll for room, it asks to be told. */
	assert_int_equal(s.channel.shm->request.producer_waits, 1);
	assert_true(rf_ring_room(&s.channel.request.ring,
			    s.channel.shm->request.head) < 20000);
	for (unsigned i = 0; i < asked + CLIENTS + 3; i++) {
		struct message got = take_message(&s);
		unsigned who = 0;

		while (who < CLIENTS && conn[who] != got.head.conn_id)
			who++;
		closes += got.head.type == RF_MSG_CLOSE;
		if (got.head.conn_id == idle) {
			continue;
		} else if (who == CLIENTS) {
			late = got.head.conn_id;
			continue;
		} else if (got.head.type == RF_MSG_CLOSE) {
			assert_int_equal(next[who], asked + who);
			continue;
		}
		assert_int_equal(
			strtoul((const char *)got.payload + 16, NULL, 10),
			next[who]);
		next[who] += CLIENTS;
		reply(&s, conn[who], "+OK\r\n");
	}
	assert_int_equal(closes, CLIENTS + 1);
	for (unsigned i = 0; i < asked; i++)
		hear(fd[i % CLIENTS], "+OK\r\n");
	for (unsigned i = 0; i < CLIENTS; i++)
		hear_end(fd[i]);
	reply(&s, late, "+PONG\r\n");
	hear(late_fd, "+PONG\r\n");
	close(late_fd);
	stage_end(&s);
}

static void a_full_reply_ring_is_drained(void **state)
{
	enum { REPLIES = 1000 };
	struct stage s;
	uint8_t *body = pattern(9000, 6), *heard = malloc(9000);
	uint64_t conn;
	int fd;

	(void)state;
	stage_start(&s, NULL);
	expect_message(&s, RF_MSG_RESET);
	conn = meet(&s, &fd);
	for (int i = 0; i < REPLIES; i++)
		say(fd, "GET k\r\n");
	for (int i = 0; i < REPLIES; i++)
		expect_request(&s, "GET|k");
	for (int i = 0; i < REPLIES; i++)
		post_bytes(&s, conn, RF_MSG_REPLY, 0, body, 9000);
	for (int i = 0; i < REPLIES; i++) {
		assert_int_equal(recv(fd, heard, 9000, MSG_WAITALL), 9000);
		assert_memory_equal(heard, body, 9000);
	}
	close(fd);
	free(body);
	free(heard);
	stage_end(&s);
}

static void a_ring_of_nonsense_ends_the_child(void **state)
{
	static const struct rf_msg nonsense[] = {
		{.ring_bytes = 24, .type = 0},
		{.ring_bytes = 24, .type = RF_MSG_OPEN},
		{.ring_bytes = 24, .type = RF_MSG_TYPE_COUNT},
		{.ring_bytes = 24, .type = RF_MSG_REPLY, .payload_bytes = 1},
		{.ring_bytes = 20, .type = RF_MSG_REPLY},
		{.ring_bytes = 24,
			.type = RF_MSG_REPLY,
			.flags = RF_MSG_LARGE,
			.payload_bytes = UINT64_C(1) << 40},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++) {
		struct stage s;

		stage_start(&s, NULL);
		*rf_ring_slot(&s.channel.reply.ring, 0) = nonsense[i];
		rf_ring_publish(&s.channel.reply.ring, 24, false);
		rf_bell_ring(s.channel.bell_network);
		assert_int_equal(stage_reap(&s), RF_CHILD_EXIT_CHANNEL << 8);
		stage_fini(&s);
	}
}

/* Whatever it is that stands there: the child ends, and by itself. */
static void expect_its_end(const struct rf_msg *msg, const struct rf_msg *push)
{
	struct stage s;

	stage_start(&s, NULL);
	assert_int_equal(rf_lane_back(&s.channel, &s.channel.reply, 64), 0);
	memcpy(s.channel.reply.large, push, sizeof(*push));
	*rf_ring_slot(&s.channel.reply.ring, 0) = *msg;
	rf_ring_publish(&s.channel.reply.ring, 24, false);
	rf_bell_ring(s.channel.bell_network);
	assert_int_equal(stage_reap(&s), RF_CHILD_EXIT_CHANNEL << 8);
	stage_fini(&s);
}

static void pushes_that_are_none_end_the_child(void **state)
{
	const struct rf_msg whole = {.ring_bytes = 24,
		.type = RF_MSG_PUSHES,
		.flags = RF_MSG_LARGE,
		.payload_bytes = 48};
	const struct rf_msg good = {
		.ring_bytes = 32, .type = RF_MSG_PUSH, .payload_bytes = 8};
	struct rf_msg messages[] = {whole, whole, whole, whole};
	struct rf_msg pushes[] = {good, good, good, good, good};

	(void)state;
	messages[0].flags = 0;
	messages[0].payload_bytes = 0;
	messages[1].conn_id = UINT64_MAX - 8;
	messages[2].payload_bytes = UINT64_MAX - 8;
	messages[3].payload_bytes = 40; /* ends within a header */
	pushes[0].type = RF_MSG_REPLY;
	pushes[1].type = RF_MSG_PUSHES;
	pushes[2].flags = RF_MSG_LARGE;
	pushes[3].payload_bytes = 25;
	pushes[4].payload_bytes = UINT64_MAX - 30;
	for (size_t i = 0; i < sizeof(messages) / sizeof(*messages); i++)
		expect_its_end(&messages[i], &good);
	for (size_t i = 0; i < sizeof(pushes) / sizeof(*pushes); i++)
		expect_its_end(&whole, &pushes[i]);
}

static void many_pushes_reach_each_of_their_clients(void **state)
{
	enum { CLIENTS = 30, EACH = 50 };
	struct stage s;
	uint8_t *body = pattern(9000, 7), *heard = malloc(9000);
	uint64_t conn[CLIENTS];
	int fd[CLIENTS];

	(void)state;
	stage_start(&s, NULL);
	expect_message(&s, RF_MSG_RESET);
	for (unsigned i = 0; i < CLIENTS; i++)
		conn[i] = meet(&s, &fd[i]);
	close(fd[0]); /* its are dropped */
	post_pushes(&s, 4096, conn, CLIENTS, CLIENTS * EACH, body, 9000);
	for (unsigned i = 1; i < CLIENTS; i++) {
		for (unsigned n = 0; n < EACH; n++) {
			assert_int_equal(
				recv(fd[i], heard, 9000, MSG_WAITALL), 9000);
			assert_memory_equal(heard, body, 9000);
		}
		assert_true(hears_nothing(fd[i], 0));
		close(fd[i]);
	}
	free(body);
	free(heard);
	stage_end(&s);
}

/* Each that is not sent yet takes memory of its own. */
static void a_push_for_everybody_needs_memory_for_some(void **state)
{
	enum { CLIENTS = 600, AT_ONCE_MAX = 200 };
	struct stage s;
	uint64_t conn[CLIENTS];
	int fd[CLIENTS];

	(void)state;
	stage_start(&s, NULL);
	expect_message(&s, RF_MSG_RESET);
	for (unsigned i = 0; i < CLIENTS; i++)
		conn[i] = meet(&s, &fd[i]);
	post_pushes(&s, 0, conn, CLIENTS, CLIENTS, "+all\r\n", 6);
	for (unsigned i = 0; i < CLIENTS; i++)
		post(&s, conn[i], RF_MSG_PUSH, 0, "+each\r\n");
	for (unsigned i = 0; i < CLIENTS; i++) {
		hear(fd[i], "+all\r\n+each\r\n");
		close(fd[i]);
	}
	assert_in_range(front_of(&s.channel)->store_fresh[0], 1, AT_ONCE_MAX);
	stage_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(large_requests_take_turns_and_others_pass),
		cmocka_unit_test(a_large_reply_arrives_whole),
		cmocka_unit_test(
			a_client_that_never_reads_is_closed_and_stalls_nobody),
		cmocka_unit_test(a_slow_client_is_not_read_until_it_reads),
		cmocka_unit_test(
			one_client_has_a_bounded_number_of_requests_in_flight),
		cmocka_unit_test(replies_do_not_wait_for_the_clock),
		cmocka_unit_test(a_full_ring_loses_nothing),
		cmocka_unit_test(a_full_reply_ring_is_drained),
		cmocka_unit_test(a_ring_of_nonsense_ends_the_child),
		cmocka_unit_test(pushes_that_are_none_end_the_child),
		cmocka_unit_test(many_pushes_reach_each_of_their_clients),
		cmocka_unit_test(a_push_for_everybody_needs_memory_for_some),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
