/* SPDX-License-Identifier: MIT */
/* test_daemon_stuck.c -- a process that does not answer is described. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/supervise/stuck.c"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define MARK UINT64_C(0x5eed5eed12345678)

static struct rf_status_shm *status;
static struct service service;
static struct family family;

static int set_up(void **unused)
{
	(void)unused;
	status = rf_status_create();
	service.status = status;
	family.service = &service;
	return status ? 0 : -1;
}

static int tear_down(void **unused)
{
	(void)unused;
	rf_status_destroy(status);
	return 0;
}

/* It has a mark on its stack, and is stopped. */
static pid_t stopped(void)
{
	siginfo_t info;
	pid_t pid = fork();

	if (pid == 0) {
		volatile uint64_t mark[8];

		for (int i = 0; i < 8; i++)
			mark[i] = MARK + (uint64_t)i;
		raise(SIGSTOP);
		_exit(mark[0] != MARK);
	}
	waitid(P_PID, (id_t)pid, &info, WSTOPPED | WNOWAIT);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static int is_marked(const struct rf_crash_scene *scene)
{
	uint64_t word;

	for (uint32_t i = 0; i + sizeof(word) <= scene->stack_bytes; i++) {
		memcpy(&word, scene->stack + i, sizeof(word));
		if (word == MARK)
			return 1;
	}
	return 0;
}

static void a_stopped_process_is_described_with_its_stack(void **unused)
{
	struct process p = {
		.family = &family,
		.role = BUSINESS,
		.pid = stopped(),
		.scene = &status->scenes[1],
	};

	(void)unused;
	rf_status_set(status->business.serving, UINT64_C(7));
	rf_status_set(status->business.phase, (uint32_t)RF_PHASE_TICK);
	stuck_describe(&p);
	assert_int_equal(p.scene->complete, p.pid);
	assert_int_equal(p.scene->generation, 7);
	assert_int_equal(p.scene->phase, RF_PHASE_TICK);
	assert_int_equal(p.scene->handed_over, 0);
	assert_int_not_equal(p.scene->pc, 0);
	assert_int_equal(p.scene->stack_at, p.scene->sp);
	assert_true(is_marked(p.scene));
	end(p.pid);
}

static void its_own_words_are_left_alone(void **unused)
{
	struct process p = {
		.family = &family,
		.role = BUSINESS,
		.pid = stopped(),
		.scene = &status->scenes[2],
	};

	(void)unused;
	p.scene->signal = SIGSEGV;
	p.scene->complete = p.pid;
	stuck_describe(&p);
	assert_int_equal(p.scene->signal, SIGSEGV);
	assert_int_equal(p.scene->stack_bytes, 0);
	end(p.pid);
}

static void one_that_is_gone_harms_nobody(void **unused)
{
	struct process p = {
		.family = &family,
		.role = NETWORK,
		.pid = stopped(),
		.scene = &status->scenes[3],
	};

	(void)unused;
	end(p.pid);
	stuck_describe(&p);
	assert_int_equal(p.scene->complete, p.pid);
	assert_int_equal(p.scene->stack_bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stopped_process_is_described_with_its_stack),
		cmocka_unit_test(its_own_words_are_left_alone),
		cmocka_unit_test(one_that_is_gone_harms_nobody),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
