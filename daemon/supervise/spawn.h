/* SPDX-License-Identifier: MIT */
/* spawn.h -- make a child process. */
#ifndef SPAWN_H
#define SPAWN_H

#include "daemon/service.h"

struct spawn {
	const char *role;			   /* "network", "business" */
	void (*main)(const struct rf_child *self); /* does not return */
	bool accepts; /* it gets the listening sockets */
	struct rf_crash_scene *scene;
	bool lease_orphaned;
	bool standby;
	bool verify;
	int predecessor; /* pidfd that the child is to keep; -1: none */
	/* In the child, before anything else: let go of the parent's loop. */
	void (*leave)(void *arg);
	void *leave_arg;
};

/* Once, before the first spawn(): undo what a parent or the worker's build did
 * to signal dispositions, so that no child has to. */
void spawn_prepare(void);

/* Fork. Returns 0 and the child's pid and pidfd, or -errno. The parent does no
 * more than it must: the child's clients are waiting. */
int spawn(struct service *service, const struct spawn *how, pid_t *pid,
	int *pidfd);

/* In the child: all descriptors but these; a negative one is none. Sorts
 * them. */
void spawn_close_all_but(int *keep, size_t count);

/* Whom the kernel is to end first when memory runs out: who holds the most of
 * it, and is made anew at the least cost. The supervisor goes last. */
void spawn_offer_to_oom_killer(pid_t pid, enum rf_crash_role role);

/* Threads of this process; -errno when /proc cannot tell. */
int spawn_thread_count(void);

#endif
