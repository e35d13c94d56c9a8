/* SPDX-License-Identifier: MIT */
/* test_log.c -- one event, one line, one write, and nobody waits for it. */
#include "common/events.h"
#include "common/log/flood.h"
#include "common/log/target.h"
#include "suite.h"
#include <refork/log.h>
#include <regex.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* The clock of the flood gate can be put forward. */
static int64_t clock_ahead_ms;

int clock_gettime(clockid_t id, struct timespec *now)
{
	long rc = syscall(SYS_clock_gettime, id, now);

	if (id == CLOCK_MONOTONIC_COARSE)
		now->tv_sec += clock_ahead_ms / 1000;
	return (int)rc;
}

static char said[65536];
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

static const int as_text = RF_LOG_AS_TEXT;

static int set_up(void **state)
{
	(void)state;
	unsetenv("JOURNAL_STREAM");
	rf_log_open(RF_LOG_TO_STDERR);
	rf_log_follow_format(&as_text);
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

/* As a service manager says it of a stderr that it made. */
static void say_hello_to_the_journal(void)
{
	char stream[64];
	struct stat st;

	fstat(STDERR_FILENO, &st);
	snprintf(stream, sizeof stream, "%llu:%llu",
		(unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	rf_log_open(RF_LOG_TO_STDERR);
	say_hello();
}

static void the_journal_gets_a_priority_instead_of_the_time(void **state)
{
	(void)state;
	listen_to(say_hello_to_the_journal);
	assert_said("^<6>kv business\\[[0-9]+\\]/7 info: hello 42\n$");
}

static void a_stderr_that_was_redirected_has_the_time(void **state)
{
	(void)state;
	setenv("JOURNAL_STREAM", "8:1", 1);
	rf_log_open(RF_LOG_TO_AUTO);
	assert_int_equal(rf_log_fd(), -1);
	listen_to(say_hello);
	assert_said("^20[^ ]*Z kv business\\[[0-9]+\\]/7 info: hello 42\n$");
	setenv("JOURNAL_STREAM", "nonsense", 1);
	rf_log_open(RF_LOG_TO_AUTO);
	assert_int_equal(rf_log_fd(), -1);
}

static void the_format_changes_where_it_is_followed(void **state)
{
	int format = RF_LOG_AS_TEXT;

	(void)state;
	rf_log_follow_format(&format);
	listen_to(say_hello);
	assert_said(" info: hello 42\n$");
	format = RF_LOG_AS_JSON;
	listen_to(say_hello);
	assert_said("^\\{\"schema\":1,\"time\":\"20[^ ]*Z\",\"level\":\"info\","
		    "\"service\":\"kv\",\"role\":\"business\","
		    "\"pid\":[0-9]+,\"generation\":7,"
		    "\"message\":\"hello 42\"\\}\n$");
	format = RF_LOG_AS_TEXT;
	listen_to(say_hello);
	assert_said(" info: hello 42\n$");
}

static void tell_an_event(void)
{
	rf_log_event(RF_EVENT_BUSINESS_CRASH,
		RF_LOG_FIELDS(RF_LOG_NUMBER("crash_id", 7),
			RF_LOG_TEXT("signal", "SIGBUS")),
		"crash %d", 7);
}

static void an_event_has_its_level_and_its_facts(void **state)
{
	const int as_json = RF_LOG_AS_JSON;

	(void)state;
	listen_to(tell_an_event);
	assert_said(" warning: crash 7\n$");
	rf_log_follow_format(&as_json);
	listen_to(tell_an_event);
	assert_said("\"level\":\"warning\".*,\"event\":\"business_crash\","
		    "\"crash_id\":7,\"signal\":\"SIGBUS\","
		    "\"message\":\"crash 7\"\\}\n$");
	rf_log_follow_format(&as_text);
	rf_log_set_level(RF_LOG_ERROR);
	listen_to(tell_an_event);
	assert_int_equal(writes, 0);
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
		rf_log_identify("kv", "business", 7); /* no flood, each time */
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

static void flood(void)
{
	for (int i = 0; i < 200; i++)
		rf_log(RF_LOG_WARNING, "all alike, number %d", i);
	rf_log(RF_LOG_ERROR, "of another kind");
}

static void a_flood_is_cut_off_and_other_lines_are_not(void **state)
{
	(void)state;
	listen_to(flood);
	assert_in_range(writes, RF_FLOOD_BURST + 1, RF_FLOOD_BURST + 20);
	assert_said("number 0\n.*number 49\n.* error: of another kind\n$");
}

static void catch_up(void)
{
	rf_log_catch_up(false);
}

static void say_something_else(void)
{
	rf_log(RF_LOG_INFO, "something else");
}

static void what_was_left_out_is_said_soon(void **state)
{
	(void)state;
	listen_to(flood);
	listen_to(catch_up);
	assert_int_equal(writes, 0); /* it may go on */
	clock_ahead_ms += RF_FLOOD_TELL_MS;
	listen_to(catch_up);
	assert_said(
		"^[^\n]* warning: 1[345][0-9] more lines like this were left "
		"out: all alike, number [0-9]+\n$");
	listen_to(catch_up);
	assert_int_equal(writes, 0);
}

static void what_was_left_out_is_said_before_the_next_line(void **state)
{
	(void)state;
	listen_to(flood);
	clock_ahead_ms += RF_FLOOD_TELL_MS;
	listen_to(say_something_else);
	assert_said("^[^\n]* left out: [^\n]*\n[^\n]* something else\n$");
}

static void end(void)
{
	rf_log_catch_up(true);
}

static void what_was_left_out_is_said_at_the_end(void **state)
{
	(void)state;
	listen_to(flood);
	listen_to(end);
	assert_said("^[^\n]* left out: [^\n]*\n$");
}

static void flood_with_debug(void)
{
	for (int i = 0; i < RF_FLOOD_BURST + 10; i++)
		rf_log(RF_LOG_DEBUG, "asked for");
}

static void debug_lines_are_never_left_out(void **state)
{
	(void)state;
	rf_log_set_level(RF_LOG_DEBUG);
	listen_to(flood_with_debug);
	assert_int_equal(writes, RF_FLOOD_BURST + 10);
}

/* ---- a stderr that takes nothing ---- */

static int full_pipe[2];

/* Without anybody to read it: the whole of it is in the way. */
static void fill_pipe(void)
{
	char block[4096] = {0};

	assert_int_equal(pipe2(full_pipe, O_NONBLOCK), 0);
	while (write(full_pipe[1], block, sizeof block) > 0)
		;
	fcntl(full_pipe[1], F_SETFL, 0); /* who writes now would wait */
}

static size_t drain_pipe(char *into, size_t bytes)
{
	ssize_t n;
	size_t last = 0;

	while ((n = read(full_pipe[0], into, bytes - 1)) > 0)
		last = (size_t)n;
	into[last] = '\0';
	return last;
}

static void nobody_waits_and_what_was_lost_is_counted(void **state)
{
	int saved = dup(STDERR_FILENO);

	(void)state;
	fill_pipe();
	dup2(full_pipe[1], STDERR_FILENO);
	alarm(10); /* who waits is ended */
	rf_log(RF_LOG_ERROR, "lost");
	rf_log(RF_LOG_WARNING, "lost as well");
	drain_pipe(said, sizeof said);
	rf_log(RF_LOG_INFO, "there again");
	alarm(0);
	drain_pipe(said, sizeof said);
	dup2(saved, STDERR_FILENO);
	assert_said(" warning: 2 log lines were lost: [^\n]*\n"
		    "[^\n]* info: there again\n$");
	close(saved);
	close(full_pipe[0]);
	close(full_pipe[1]);
}

static void what_was_lost_is_said_without_another_line(void **state)
{
	int saved = dup(STDERR_FILENO);

	(void)state;
	fill_pipe();
	dup2(full_pipe[1], STDERR_FILENO);
	alarm(10);
	rf_log(RF_LOG_ERROR, "lost");
	rf_log_catch_up(false); /* still full */
	drain_pipe(said, sizeof said);
	rf_log_catch_up(false);
	rf_log_catch_up(false); /* once is enough */
	alarm(0);
	drain_pipe(said, sizeof said);
	dup2(saved, STDERR_FILENO);
	assert_said("^[^\n]* warning: 1 log line[^\n]*\n$");
	close(saved);
	close(full_pipe[0]);
	close(full_pipe[1]);
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
		TEST(a_stderr_that_was_redirected_has_the_time),
		TEST(the_format_changes_where_it_is_followed),
		TEST(an_event_has_its_level_and_its_facts),
		TEST(what_is_beyond_the_level_is_not_said),
		TEST(a_level_that_is_followed_changes_at_once),
		TEST(levels_have_names),
		TEST(a_long_line_is_cut_and_still_a_line),
		TEST(lines_of_every_length_end_once),
		TEST(the_last_error_is_remembered),
		TEST(a_flood_is_cut_off_and_other_lines_are_not),
		TEST(what_was_left_out_is_said_soon),
		TEST(what_was_left_out_is_said_before_the_next_line),
		TEST(what_was_left_out_is_said_at_the_end),
		TEST(debug_lines_are_never_left_out),
		TEST(nobody_waits_and_what_was_lost_is_counted),
		TEST(what_was_lost_is_said_without_another_line),
		TEST(logging_leaves_errno_alone),
		TEST(a_failed_check_ends_the_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
