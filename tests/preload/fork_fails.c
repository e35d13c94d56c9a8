/* SPDX-License-Identifier: MIT */
/* fork_fails.c -- fork() fails while the file $FORK_FAILS exists. */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

__attribute__((visibility("default"))) pid_t fork(void)
{
	const char *flag = getenv("FORK_FAILS");
	pid_t (*real_fork)(void) = (pid_t(*)(void))dlsym(RTLD_NEXT, "fork");

	if (flag != NULL && access(flag, F_OK) == 0) {
		errno = EAGAIN;
		return -1;
	}
	return real_fork();
}
