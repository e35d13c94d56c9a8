/* SPDX-License-Identifier: MIT */
/* test_log_journal.c -- the journal's socket: there, full, gone, anew. */
#include "common/log/journal.h"
#include "common/log/target.h"
#include "suite.h"
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static char folder[] = "/tmp/rf-test-journal-XXXXXX";
static char path[64];
static int journal = -1; /* the other end */

static int open_journal(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	return bind(journal, (struct sockaddr *)&address, sizeof address);
}

static void close_journal(void)
{
	if (journal >= 0)
		close(journal);
	journal = -1;
	unlink(path);
}

/* Who waits is ended, and leaves nothing either. */
static void on_alarm(int number)
{
	static const char said[] = "waits for the journal\n";

	(void)number;
	unlink(path);
	rmdir(folder);
	_exit(write(STDOUT_FILENO, said, sizeof said - 1) > 0 ? 1 : 2);
}

static int set_up_all(void **state)
{
	(void)state;
	signal(SIGALRM, on_alarm);
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof path, "%s/socket", folder);
	return 0;
}

static int tear_down_all(void **state)
{
	(void)state;
	close_journal();
	return rmdir(folder);
}

static int set_up(void **state)
{
	(void)state;
	close_journal();
	rf_journal_close();
	rf_log_identify("kv", "business", 7);
	return open_journal() != 0 || rf_journal_open(path) != 0;
}

/* The next datagram, as a string: "\0" of a length is '@'. NULL: none. */
static const char *hear(void)
{
	static char heard[8192];
	ssize_t n = recv(journal, heard, sizeof heard - 1, 0);

	if (n < 0)
		return NULL;
	for (ssize_t i = 0; i < n; i++)
		if (heard[i] == '\0')
			heard[i] = '@';
	heard[n] = '\0';
	return heard;
}

static void assert_heard(const char *text)
{
	const char *heard = hear();

	assert_non_null(heard);
	if (strstr(heard, text) == NULL)
		fail_msg("heard '%s', expected %s", heard, text);
}

static void a_line_is_a_datagram_of_fields(void **state)
{
	(void)state;
	rf_log(RF_LOG_NOTICE, "hello %d", 42);
	assert_string_equal(hear(),
		"PRIORITY=5\nSYSLOG_IDENTIFIER=refork\nREFORK_SERVICE=kv\n"
		"REFORK_ROLE=business\nREFORK_GENERATION=7\n"
		"MESSAGE=hello 42\n");
	assert_null(hear());
}

static void an_event_bears_its_identity(void **state)
{
	(void)state;
	rf_log_event(RF_EVENT_HELD, NULL, "on hold");
	assert_heard("PRIORITY=3\n");
	rf_log_event(RF_EVENT_HELD, NULL, "on hold");
	assert_heard("\nMESSAGE_ID=acab8139cf334daa813fba94c6920b53\n"
		     "REFORK_EVENT=held\nMESSAGE=on hold\n");
}

static void a_message_with_newlines_comes_whole(void **state)
{
	(void)state;
	rf_log(RF_LOG_NOTICE, "two\nPRIORITY=0");
	assert_heard("\nMESSAGE\n\x0e@@@@@@@two\nPRIORITY=0\n");
}

static int log_as_child(void *unused)
{
	(void)unused;
	rf_log_identify("kv", "network", 0);
	rf_log(RF_LOG_NOTICE, "from a child");
	return rf_log_fd() < 0;
}

static void a_child_uses_the_socket_that_it_inherits(void **state)
{
	(void)state;
	assert_int_equal(exit_of(run_child(log_as_child, NULL)), 0);
	assert_heard("REFORK_ROLE=network\nMESSAGE=from a child\n");
}

static void a_full_journal_is_not_waited_for(void **state)
{
	struct rf_said said = {.level = RF_LOG_INFO,
		.service = "kv",
		.role = "business",
		.text = "x",
		.text_bytes = 1};
	int sent = 0, error = 0;

	(void)state;
	alarm(10);
	while ((error = rf_journal_send(&said)) == 0)
		sent++;
	assert_int_equal(error, -EAGAIN);
	assert_true(sent > 0);
	rf_log(RF_LOG_NOTICE, "lost");
	rf_log(RF_LOG_NOTICE, "lost");
	rf_log(RF_LOG_NOTICE, "lost");
	while (hear() != NULL)
		sent--;
	assert_int_equal(sent, 0);
	rf_log(RF_LOG_NOTICE, "there again");
	alarm(0);
	assert_heard("REFORK_EVENT=lines_lost\nREFORK_LINES=3\n"
		     "MESSAGE=3 log lines were lost");
	assert_heard("MESSAGE=there again\n");
	assert_null(hear());
}

/* What came to stderr meanwhile. */
static const char *stderr_of(void (*talk)(void))
{
	static char text[8192];
	int ends[2], saved = dup(STDERR_FILENO);
	ssize_t n;

	if (pipe2(ends, O_NONBLOCK) != 0)
		return NULL;
	dup2(ends[1], STDERR_FILENO);
	talk();
	dup2(saved, STDERR_FILENO);
	n = read(ends[0], text, sizeof text - 1);
	text[n > 0 ? n : 0] = '\0';
	close(saved);
	close(ends[0]);
	close(ends[1]);
	return text;
}

static void say_hello(void)
{
	rf_log(RF_LOG_NOTICE, "hello");
}

static void a_journal_that_is_gone_leaves_the_line_to_stderr(void **state)
{
	(void)state;
	close_journal();
	for (int i = 0; i < 3; i++)
		assert_non_null(
			strstr(stderr_of(say_hello), " notice: hello\n"));
}

static void a_journal_that_is_made_anew_is_found_again(void **state)
{
	(void)state;
	close_journal();
	stderr_of(say_hello);
	assert_int_equal(open_journal(), 0);
	assert_string_equal(stderr_of(say_hello), "");
	assert_heard("MESSAGE=hello\n");
	/* And without a line meanwhile. */
	close_journal();
	assert_int_equal(open_journal(), 0);
	assert_string_equal(stderr_of(say_hello), "");
	assert_heard("MESSAGE=hello\n");
}

/* It may be kept from it: a filter ends who connects. */
static void only_who_opened_the_socket_connects_it_again(void **state)
{
	(void)state;
	close_journal();
	assert_int_equal(open_journal(), 0);
	assert_int_equal(exit_of(run_child(log_as_child, NULL)), 0);
	assert_null(hear());
	assert_string_equal(stderr_of(say_hello), "");
	assert_heard("MESSAGE=hello\n");
	/* Now for all: the description is one. */
	assert_int_equal(exit_of(run_child(log_as_child, NULL)), 0);
	assert_heard("MESSAGE=from a child\n");
}

static void it_is_found_again_for_those_who_may_not_look(void **state)
{
	(void)state;
	close_journal();
	assert_int_equal(exit_of(run_child(log_as_child, NULL)), 0);
	assert_int_equal(open_journal(), 0);
	rf_log_mend();
	assert_int_equal(exit_of(run_child(log_as_child, NULL)), 0);
	assert_heard("MESSAGE=from a child\n");
}

static void close_and_say_hello(void)
{
	int fd = rf_log_fd();

	close(fd); /* by somebody who did not ask rf_log_fd() */
	say_hello();
	/* And another file bears the number. */
	assert_int_equal(dup2(STDIN_FILENO, fd), fd);
	say_hello();
}

static void a_socket_that_was_closed_leaves_lines_to_stderr(void **state)
{
	const char *said;

	(void)state;
	said = stderr_of(close_and_say_hello);
	said = strstr(said, "hello\n");
	assert_non_null(said);
	assert_non_null(strstr(said + 1, "hello\n"));
}

static void a_journal_that_is_not_there_is_said_once(void **state)
{
	(void)state;
	close_journal();
	assert_int_equal(rf_journal_open(path), -ENOENT);
	assert_true(rf_journal_fd() >= 0); /* it may come */
	assert_non_null(strstr(stderr_of(say_hello), " notice: hello\n"));
	assert_int_equal(open_journal(), 0);
	assert_string_equal(stderr_of(say_hello), "");
	assert_heard("MESSAGE=hello\n");
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_line_is_a_datagram_of_fields),
		TEST(an_event_bears_its_identity),
		TEST(a_message_with_newlines_comes_whole),
		TEST(a_child_uses_the_socket_that_it_inherits),
		TEST(a_full_journal_is_not_waited_for),
		TEST(a_journal_that_is_gone_leaves_the_line_to_stderr),
		TEST(a_journal_that_is_made_anew_is_found_again),
		TEST(only_who_opened_the_socket_connects_it_again),
		TEST(it_is_found_again_for_those_who_may_not_look),
		TEST(a_socket_that_was_closed_leaves_lines_to_stderr),
		TEST(a_journal_that_is_not_there_is_said_once),
	};

	return cmocka_run_group_tests(tests, set_up_all, tear_down_all);
}
