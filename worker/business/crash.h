/* SPDX-License-Identifier: MIT */
/* crash.h -- what a business child does when a signal ends it. */
#ifndef BUSINESS_CRASH_H
#define BUSINESS_CRASH_H

#include "common/child.h"

/* From now on fatal signals are described into self->scene, and the lease is
 * given before the process dies. 0 or -errno. */
int crash_arm(const struct rf_child *self);

/* Threads of this process. Also for signal handlers. -errno */
int crash_thread_count(void);

#endif
