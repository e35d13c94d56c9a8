/* SPDX-License-Identifier: MIT */
/* suite.h -- what the unit tests share: cmocka, chance, and other processes. */
#ifndef SUITE_H
#define SUITE_H

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include <errno.h>
#include <fcntl.h>
#include <refork/check.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- chance: the same in every run ---- */

static uint64_t random_state = 88172645463325252u;

static inline uint64_t random_word(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* 0 .. below - 1 */
static inline size_t random_below(size_t below)
{
	return (size_t)(random_word() % below);
}

static inline void random_fill(void *at, size_t bytes)
{
	uint8_t *to = at;

	for (size_t i = 0; i < bytes; i++)
		to[i] = (uint8_t)(random_word() >> 11);
}

/* ---- memory ---- */

static inline bool is_filled(const uint8_t *at, size_t bytes, uint8_t fill)
{
	return at[0] == fill && memcmp(at, at + 1, bytes - 1) == 0;
}

/* Zeroed memory that this process and its later children share. */
static inline void *shared_memory(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

/* The VmFlags of the mapping that holds an address hold this flag. */
static inline bool has_vm_flag(const void *address, const char *flag)
{
	FILE *in = fopen("/proc/self/smaps", "re");
	char line[512];
	bool here = false, found = false;

	while (in != NULL && fgets(line, sizeof line, in) != NULL) {
		unsigned long from, to;

		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			here = from <= (unsigned long)address &&
			       (unsigned long)address < to;
		else if (here && strncmp(line, "VmFlags:", 8) == 0)
			found = strstr(line, flag) != NULL;
	}
	if (in != NULL)
		fclose(in);
	return found;
}

/* ---- other processes ---- */

/* How a child says that its test must be skipped. */
#define CHILD_CANNOT 77

static inline void nap_us(unsigned us)
{
	const struct timespec span = {us / 1000000, us % 1000000 * 1000};

	nanosleep(&span, NULL);
}

/* Run `body` in a fork, as a process of its own: cmocka's handlers and this
 * process's output are not its. It must not assert; what it returns is its exit
 * status. It dies with this process, and quietly: no core, no log line. */
static inline pid_t fork_child(int (*body)(void *), void *arg)
{
	const int caught[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS};
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	for (size_t i = 0; i < sizeof caught / sizeof *caught; i++)
		signal(caught[i], SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_DUMPABLE, 0);
	dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
	_exit(getppid() == parent ? body(arg) : CHILD_CANNOT);
}

static inline int wait_child(pid_t pid)
{
	int status = -1;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

/* The wait status of a fork that ran `body`. */
static inline int run_child(int (*body)(void *), void *arg)
{
	return wait_child(fork_child(body, arg));
}

static inline void kill_child(pid_t pid)
{
	kill(pid, SIGKILL);
	wait_child(pid);
}

static inline int exit_of(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static inline int signal_of(int status)
{
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

#endif
