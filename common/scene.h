/* SPDX-License-Identifier: MIT */
/* scene.h -- a process that takes a fatal signal says what it knows of it. */
#ifndef RF_SCENE_H
#define RF_SCENE_H

#include "crash.h"
#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

/* From now on SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS and
 * SIGQUIT are described into `scene` before this process dies of them.
 *
 * more     adds what only this role knows, and may do what must be done before
 *          the end: called in the handler, by the thread that took the signal,
 *          after `at_us` and the registers and before the stack. NULL: nothing
 * bell     an eventfd, rung when all is described; -1: none
 * Returns  0 or -errno. What this process forks does not write into it. */
int rf_scene_arm(struct rf_crash_scene *scene,
	void (*more)(struct rf_crash_scene *scene), int bell);

/* Ask `first` before a fatal signal is taken for one. True: all is well, the
 * interrupted code goes on. It runs in the handler. */
void rf_scene_ask_first(bool (*first)(const siginfo_t *info));

/* Copy memory of this process that may not be there: for handlers. Returns the
 * bytes copied, from the front; the rest of `to` is as it was. */
size_t rf_scene_copy(void *to, uint64_t from, size_t bytes);

#endif
