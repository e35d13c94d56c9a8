/* SPDX-License-Identifier: MIT */
/* in_work.h -- which request a process was at. */
#ifndef IN_WORK_H
#define IN_WORK_H

#include "common/channel.h"
#include "common/crash.h"

/* Describe the request that the attempt word of the arena names, if it is one.
 * Believes neither the ring nor the arena: it is for signal handlers, and for
 * what a dead process has left.
 *
 * out  zeroed; out->present is set last, when there is such a request */
void in_work_describe(
	const struct rf_channel *channel, struct rf_crash_request *out);

/* The same after the roll back: only a request that was begun and is still to
 * be run. */
void in_work_describe_left(
	const struct rf_channel *channel, struct rf_crash_request *out);

#endif
