/* SPDX-License-Identifier: MIT */
/* call_deaths.h -- a process that is killed at each of its system calls. */
#ifndef CALL_DEATHS_H
#define CALL_DEATHS_H

#include "suite.h"
#include <signal.h>
#include <sys/ptrace.h>

/* Kill a fork that runs `body` when it comes to its system call number `stop`.
 * `body` begins with being_stepped(). False: it had ended before that, well. */
static inline bool die_at_call(int (*body)(void *), int stop)
{
	pid_t child = fork_child(body, NULL);
	int status = wait_child(child);

	for (int i = 0; i < stop && WIFSTOPPED(status); i++) {
		ptrace(PTRACE_SYSCALL, child, NULL, NULL);
		status = wait_child(child);
	}
	if (!WIFSTOPPED(status)) {
		assert_int_equal(exit_of(status), 0);
		return false;
	}
	kill_child(child);
	return true;
}

static inline void being_stepped(void)
{
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	raise(SIGSTOP);
}

#endif
