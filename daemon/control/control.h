/* SPDX-License-Identifier: MIT */
/* control.h -- the socket that reforkctl talks to. */
#ifndef CONTROL_H
#define CONTROL_H

#include "report.h"

struct ev_loop;

/* What the supervisor answers with. */
struct control_host {
	void *arg;
	void (*describe)(void *arg, struct report *report);
	void (*stop)(void *arg);
};

struct control;

/* Serve the listening socket `fd` on `loop`. NULL with errno. */
struct control *control_open(
	struct ev_loop *loop, int fd, const struct control_host *host);

/* Forget all clients. Those that wait for the end of the daemon keep their
 * connection until the process is gone. */
void control_close(struct control *control);

#endif
