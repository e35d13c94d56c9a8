/* SPDX-License-Identifier: MIT */
/* fork_fails.c -- fork() and clone(2) fail while the file $FORK_FAILS exists.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ARGUMENTS 6

static bool is_failing(void)
{
	const char *flag = getenv("FORK_FAILS");

	return flag != NULL && access(flag, F_OK) == 0;
}

__attribute__((visibility("default"))) pid_t fork(void)
{
	pid_t (*real_fork)(void) = (pid_t(*)(void))dlsym(RTLD_NEXT, "fork");

	if (is_failing()) {
		errno = EAGAIN;
		return -1;
	}
	return real_fork();
}

__attribute__((visibility("default"))) long syscall(long number, ...)
{
	static long (*real_syscall)(long number, ...);
	long given[ARGUMENTS];
	va_list list;

	if (real_syscall == NULL)
		real_syscall = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
	if (number == SYS_clone && is_failing()) {
		errno = EAGAIN;
		return -1;
	}
	va_start(list, number);
	for (int i = 0; i < ARGUMENTS; i++)
		given[i] = va_arg(list, long);
	va_end(list);
	return real_syscall(number, given[0], given[1], given[2], given[3],
		given[4], given[5]);
}
