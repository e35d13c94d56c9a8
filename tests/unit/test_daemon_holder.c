/* SPDX-License-Identifier: MIT */
/* test_daemon_holder.c -- who is taken for a holder, and ended. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/supervise/holder.c"

#include <sys/prctl.h>
#include <sys/wait.h>

static pid_t sleeper(const char *name)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_NAME, name);
		close(ready[0]);
		close(ready[1]);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 0);
	close(ready[0]);
	return pid;
}

/* By which signal; 0: it lives. */
static int ended_by(pid_t pid, int options)
{
	siginfo_t info = {0};

	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | options), 0);
	return info.si_pid ? info.si_status : 0;
}

static void holders_end_and_nobody_else(void **unused)
{
	pid_t holder = sleeper(RF_HOLDER_NAME), other = sleeper("refork-other");
	pid_t present = sleeper(RF_HOLDER_NAME);

	(void)unused;
	assert_int_equal(holders_end(present, NULL, NULL), 1);
	assert_int_equal(ended_by(holder, 0), SIGKILL);
	assert_int_equal(ended_by(other, WNOHANG), 0);
	assert_int_equal(ended_by(present, WNOHANG), 0);
	assert_int_equal(holders_end(present, NULL, NULL), 0);

	assert_int_equal(holders_end(0, NULL, NULL), 1);
	assert_int_equal(ended_by(present, 0), SIGKILL);
	kill(other, SIGKILL);
	ended_by(other, 0);
	assert_int_equal(holders_end(0, NULL, NULL), 0);
}

static void many_are_ended_at_once(void **unused)
{
	pid_t pids[32];

	(void)unused;
	for (int i = 0; i < 32; i++)
		pids[i] = sleeper(RF_HOLDER_NAME);
	assert_int_equal(holders_end(0, NULL, NULL), 32);
	for (int i = 0; i < 32; i++)
		assert_int_equal(ended_by(pids[i], 0), SIGKILL);
	assert_int_equal(holders_end(0, NULL, NULL), 0);
}

static bool is_it(void *arg, pid_t pid)
{
	return pid == *(pid_t *)arg;
}

/* A business child has the name while it makes a holder. */
static void whom_the_caller_knows_is_spared(void **unused)
{
	pid_t business = sleeper(RF_HOLDER_NAME);

	(void)unused;
	assert_int_equal(holders_end(0, is_it, &business), 0);
	assert_int_equal(ended_by(business, WNOHANG), 0);
	kill(business, SIGKILL);
	ended_by(business, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(holders_end_and_nobody_else),
		cmocka_unit_test(many_are_ended_at_once),
		cmocka_unit_test(whom_the_caller_knows_is_spared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
