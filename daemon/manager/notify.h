/* SPDX-License-Identifier: MIT */
/* notify.h -- tell the service manager, when there is one that listens.
 *
 * Each is one datagram, and nothing without $NOTIFY_SOCKET. None waits: a
 * manager that hangs does not hear it. Those that say so return 0, or -errno
 * (-EAGAIN: it was not taken), for who has to say it again. */
#ifndef NOTIFY_H
#define NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

bool notify_is_heard(void);

/* The business child serves. */
int notify_ready(void);
/* One line for people. */
int notify_status(const char *status);
void notify_stopping(void);
/* To be followed by notify_ready(). */
void notify_reloading(void);

/* A start or a stop is at work: give it at least that long from now on. */
void notify_extend(uint64_t ms);
/* How long a walk over so much memory, or its way to a disk, may take on a
 * slow machine. */
uint64_t notify_patience_ms(uint64_t bytes);

/* The start has failed, and why. error: an errno, 0: not known. */
void notify_failed(int error, const char *why);

#endif
