/* SPDX-License-Identifier: MIT */
/* test_net_conn.c -- the life of connections in the network child. */
#include "net_stage.h"
#include <sys/un.h>
#include <time.h>

static void a_connection_is_opened_asked_answered_and_closed(void **state)
{
	struct stage s;
	struct message opened;
	uint64_t conn;
	char peer[64];
	struct sockaddr_in own;
	socklen_t bytes = sizeof(own);
	int fd;

	(void)state;
	stage_start(&s, NULL);
	expect_message(&s, RF_MSG_RESET);
	fd = dial(&s);
	getsockname(fd, (struct sockaddr *)&own, &bytes);
	snprintf(peer, sizeof(peer), "127.0.0.1:%u", ntohs(own.sin_port));
	opened = expect_message(&s, RF_MSG_OPEN);
	conn = opened.head.conn_id;
	assert_int_equal(opened.head.payload_bytes, strlen(peer));
	assert_memory_equal(opened.payload, peer, strlen(peer));
	say(fd, "SET k v\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n");
	assert_int_equal(expect_request(&s, "SET|k|v"), conn);
	assert_int_equal(expect_request(&s, "GET|k"), conn);
	assert_int_equal(s.child.status->network.clients, 1);
	reply(&s, conn, "+OK\r\n");
	reply(&s, conn, "$1\r\nv\r\n");
	hear(fd, "+OK\r\n$1\r\nv\r\n");
	close(fd);
	assert_int_equal(expect_message(&s, RF_MSG_CLOSE).head.conn_id, conn);
	assert_int_equal(s.child.status->network.clients, 0);
	stage_end(&s);
}

static void a_protocol_error_waits_for_the_replies_before_it(void **state)
{
	struct stage s;
	uint64_t conn;
	int fd;

	(void)state;
	stage_start(&s, NULL);
	expect_message(&s, RF_MSG_RESET);
	conn = meet(&s, &fd);
	say(fd, "PING\r\n*1\r\n!\r\nPING\r\n");
	expect_request(&s, "PING");
	assert_true(hears_nothing(fd, 50));
	reply(&s, conn, "+PONG\r\n");
	hear(fd, "+PONG\r\n-ERR Protocol error: expected '$', got '!'\r\n");
	hear_end(fd);
	expect_message(&s, RF_MSG_CLOSE);
	assert_false(has_message(&s));
	stage_end(&s);
}

static void a_client_that_goes_on_sending_still_hears_its_error(void **state)
{
	static const char *const overrides[] = {"network.max_request=1M", NULL};
	static uint8_t body[8 << 20];
	struct stage s;
	int fd;

	(void)state;
	stage_start(&s, overrides);
	expect_message(&s, RF_MSG_RESET);
	meet(&s, &fd);
	say(fd, "*1\r\n$8388608\r\n");
	say_bytes(fd, body, sizeof(body));
	hear(fd, "-ERR Protocol error: invalid bulk length\r\n");
	hear_end(fd);
	expect_message(&s, RF_MSG_CLOSE);
	/* It need not end its side: that is waited for a while only. */
	meet(&s, &fd);
	say(fd, "*x\r\n");
	hear(fd, "-ERR Protocol error: invalid multibulk length\r\n");
	expect_message(&s, RF_MSG_CLOSE);
	close(fd);
	stage_end(&s);
}

static void a_half_closed_client_gets_its_replies(void **state)
{
	struct stage s;
	uint64_t conn;
	int fd;

	(void)state;
	stage_start(&s, NULL);
	expect_message(&s, RF_MSG_RESET);
	conn = meet(&s, &fd);
	say(fd, "PING\r\n*2\r\n$3\r\nGE");
	shutdown(fd, SHUT_WR);
	expect_request(&s, "PING");
	assert_true(hears_nothing(fd, 50));
	reply(&s, conn, "+PONG\r\n");
	hear(fd, "+PONG\r\n");
	hear_end(fd);
	expect_message(&s, RF_MSG_CLOSE);
	stage_end(&s);
}

static void a_last_word_is_the_last(void **state)
{
	struct stage s;
	uint64_t conn;
	int fd;

	(void)state;
	stage_start(&s, NULL);
	expect_message(&s, RF_MSG_RESET);
	conn = meet(&s, &fd);
	say(fd, "QUIT\r\nPING\r\n");
	expect_request(&s, "QUIT");
	expect_request(&s, "PING");
	post(&s, conn, RF_MSG_REPLY, RF_MSG_LAST_WORD, "+OK\r\n");
	reply(&s, conn, "+PONG\r\n");
	hear(fd, "+OK\r\n");
	hear_end(fd);
	expect_message(&s, RF_MSG_CLOSE);
	stage_end(&s);
}

static void errors_and_pushes_reach_the_client(void **state)
{
	struct stage s;
	uint64_t conn;
	int fd;

	(void)state;
	stage_start(&s, NULL);
	expect_message(&s, RF_MSG_RESET);
	conn = meet(&s, &fd);
	say(fd, "GET k\r\n");
	expect_request(&s, "GET|k");
	post(&s, conn, RF_MSG_PUSH, 0, "+news\r\n");
	reply(&s, conn + (1 << RF_CONN_SLOT_BITS), "+stranger\r\n");
	post(&s, conn, RF_MSG_ERROR, 0, "OOM out of\nmemory");
	hear(fd, "+news\r\n-OOM out of memory\r\n");
	/* A reply to nothing: this stream can't be trusted any more. */
	reply(&s, conn, "+again\r\n");
	hear_end(fd);
	expect_message(&s, RF_MSG_CLOSE);
	stage_end(&s);
}

static void one_client_too_many_is_told_so(void **state)
{
	static const char *const overrides[] = {"network.max_clients=2", NULL};
	struct stage s;
	int fd[3];

	(void)state;
	stage_start(&s, overrides);
	expect_message(&s, RF_MSG_RESET);
	meet(&s, &fd[0]);
	meet(&s, &fd[1]);
	fd[2] = dial(&s);
	hear(fd[2], "-ERR max number of clients reached\r\n");
	hear_end(fd[2]);
	assert_int_equal(s.child.status->network.clients_refused, 1);
	close(fd[1]);
	expect_message(&s, RF_MSG_CLOSE);
	meet(&s, &fd[2]);
	close(fd[0]);
	close(fd[2]);
	stage_end(&s);
}

static int64_t cpu_ms(pid_t pid)
{
	struct timespec used;
	clockid_t clock;

	assert_int_equal(clock_getcpuclockid(pid, &clock), 0);
	clock_gettime(clock, &used);
	return used.tv_sec * 1000 + used.tv_nsec / 1000000;
}

static void without_descriptors_clients_wait_in_the_backlog(void **state)
{
	struct stage s;
	int fd[40];
	int known = 0;

	(void)state;
	stage_set(&s, NULL);
	s.fd_limit = 24;
	stage_fork(&s);
	expect_message(&s, RF_MSG_RESET);
	for (int i = 0; i < 40; i++)
		fd[i] = dial(&s);
	usleep(500000);
	assert_in_range(cpu_ms(s.pid), 0, 60); /* no spinning */
	for (; has_message(&s); known++)
		expect_message(&s, RF_MSG_OPEN);
	assert_in_range(known, 1, 23);
	for (int i = 0; i < 40; i++)
		close(fd[i]);
	for (int i = 0; i < 40 - known + 40; i++)
		take_message(&s);
	assert_false(has_message(&s));
	assert_int_equal(s.child.status->network.clients, 0);
	stage_end(&s);
}

static void an_idle_client_is_closed(void **state)
{
	static const char *const overrides[] = {
		"network.client_idle_timeout=1s", NULL};
	struct stage s;
	uint64_t conn;
	int idle, asking;

	(void)state;
	stage_start(&s, overrides);
	expect_message(&s, RF_MSG_RESET);
	meet(&s, &idle);
	conn = meet(&s, &asking);
	say(asking, "PING\r\n");
	expect_request(&s, "PING");
	hear_end(idle);
	expect_message(&s, RF_MSG_CLOSE);
	assert_true(hears_nothing(asking, 1000));
	reply(&s, conn, "+PONG\r\n");
	hear(asking, "+PONG\r\n");
	close(asking);
	stage_end(&s);
}

static void a_patient_client_may_be_idle(void **state)
{
	static const char *const overrides[] = {
		"network.client_idle_timeout=1s", NULL};
	struct stage s;
	uint64_t conn;
	int idle, patient;

	(void)state;
	stage_start(&s, overrides);
	expect_message(&s, RF_MSG_RESET);
	conn = meet(&s, &patient);
	say(patient, "PING\r\n");
	expect_request(&s, "PING");
	post(&s, conn, RF_MSG_REPLY, RF_MSG_PATIENT, "");
	meet(&s, &idle);
	hear_end(idle);
	expect_message(&s, RF_MSG_CLOSE);
	assert_true(hears_nothing(patient, 1000));
	/* It begins to be idle now. */
	post(&s, conn, RF_MSG_PUSH, RF_MSG_IMPATIENT, "+PONG\r\n");
	hear(patient, "+PONG\r\n");
	assert_true(hears_nothing(patient, 800));
	hear_end(patient);
	expect_message(&s, RF_MSG_CLOSE);
	stage_end(&s);
}

static void what_is_unasked_ends_no_request(void **state)
{
	struct stage s;
	uint64_t conn;
	int fd;

	(void)state;
	stage_start(&s, NULL);
	expect_message(&s, RF_MSG_RESET);
	conn = meet(&s, &fd);
	post(&s, conn, RF_MSG_ERROR, RF_MSG_UNASKED, "ERR late");
	hear(fd, "-ERR late\r\n");
	say(fd, "PING\r\n");
	expect_request(&s, "PING");
	post(&s, conn, RF_MSG_ERROR, RF_MSG_UNASKED, "ERR late");
	reply(&s, conn, "+PONG\r\n");
	hear(fd, "-ERR late\r\n+PONG\r\n");
	/* A last word counts, whatever is unanswered. */
	say(fd, "PING\r\nPING\r\n");
	expect_request(&s, "PING");
	expect_request(&s, "PING");
	shutdown(fd, SHUT_WR);
	usleep(50000);
	post(&s, conn, RF_MSG_PUSH, 0, "+not for one that has left\r\n");
	post(&s, conn, RF_MSG_PUSH, RF_MSG_LAST_WORD, "");
	hear_end(fd);
	expect_message(&s, RF_MSG_CLOSE);
	stage_end(&s);
}

static void parked_clients_are_closed_after_park_timeout(void **state)
{
	static const char *const overrides[] = {
		"network.park_timeout=1s", NULL};
	struct stage s;
	int asking, idle;

	(void)state;
	stage_start(&s, overrides);
	expect_message(&s, RF_MSG_RESET);
	meet(&s, &asking);
	meet(&s, &idle);
	say(asking, "PING\r\n");
	expect_request(&s, "PING");
	assert_true(hears_nothing(asking, 2000)); /* slow, but serving */
	s.child.status->supervisor.business_pid = 2;
	hear_end(asking);
	expect_message(&s, RF_MSG_CLOSE);
	assert_true(hears_nothing(idle, 200));
	s.child.status->business.serving_pid = 2;
	say(idle, "PING\r\n");
	reply(&s, expect_request(&s, "PING"), "+PONG\r\n");
	hear(idle, "+PONG\r\n");
	close(idle);
	stage_end(&s);
}

static void asked_to_end_it_waits_for_the_last_reply(void **state)
{
	struct stage s;
	uint64_t conn;
	int asking, idle;

	(void)state;
	stage_start(&s, NULL);
	expect_message(&s, RF_MSG_RESET);
	meet(&s, &idle);
	conn = meet(&s, &asking);
	say(asking, "PING\r\n");
	expect_request(&s, "PING");
	kill(s.pid, SIGTERM);
	hear_end(idle);
	expect_message(&s, RF_MSG_CLOSE);
	say(asking, "PING\r\n");
	assert_true(hears_nothing(asking, 50));
	reply(&s, conn, "+PONG\r\n");
	hear(asking, "+PONG\r\n");
	hear_end(asking);
	assert_int_equal(stage_reap(&s), RF_CHILD_EXIT_ASKED << 8);
	stage_fini(&s);
}

static void asked_to_end_it_waits_no_longer_than_drain_timeout(void **state)
{
	static const char *const overrides[] = {
		"network.drain_timeout=1s", NULL};
	struct stage s;
	int fd;

	(void)state;
	stage_start(&s, overrides);
	expect_message(&s, RF_MSG_RESET);
	meet(&s, &fd);
	say(fd, "PING\r\n");
	expect_request(&s, "PING");
	kill(s.pid, SIGTERM);
	assert_int_equal(stage_reap(&s), RF_CHILD_EXIT_ASKED << 8);
	hear_end(fd);
	stage_fini(&s);
}

static void a_successor_uses_no_id_again(void **state)
{
	struct stage s;
	uint64_t before, after;
	int fd;

	(void)state;
	stage_start(&s, NULL);
	expect_message(&s, RF_MSG_RESET);
	before = meet(&s, &fd);
	say(fd, "PING\r\n");
	expect_request(&s, "PING");
	stage_kill(&s);
	hear_end(fd);
	reply(&s, before, "+PONG\r\n");
	stage_fork(&s);
	expect_message(&s, RF_MSG_RESET);
	after = meet(&s, &fd);
	assert_true(rf_conn_serial(after) > rf_conn_serial(before));
	say(fd, "PING\r\n");
	expect_request(&s, "PING");
	reply(&s, after, "+pong\r\n");
	hear(fd, "+pong\r\n");
	close(fd);
	stage_end(&s);
}

static void unix_sockets_are_served(void **state)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	struct stage s;
	struct message opened;
	int fd, listener = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	stage_set(&s, NULL);
	/* Abstract: bound to no file. */
	snprintf(at.sun_path + 1, sizeof(at.sun_path) - 1, "refork-stage-%d",
		getpid());
	assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(listener, 8), 0);
	s.child.listen_fds[s.child.listen_count] = listener;
	s.child.listen_names[s.child.listen_count++] = "unix:/run/kv.sock";
	stage_fork(&s);
	expect_message(&s, RF_MSG_RESET);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	opened = expect_message(&s, RF_MSG_OPEN);
	assert_int_equal(opened.head.payload_bytes, 17);
	assert_memory_equal(opened.payload, "unix:/run/kv.sock", 17);
	say(fd, "PING\r\n");
	reply(&s, expect_request(&s, "PING"), "+PONG\r\n");
	hear(fd, "+PONG\r\n");
	close(fd);
	stage_end(&s);
}

/* What it waits for would be taken, and told to nobody. */
static void who_gets_no_more_has_left_for_the_business_side(void **state)
{
	struct stage s;
	int64_t begun_ms = rf_monotonic_ms();
	uint64_t conn;
	int fd;

	(void)state;
	stage_start(&s, NULL);
	expect_message(&s, RF_MSG_RESET);
	conn = meet(&s, &fd);
	say(fd, "WAIT\r\n*1\r\n!\r\n");
	assert_int_equal(expect_request(&s, "WAIT"), conn);
	post(&s, conn, RF_MSG_REPLY, RF_MSG_PATIENT, "");
	assert_int_equal(expect_message(&s, RF_MSG_CLOSE).head.conn_id, conn);
	assert_true(rf_monotonic_ms() - begun_ms < 1500); /* it lingers on */
	hear(fd, "-ERR Protocol error: expected '$', got '!'\r\n");
	close(fd);
	conn = meet(&s, &fd); /* nor is it told again */
	close(fd);
	assert_int_equal(expect_message(&s, RF_MSG_CLOSE).head.conn_id, conn);
	stage_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_connection_is_opened_asked_answered_and_closed),
		cmocka_unit_test(
			a_protocol_error_waits_for_the_replies_before_it),
		cmocka_unit_test(
			a_client_that_goes_on_sending_still_hears_its_error),
		cmocka_unit_test(a_half_closed_client_gets_its_replies),
		cmocka_unit_test(a_last_word_is_the_last),
		cmocka_unit_test(errors_and_pushes_reach_the_client),
		cmocka_unit_test(one_client_too_many_is_told_so),
		cmocka_unit_test(
			without_descriptors_clients_wait_in_the_backlog),
		cmocka_unit_test(an_idle_client_is_closed),
		cmocka_unit_test(a_patient_client_may_be_idle),
		cmocka_unit_test(what_is_unasked_ends_no_request),
		cmocka_unit_test(parked_clients_are_closed_after_park_timeout),
		cmocka_unit_test(asked_to_end_it_waits_for_the_last_reply),
		cmocka_unit_test(
			asked_to_end_it_waits_no_longer_than_drain_timeout),
		cmocka_unit_test(a_successor_uses_no_id_again),
		cmocka_unit_test(unix_sockets_are_served),
		cmocka_unit_test(
			who_gets_no_more_has_left_for_the_business_side),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
