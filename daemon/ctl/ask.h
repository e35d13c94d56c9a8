/* SPDX-License-Identifier: MIT */
/* ask.h -- one request to the daemon, one answer. */
#ifndef ASK_H
#define ASK_H

#include "ctl.h"

#define ASK_WAIT_MS 10000

/* Where the daemon called so listens. -EINVAL after saying why. */
int ask_find(struct ctl *ctl);

/* Connect, ask, disconnect; the body is left in ctl->answer. NULL ends the
 * arguments.
 *
 * wait_ms  for the whole answer; -1: for ever
 * Returns  0; 1 refused, ctl->answer says why; -errno: no connection;
 *          -ETIMEDOUT; -EPROTO: it ended early */
int ask(struct ctl *ctl, const char *verb, const char *format,
	char *const *arguments, int64_t wait_ms);

/* What ask() said, on stderr and as an exit code. */
enum ctl_exit ask_failed(const struct ctl *ctl, const char *command, int rc);

/* "json", "color" or "text": as wanted, and as stdout can show it. */
const char *ask_format(const struct ctl *ctl);

int64_t ask_now_ms(void); /* CLOCK_MONOTONIC */

#endif
