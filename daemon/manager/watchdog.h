/* SPDX-License-Identifier: MIT */
/* watchdog.h -- the service manager's watchdog over this daemon.
 *
 * It is the last word: a child that hangs is ended by the supervisor itself
 * (daemon/supervise/watchdog.c). This one is for a supervisor that is stuck,
 * and for children that nobody else may end (heartbeat_timeout = 0).
 */
#ifndef MANAGER_WATCHDOG_H
#define MANAGER_WATCHDOG_H

#include <stdint.h>

/* It acts when it has not been fed for that long; 0: there is none for this
 * process ($WATCHDOG_USEC, $WATCHDOG_PID). */
uint64_t watchdog_limit_ms(void);

/* All is well. Never waits; 0, -EAGAIN: it was not taken, -errno. */
int watchdog_feed(void);

#endif
