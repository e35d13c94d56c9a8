/* SPDX-License-Identifier: MIT */
/* notify.c -- what the service manager is told. */
#include "notify.h"

#include "post.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PATIENCE_MIN_MS	   30000
#define PATIENCE_MIB_PER_S 64
#define MESSAGE_BYTES	   2048

bool notify_is_heard(void)
{
	return getenv("NOTIFY_SOCKET");
}

static int tell(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int tell(const char *format, ...)
{
	char text[MESSAGE_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return post(text, NULL, 0, 0);
}

int notify_ready(void)
{
	return tell("READY=1");
}

int notify_status(const char *status)
{
	return tell("STATUS=%s", status);
}

void notify_stopping(void)
{
	tell("STOPPING=1");
}

void notify_reloading(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	tell("RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
		(uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
}

void notify_extend(uint64_t ms)
{
	tell("EXTEND_TIMEOUT_USEC=%" PRIu64, ms * 1000);
}

uint64_t notify_patience_ms(uint64_t bytes)
{
	return PATIENCE_MIN_MS + (bytes >> 20) * 1000 / PATIENCE_MIB_PER_S;
}

/* A line break would begin another word of the message. */
void notify_failed(int error, const char *why)
{
	int bytes = (int)strcspn(why, "\n");

	if (bytes > MESSAGE_BYTES / 2)
		bytes = MESSAGE_BYTES / 2;
	if (error)
		tell("STATUS=%.*s\nERRNO=%d", bytes, why, error);
	else
		tell("STATUS=%.*s", bytes, why);
}
