/* SPDX-License-Identifier: MIT */
/* test_daemon_given.c -- sockets that the service manager holds for us. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/fault.c"
#include "daemon/listen.c"
#include "daemon/listen_given.c"
#include "daemon/manager/fdstore.c"
#include "daemon/manager/post.c"

#include <arpa/inet.h>

static struct listener list[RF_LISTEN_MAX];
static int list_count;
static struct fault fault;

/* As if this process had been started with them; names: NULL ends. */
static void give(char **names, const int *fds)
{
	static bool taken[32];

	memset(taken, 0, sizeof(taken));
	came.names = names;
	came.taken = taken;
	for (came.count = 0; names[came.count]; came.count++) {
		const int at = SD_LISTEN_FDS_START + came.count;

		assert_int_equal(dup2(fds[came.count], at), at);
		close(fds[came.count]);
	}
}

/* Far from the numbers that they get. */
static int far(int fd)
{
	int to = fcntl(fd, F_DUPFD_CLOEXEC, 100);

	close(fd);
	return to;
}

static int tcp(const char *host, bool listens)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	int fd = far(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));

	inet_pton(AF_INET, host, &at.sin_addr);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	if (listens)
		assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static int abstract(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = far(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));

	snprintf(at.sun_path + 1, 32, "refork-given-%d", getpid());
	assert_int_equal(bind(fd, (struct sockaddr *)&at,
				 (socklen_t)(sizeof(sa_family_t) + 1 +
					     strlen(at.sun_path + 1))),
		0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static int datagram(void)
{
	return far(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
}

static int connection(void)
{
	int pair[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	close(pair[1]);
	return far(pair[0]);
}

static int file(void)
{
	return far(open("/dev/null", O_RDWR | O_CLOEXEC));
}

static int open_given(const char *where)
{
	return listeners_open(list, &list_count, where, 16, &fault);
}

static void close_all(void)
{
	while (list_count > 0)
		listener_close(&list[--list_count]);
	for (int i = 0; i < came.count; i++)
		if (!came.taken[i])
			close(SD_LISTEN_FDS_START + i);
	came.count = 0;
}

static void all_of_one_name_are_taken_and_named_as_they_are(void **unused)
{
	char *names[] = {"client", "other", "client", NULL};
	const int fds[] = {
		tcp("127.0.0.2", true), tcp("127.0.0.3", true), abstract()};
	char expected[64];

	(void)unused;
	give(names, fds);
	assert_int_equal(open_given("systemd:client"), 0);
	assert_int_equal(list_count, 2);
	assert_memory_equal(list[0].name, "127.0.0.2:", 10);
	assert_memory_equal(list[0].client, "redis-cli -h 127.0.0.2 -p ", 26);
	snprintf(expected, sizeof(expected), "unix:@refork-given-%d", getpid());
	assert_string_equal(list[1].name, expected);
	for (int i = 0; i < list_count; i++) {
		assert_true(list[i].given);
		assert_string_equal(list[i].path, "");
		assert_true(fcntl(list[i].fd, F_GETFL) & O_NONBLOCK);
	}
	/* The next line of the configuration gets its own. */
	assert_int_equal(open_given("systemd:other"), 0);
	assert_int_equal(list_count, 3);
	close_all();
}

static void a_name_that_did_not_come_is_told_with_what_came(void **unused)
{
	char *names[] = {"web", "admin", NULL};
	const int fds[] = {tcp("127.0.0.1", true), tcp("127.0.0.1", true)};

	(void)unused;
	assert_int_equal(open_given("systemd:client"), EX_CONFIG);
	assert_non_null(strstr(fault.text, "it gave: nothing;"));
	give(names, fds);
	assert_int_equal(open_given("systemd:client"), EX_CONFIG);
	assert_non_null(strstr(fault.text, "it gave: web, admin;"));
	assert_int_equal(list_count, 0);
	close_all();
}

static void what_no_client_can_connect_to_is_refused(void **unused)
{
	const struct {
		int fd;
		const char *flaw;
	} bad[] = {
		{file(), "is no socket"},
		{datagram(), "is no stream socket"},
		{tcp("127.0.0.1", false), "does not listen"},
		{connection(), "is a connection; its unit needs Accept=no"},
	};
	char *names[] = {"client", "client", NULL};

	(void)unused;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		const int fds[] = {tcp("127.0.0.1", true), bad[i].fd};

		give(names, fds);
		assert_int_equal(open_given("systemd:client"), EX_CONFIG);
		if (!strstr(fault.text, bad[i].flaw))
			fail_msg("%s: %s", bad[i].flaw, fault.text);
		/* Neither is left open. */
		assert_int_equal(list_count, 0);
		for (int n = 0; n < 2; n++)
			assert_int_equal(
				fcntl(SD_LISTEN_FDS_START + n, F_GETFD), -1);
		close_all();
	}
}

static void the_names_of_the_store_are_not_for_listening(void **unused)
{
	(void)unused;
	assert_int_equal(open_given("systemd:arena"), EX_CONFIG);
	assert_non_null(strstr(fault.text, "choose another"));
	assert_int_equal(open_given("systemd:listen-1"), EX_CONFIG);
	assert_null(strstr(fault.text, "it gave"));
	assert_int_equal(open_given("systemd:listener"), EX_CONFIG);
	assert_non_null(strstr(fault.text, "it gave"));
}

static void there_is_room_for_so_many(void **unused)
{
	char *names[RF_LISTEN_MAX + 2] = {NULL};
	int fds[RF_LISTEN_MAX + 1];

	(void)unused;
	for (int i = 0; i <= RF_LISTEN_MAX; i++) {
		names[i] = "client";
		fds[i] = tcp("127.0.0.1", true);
	}
	give(names, fds);
	assert_int_equal(open_given("systemd:client"), EX_CONFIG);
	assert_non_null(strstr(fault.text, "more than"));
	assert_int_equal(list_count, 0);
	close_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			all_of_one_name_are_taken_and_named_as_they_are),
		cmocka_unit_test(
			a_name_that_did_not_come_is_told_with_what_came),
		cmocka_unit_test(what_no_client_can_connect_to_is_refused),
		cmocka_unit_test(the_names_of_the_store_are_not_for_listening),
		cmocka_unit_test(there_is_room_for_so_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
