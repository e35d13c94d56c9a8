/* SPDX-License-Identifier: MIT */
/* control.h -- the socket that reforkctl talks to. */
#ifndef CONTROL_H
#define CONTROL_H

#include "verbs.h"

struct ev_loop;
struct control;

/* Serve the listening socket `fd` on `loop`. NULL with errno.
 *
 * host  is copied; what it points to exists until control_close() */
struct control *control_open(
	struct ev_loop *loop, int fd, const struct verb_host *host);

/* Forget all clients. Those that wait for the end of the daemon keep their
 * connection until the process is gone. No `done` that was handed on may be
 * called any more: close the family and the upgrade first. */
void control_close(struct control *control);

#endif
