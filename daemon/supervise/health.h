/* SPDX-License-Identifier: MIT */
/* health.h -- whether a child is as it should be. See health.c. */
#ifndef HEALTH_H
#define HEALTH_H

#include "child.h"

#include <stdbool.h>

/* The service manager may be told that all is well, as far as this member goes.
 *
 * silent  its heartbeat has stood still for longer than health_silence_ms() */
bool health_is_well(enum child_state state, bool silent);

/* How long a child that serves may show no sign of life.
 *
 * limit_ms      of the service manager's watchdog
 * heartbeat_ms  business.heartbeat_timeout: until then it is ours; 0: never
 * least_ms      what that child needs at least */
uint64_t health_silence_ms(
	uint64_t limit_ms, uint64_t heartbeat_ms, uint64_t least_ms);

#endif
