/* SPDX-License-Identifier: MIT */
/* test_daemon_holder.c -- whose ends are collected, and whose are left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/supervise/holder.c"

#include <sys/prctl.h>
#include <unistd.h>

static const pid_t nobody[2] = {0, 0};

static pid_t sleeper(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	return pid;
}

static pid_t dead(void)
{
	siginfo_t info;
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
	return pid;
}

static int has_ended(pid_t pid)
{
	siginfo_t info = {0};

	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0;
}

static void only_children_are_holders(void **unused)
{
	struct holders h = {0};
	pid_t pid = sleeper();

	(void)unused;
	holders_add(&h, 1, nobody);
	holders_add(&h, getpid(), nobody);
	holders_add(&h, 0, nobody);
	holders_add(&h, -1, nobody);
	holders_add(&h, pid, (const pid_t[2]){0, pid});
	holders_add(&h, pid, (const pid_t[2]){pid, 0});
	assert_int_equal(h.count, 0);
	holders_add(&h, pid, nobody);
	holders_add(&h, pid, nobody);
	assert_int_equal(h.count, 1);
	holders_fini(&h);
	assert_false(is_child(pid));
}

static void the_oldest_ends_when_too_many_wait(void **unused)
{
	struct holders h = {0};
	pid_t first = sleeper();

	(void)unused;
	holders_add(&h, first, nobody);
	for (int i = 0; i < HOLDER_MAX; i++)
		holders_add(&h, sleeper(), nobody);
	assert_int_equal(h.count, HOLDER_MAX);
	assert_true(has_ended(first));
	assert_int_equal(h.ending, 1);
	holders_reap(&h, nobody);
	assert_false(is_child(first));
	assert_int_equal(h.ending, 0);
	holders_fini(&h);
	assert_false(holders_any(&h));
	assert_int_equal(waitid(P_ALL, 0, &(siginfo_t){0}, WEXITED), -1);
}

static void the_end_of_a_watched_child_is_left(void **unused)
{
	struct holders h = {0};
	pid_t watched = dead();

	(void)unused;
	holders_reap(&h, (const pid_t[2]){watched, 0});
	assert_true(is_child(watched));
	holders_reap(&h, nobody);
	assert_false(is_child(watched));
}

static void a_holder_that_died_early_is_forgotten(void **unused)
{
	struct holders h = {0};
	pid_t pid = dead();

	(void)unused;
	holders_add(&h, pid, nobody);
	assert_int_equal(h.count, 1);
	holders_reap(&h, nobody);
	assert_int_equal(h.count, 0);
	assert_false(is_child(pid));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_children_are_holders),
		cmocka_unit_test(the_oldest_ends_when_too_many_wait),
		cmocka_unit_test(the_end_of_a_watched_child_is_left),
		cmocka_unit_test(a_holder_that_died_early_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
