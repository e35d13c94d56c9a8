/* SPDX-License-Identifier: MIT */
/* trial.h -- code loaded by a process that may die of it. See trial.c. */
#ifndef TRIAL_H
#define TRIAL_H

#include "daemon/service.h"

struct ev_loop;
struct trial;

/* Whom to tell; why: NULL when nothing speaks against it. */
struct trial_done {
	void (*call)(void *arg, const char *why);
	void *arg;
};

/* What a trial loads, and what the supervisor then does with the same bytes:
 * load a pinned worker that is to follow the present one. Its code must not
 * start threads, and must be of the same service and able to take the state.
 * Returns 0 or an exit code, and *lib is empty. */
int trial_link(const struct service *service, struct worker_lib *lib,
	struct fault *fault);

/* Do that, and the unloading, in a process made for it.
 * Returns NULL with errno; else `done` is called later, once, and *trial is
 * gone when it is. */
struct trial *trial_start(struct ev_loop *loop, struct service *service,
	struct worker_lib *pinned, struct trial_done done);

/* Nobody wants to know any more. */
void trial_stop(struct trial *trial);

#endif
