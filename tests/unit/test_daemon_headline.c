/* SPDX-License-Identifier: MIT */
/* test_daemon_headline.c -- the service in one line, and what its manager
 * hears beside that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/control/headline.c"
#include "daemon/figures.c"
#include "daemon/manager/notify.c"
#include "daemon/manager/post.c"

#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define HOUR INT64_C(3600000)

static const struct {
	struct headline line;
	const char *text;
} lines[] = {
	{{"serving", 7, 1204, 58200, 6, SIGSEGV, "", 12000},
		"serving, generation 7, 1,204 clients, 58.2k requests/s, 6 "
		"crashes, last SIGSEGV 12 s ago"},
	{{"starting", 0, 0, 0, 0, 0, NULL, -1},
		"starting, generation 0, 0 clients"},
	{{"held", 3, 1, 0.4, 1, 0, "exit status 70", 0},
		"held, generation 3, 1 client, 1 crash, last exit status 70 "
		"0 s ago"},
	{{"serving", 2, 2, 0.5, 2, SIGKILL, "", -1},
		"serving, generation 2, 2 clients, 0 requests/s, 2 crashes, "
		"last SIGKILL"},
	{{"serving", 2, 0, 0, 2, 0, NULL, -1},
		"serving, generation 2, 0 clients, 2 crashes"},
	/* One before this daemon's time is not its own. */
	{{"serving", 2, 0, 0, 0, SIGBUS, "", 1},
		"serving, generation 2, 0 clients"},
	{{"serving", 2, 0, 0, 2, 64, "", 119000},
		"serving, generation 2, 0 clients, 2 crashes, last signal 64 "
		"119 s ago"},
	{{"serving", 2, 0, 0, 2, SIGBUS, "", 120000},
		"serving, generation 2, 0 clients, 2 crashes, last SIGBUS 2 "
		"min ago"},
	{{"serving", 2, 0, 0, 2, SIGBUS, "", 47 * HOUR},
		"serving, generation 2, 0 clients, 2 crashes, last SIGBUS 47 "
		"h ago"},
	{{"serving", 2, 0, 0, 2, SIGBUS, "", 48 * HOUR},
		"serving, generation 2, 0 clients, 2 crashes, last SIGBUS 2 d "
		"ago"},
};

static void a_line_says_what_there_is_and_nothing_else(void **unused)
{
	char text[HEADLINE_BYTES];

	(void)unused;
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		headline_write(&lines[i].line, text);
		assert_string_equal(text, lines[i].text);
	}
}

static void the_largest_of_numbers_fit(void **unused)
{
	const struct headline line = {"recovering", UINT64_MAX, UINT64_MAX,
		1e300, UINT64_MAX, 64, "", INT64_MAX};
	char text[HEADLINE_BYTES];

	(void)unused;
	memset(text, 'x', sizeof(text));
	headline_write(&line, text);
	assert_non_null(memchr(text, 0, sizeof(text)));
	assert_memory_equal(text, "recovering, generation ", 23);
}

static void the_older_a_crash_the_seldomer_the_line_changes(void **unused)
{
	struct headline line = {"serving", 1, 0, 0, 1, SIGSEGV, "", 0};
	char text[HEADLINE_BYTES], before[HEADLINE_BYTES] = "";
	int changes = 0;

	(void)unused;
	for (int second = 0; second < 3600; second++) {
		line.last_ago_ms = second * INT64_C(1000);
		headline_write(&line, text);
		changes += strcmp(text, before) != 0;
		memcpy(before, text, sizeof(text));
	}
	assert_int_equal(changes, 120 + 58);
}

/* ---- the words of a message ---- */

static int open_manager(char path[64])
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(path, 64, "/tmp/refork-notify-%d", getpid());
	memcpy(at.sun_path, path, strlen(path) + 1);
	unlink(path);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	setenv("NOTIFY_SOCKET", path, 1);
	return fd;
}

static void close_manager(int fd, const char *path)
{
	close(fd);
	unlink(path);
	unsetenv("NOTIFY_SOCKET");
}

static const char *heard(int fd)
{
	static char text[1024];
	ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);

	text[n > 0 ? n : 0] = 0;
	return text;
}

static void a_failed_start_tells_its_reason_in_one_line(void **unused)
{
	char path[64];
	int fd;

	(void)unused;
	fd = open_manager(path);
	notify_failed(14, "no room\nREADY=1");
	assert_string_equal(heard(fd), "STATUS=no room\nERRNO=14");
	notify_failed(0, "gave up");
	assert_string_equal(heard(fd), "STATUS=gave up");
	close_manager(fd, path);
}

static void more_time_is_asked_for_in_microseconds(void **unused)
{
	char path[64];
	int fd;

	(void)unused;
	assert_false(notify_is_heard());
	fd = open_manager(path);
	assert_true(notify_is_heard());
	notify_extend(1500);
	assert_string_equal(heard(fd), "EXTEND_TIMEOUT_USEC=1500000");
	close_manager(fd, path);
}

static void patience_grows_with_the_memory(void **unused)
{
	(void)unused;
	assert_int_equal(notify_patience_ms(0), 30000);
	assert_int_equal(notify_patience_ms(UINT64_C(64) << 20), 31000);
	assert_int_equal(notify_patience_ms(UINT64_C(4) << 30), 94000);
	assert_int_equal(notify_patience_ms(UINT64_C(128) << 30), 2078000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_says_what_there_is_and_nothing_else),
		cmocka_unit_test(the_largest_of_numbers_fit),
		cmocka_unit_test(
			the_older_a_crash_the_seldomer_the_line_changes),
		cmocka_unit_test(a_failed_start_tells_its_reason_in_one_line),
		cmocka_unit_test(more_time_is_asked_for_in_microseconds),
		cmocka_unit_test(patience_grows_with_the_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
