/* SPDX-License-Identifier: MIT */
/* test_log.c -- one event, one line, one write. */
#include "suite.h"
#include <refork/log.h>
#include <regex.h>
#include <stdio.h>
#include <sys/socket.h>

static char said[8192];
static size_t said_bytes;
static int writes; /* each write(2) is a datagram */

/* What `talk` writes to stderr; datagrams keep the writes apart. */
static void listen_to(void (*talk)(void))
{
	int ends[2], saved = dup(STDERR_FILENO);

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends),
		0);
	dup2(ends[1], STDERR_FILENO);
	talk();
	dup2(saved, STDERR_FILENO);
	said_bytes = 0;
	for (writes = 0;; writes++) {
		ssize_t n = read(ends[0], said + said_bytes,
			sizeof said - 1 - said_bytes);

		if (n <= 0)
			break;
		said_bytes += (size_t)n;
	}
	said[said_bytes] = '\0';
	close(saved);
	close(ends[0]);
	close(ends[1]);
}

static void assert_said(const char *pattern)
{
	regex_t regex;

	assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
	if (regexec(&regex, said, 0, NULL, 0) != 0)
		fail_msg("said '%s', expected %s", said, pattern);
	regfree(&regex);
}

static int set_up(void **state)
{
	(void)state;
	unsetenv("JOURNAL_STREAM");
	rf_log_identify("kv", "business", 7);
	rf_log_set_level(RF_LOG_INFO);
	return 0;
}

static void say_hello(void)
{
	rf_log(RF_LOG_INFO, "hello %d", 42);
}

static void a_line_says_when_who_and_what(void **state)
{
	(void)state;
	listen_to(say_hello);
	assert_said("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}"
		    "\\.[0-9]{3}Z kv business\\[[0-9]+\\]/7 info: hello 42\n$");
	assert_int_equal(writes, 1);
	rf_log_identify("kv", "supervisor", 0);
	listen_to(say_hello);
	assert_said(" kv supervisor\\[[0-9]+\\] info: hello 42\n$");
}

static void the_journal_gets_a_priority_instead_of_the_time(void **state)
{
	(void)state;
	setenv("JOURNAL_STREAM", "8:1", 1);
	listen_to(say_hello);
	assert_said("^<6>kv business\\[[0-9]+\\]/7 info: hello 42\n$");
	unsetenv("JOURNAL_STREAM");
}

static void say_everything(void)
{
	for (int level = 0; level < RF_LOG_LEVEL_COUNT; level++)
		rf_log((enum rf_log_level)level, "level");
}

static void what_is_beyond_the_level_is_not_said(void **state)
{
	(void)state;
	for (int level = 0; level < RF_LOG_LEVEL_COUNT; level++) {
		rf_log_set_level((enum rf_log_level)level);
		listen_to(say_everything);
		assert_int_equal(writes, level + 1);
	}
	assert_said("error: .*warning: .*notice: .*info: .*debug: ");
}

static void a_level_that_is_followed_changes_at_once(void **state)
{
	int shared = RF_LOG_ERROR;

	(void)state;
	rf_log_follow_level(&shared);
	listen_to(say_everything);
	assert_int_equal(writes, 1);
	shared = RF_LOG_NOTICE;
	listen_to(say_everything);
	assert_int_equal(writes, 3);
	rf_log_set_level(RF_LOG_INFO);
	shared = RF_LOG_ERROR;
	listen_to(say_everything);
	assert_int_equal(writes, 4);
}

static void levels_have_names(void **state)
{
	(void)state;
	assert_int_equal(rf_log_level_by_name("error"), RF_LOG_ERROR);
	assert_int_equal(rf_log_level_by_name("WARNING"), RF_LOG_WARNING);
	assert_int_equal(rf_log_level_by_name("notice"), RF_LOG_NOTICE);
	assert_int_equal(rf_log_level_by_name("info"), RF_LOG_INFO);
	assert_int_equal(rf_log_level_by_name("debug"), RF_LOG_DEBUG);
	assert_int_equal(rf_log_level_by_name("information"), -1);
	assert_int_equal(rf_log_level_by_name(""), -1);
}

static void say_too_much(void)
{
	char text[6000];

	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	rf_log(RF_LOG_INFO, "%s", text);
}

static void a_long_line_is_cut_and_still_a_line(void **state)
{
	(void)state;
	rf_log_identify("a service with a name that is too long",
		"a role with a name that is too long as well", UINT64_MAX);
	listen_to(say_too_much);
	assert_int_equal(writes, 1);
	assert_in_range(said_bytes, 2000, 2048);
	assert_int_equal(strlen(said), said_bytes);
	assert_true(said[said_bytes - 1] == '\n');
	assert_true(said[said_bytes - 2] == 'x');
	assert_said(" a service with a name that is t"
		    " a role with a name that is too \\[");
}

/* Every length around the cut, to the byte. */
static size_t length;

static void say_that_long(void)
{
	rf_log(RF_LOG_INFO, "%.*s!", (int)length,
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
	rf_log(RF_LOG_INFO, "%*s!", (int)(1900 + length), "");
}

static void lines_of_every_length_end_once(void **state)
{
	(void)state;
	for (length = 0; length < 200; length++) {
		listen_to(say_that_long);
		assert_int_equal(writes, 2);
		assert_int_equal(strlen(said), said_bytes);
		assert_true(said[said_bytes - 1] == '\n');
		assert_said("^[^\n]*x*!\n[^\n]*\n$");
	}
}

static void say_an_error_and_more(void)
{
	rf_log(RF_LOG_ERROR, "slot %d is of version %d", 3, 2);
	rf_log(RF_LOG_WARNING, "going on");
}

static void the_last_error_is_remembered(void **state)
{
	(void)state;
	listen_to(say_an_error_and_more);
	assert_string_equal(rf_log_last_error(), "slot 3 is of version 2");
	rf_log_identify("kv", "business", 7);
	assert_string_equal(rf_log_last_error(), "");
}

static void say_without_stderr(void)
{
	close(STDERR_FILENO);
	errno = ENOTTY;
	rf_log(RF_LOG_ERROR, "nobody hears this");
	assert_int_equal(errno, ENOTTY);
}

static void logging_leaves_errno_alone(void **state)
{
	(void)state;
	listen_to(say_without_stderr);
}

static int fail_a_check(void *unused)
{
	RF_CHECK(unused != NULL);
	return 0;
}

static void a_failed_check_ends_the_process(void **state)
{
	(void)state;
	assert_int_equal(signal_of(run_child(fail_a_check, NULL)), SIGABRT);
	assert_int_equal(run_child(fail_a_check, said), 0);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_line_says_when_who_and_what),
		TEST(the_journal_gets_a_priority_instead_of_the_time),
		TEST(what_is_beyond_the_level_is_not_said),
		TEST(a_level_that_is_followed_changes_at_once),
		TEST(levels_have_names),
		TEST(a_long_line_is_cut_and_still_a_line),
		TEST(lines_of_every_length_end_once),
		TEST(the_last_error_is_remembered),
		TEST(logging_leaves_errno_alone),
		TEST(a_failed_check_ends_the_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
