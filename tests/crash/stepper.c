/* SPDX-License-Identifier: MIT */
/* stepper.c -- ptrace: start, mark, step.
 *
 * A mark is a SIGSTOP that the child sends to itself: under ptrace it stops
 * before the signal is delivered, and goes on without it.
 */
#include "stepper.h"
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static char death[80];

int stepper_start(struct stepper *stepper, void (*run)(void *arg), void *arg)
{
	pid_t parent = getpid();

	stepper->started = false;
	stepper->pid = fork();
	if (stepper->pid < 0)
		return -errno;
	if (stepper->pid > 0)
		return 0;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
		_exit(127);
	run(arg);
	_exit(0);
}

void stepper_mark(void)
{
	raise(SIGSTOP);
}

const char *stepper_words(int status)
{
	if (WIFEXITED(status))
		snprintf(death, sizeof death, "ended with exit status %d",
			WEXITSTATUS(status));
	else
		snprintf(death, sizeof death, "was ended by %s",
			strsignal(WIFSTOPPED(status) ? WSTOPSIG(status)
						     : WTERMSIG(status)));
	return death;
}

static enum stepper_stop died(int status)
{
	stepper_words(status);
	return STEPPER_DIED;
}

static enum stepper_stop wait_stop(
	struct stepper *stepper, enum __ptrace_request request)
{
	int status;

	for (;;) {
		if (ptrace(request, stepper->pid, NULL, NULL) != 0 ||
			waitpid(stepper->pid, &status, __WALL) < 0) {
			snprintf(death, sizeof death, "cannot be traced: %s",
				strerror(errno));
			return STEPPER_DIED;
		}
		if (!WIFSTOPPED(status))
			return died(status);
		if (WSTOPSIG(status) == SIGTRAP)
			return STEPPER_STEPPED;
		if (WSTOPSIG(status) == SIGSTOP)
			return STEPPER_MARK;
		if (WSTOPSIG(status) != SIGCHLD)
			return died(status);
	}
}

enum stepper_stop stepper_step(struct stepper *stepper)
{
	return wait_stop(stepper, PTRACE_SINGLESTEP);
}

enum stepper_stop stepper_run(struct stepper *stepper)
{
	int status;

	if (stepper->started)
		return wait_stop(stepper, PTRACE_CONT);
	stepper->started = true; /* by the fork: it needs no push */
	if (waitpid(stepper->pid, &status, __WALL) < 0)
		return STEPPER_DIED;
	return WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP ? STEPPER_MARK
								 : died(status);
}

const char *stepper_death(void)
{
	return death;
}

void stepper_end(struct stepper *stepper)
{
	kill(stepper->pid, SIGKILL);
	waitpid(stepper->pid, NULL, __WALL);
}

static void mark_once(void *arg)
{
	(void)arg;
	stepper_mark();
}

const char *stepper_refused(void)
{
	struct stepper stepper;

	if (stepper_start(&stepper, mark_once, NULL) != 0)
		return "fork: no more processes";
	if (stepper_run(&stepper) != STEPPER_MARK ||
		stepper_step(&stepper) != STEPPER_STEPPED)
		return "this system does not let a process be traced (ptrace)";
	stepper_end(&stepper);
	return NULL;
}

void stepper_stay(void)
{
	cpu_set_t set;
	int cpu = sched_getcpu();

	CPU_ZERO(&set);
	CPU_SET(cpu >= 0 ? (size_t)cpu : 0, &set);
	sched_setaffinity(0, sizeof set, &set);
}

/* `rep movsb` stops once for every byte; vector loops do not. */
#define TUNABLES                                                               \
	"glibc.cpu.x86_rep_movsb_threshold=0x40000000:"                        \
	"glibc.cpu.x86_rep_stosb_threshold=0x40000000"

void stepper_settle(char **argv)
{
	if (getenv("GLIBC_TUNABLES") != NULL)
		return;
	setenv("GLIBC_TUNABLES", TUNABLES, 1);
	execv("/proc/self/exe", argv);
}
