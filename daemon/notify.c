/* SPDX-License-Identifier: MIT */
/* notify.c -- the only file that knows systemd. */
#include "notify.h"

#include <inttypes.h>
#include <stdint.h>
#include <time.h>

#if RF_SYSTEMD
#include <systemd/sd-daemon.h>
#else
static int sd_notifyf(int unset_environment, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static int sd_notifyf(int unset_environment, const char *format, ...)
{
	(void)unset_environment;
	(void)format;
	return 0;
}
#endif

void notify_ready(void)
{
	sd_notifyf(0, "READY=1");
}

void notify_status(const char *status)
{
	sd_notifyf(0, "STATUS=%s", status);
}

void notify_stopping(void)
{
	sd_notifyf(0, "STOPPING=1");
}

void notify_reloading(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
		(uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
}
