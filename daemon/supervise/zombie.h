/* SPDX-License-Identifier: MIT */
/* zombie.h -- how a dead child ended that cannot be collected. See zombie.c. */
#ifndef DAEMON_ZOMBIE_H
#define DAEMON_ZOMBIE_H

#include <signal.h>
#include <stdbool.h>

/* Is the child dead? `end` then says how, as waitid(2) does, and it is still to
 * be collected. */
bool zombie_look(pid_t pid, int pidfd, siginfo_t *end);

/* Collect it, if its tracer lets us. False: not yet. */
bool zombie_collect(pid_t pid, siginfo_t *end);

#endif
