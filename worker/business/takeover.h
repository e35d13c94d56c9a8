/* SPDX-License-Identifier: MIT */
/* takeover.h -- from having the lease to serving. */
#ifndef TAKEOVER_H
#define TAKEOVER_H

#include "desk.h"

/* This process has just locked the lease, which came as `lease` says (enum
 * rf_lease): make everything ready to serve, and say so. What cannot be is
 * logged and ends the process; the lease then goes the way of the dead. */
void takeover_run(struct desk *desk, int lease);

/* Log why this process cannot start, and end it. */
_Noreturn void takeover_give_up(const char *what, int error);

#endif
