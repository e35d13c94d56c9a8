/* SPDX-License-Identifier: MIT */
/* health.c -- whether a child is as it should be.
 *
 * The service manager's watchdog ends the whole daemon. That helps against a
 * child that serves no more and that nobody here ends. It does not help where
 * the supervisor knows what is going on: a process that has a deadline, or
 * none that is wanted now. A service that its ladder holds is well: it waits
 * for an operator, and would not be better off dead.
 */
#include "health.h"

enum care {
	CARE_NOBODY = 1, /* there is none to look at */
	CARE_DEADLINE,	 /* the state has one, and the supervisor acts on it */
	CARE_HEARTBEAT
};

static const enum care cares[CHILD_STATE_COUNT] = {
	[CHILD_DOWN] = CARE_NOBODY,
	[CHILD_STARTING] = CARE_DEADLINE,
	[CHILD_UP] = CARE_HEARTBEAT,
	[CHILD_LEAVING] = CARE_HEARTBEAT,
	[CHILD_STUCK] = CARE_DEADLINE,
	[CHILD_KILLING] = CARE_DEADLINE,
	[CHILD_STOPPING] = CARE_DEADLINE,
	[CHILD_BACKOFF] = CARE_NOBODY,
	[CHILD_HELD] = CARE_NOBODY,
};

bool health_is_well(enum child_state state, bool silent)
{
	return cares[state] != CARE_HEARTBEAT || !silent;
}

/* Half of the limit: the last food before was given up to half of it later. And
 * ours comes first, with time to spare. */
uint64_t health_silence_ms(
	uint64_t limit_ms, uint64_t heartbeat_ms, uint64_t least_ms)
{
	uint64_t ms = limit_ms / 2;

	if (ms < 2 * heartbeat_ms)
		ms = 2 * heartbeat_ms;
	return ms < least_ms ? least_ms : ms;
}
