/* SPDX-License-Identifier: MIT */
/* watchdog.c -- the service manager's watchdog: whether there is one, and its
 * food. */
#include "watchdog.h"

#include "post.h"

#include <stddef.h>

#if RF_SYSTEMD
#include <systemd/sd-daemon.h>
#else
static int sd_watchdog_enabled(int unset_environment, uint64_t *usec)
{
	(void)unset_environment;
	(void)usec;
	return 0;
}
#endif

uint64_t watchdog_limit_ms(void)
{
	uint64_t usec = 0;

	if (sd_watchdog_enabled(0, &usec) <= 0)
		return 0;
	return usec < 1000 ? 1 : usec / 1000;
}

int watchdog_feed(void)
{
	return post("WATCHDOG=1", NULL, 0, 0);
}
