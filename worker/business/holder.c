/* SPDX-License-Identifier: MIT */
/* holder.c -- makes dying cheap.
 *
 * The problem. A process that dies takes its page tables down before anybody
 * learns of its death: 0.06 us per touched page, 60 ms at 4 GiB of 4 KiB pages.
 * The idea. A second process shares the address space (CLONE_VM) and sleeps.
 * The dying one is then not the last user, so its death is known in
 * microseconds. The supervisor ends the holder later, when the successor
 * serves.
 *
 * The holder shares this process's memory, thread-local storage included, so it
 * must not touch any: it blocks every signal, and each of its system calls
 * either succeeds or never returns (a failing one would write our errno).
 */
#include "holder.h"

#include "common/child.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Alignas(16) uint8_t stack[16384];
static uint32_t never; /* stays 0 */

static int sleep_forever(void *arg)
{
	const int32_t *supervisor = arg;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != *supervisor) /* it died before the line above */
		syscall(SYS_exit_group, 0);
	for (;;)
		syscall(SYS_futex, &never, FUTEX_WAIT, 0, NULL, NULL, 0);
	return 0;
}

int holder_start(int32_t supervisor, int32_t *pid)
{
	static int32_t parent; /* read by the holder */
	char name[16];
	sigset_t all, old;
	int error = 0;

	parent = supervisor;
	/* Its name from its first instruction on. */
	prctl(PR_GET_NAME, name);
	prctl(PR_SET_NAME, RF_HOLDER_NAME);

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old); /* inherited by the holder */
	if (clone(sleep_forever, stack + sizeof stack,
		    CLONE_VM | CLONE_PARENT | CLONE_PARENT_SETTID, &parent,
		    pid) < 0)
		error = -errno;
	sigprocmask(SIG_SETMASK, &old, NULL);
	prctl(PR_SET_NAME, name);
	return error;
}
