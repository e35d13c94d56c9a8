/* SPDX-License-Identifier: MIT */
/* child.c -- the life of a child process.
 *
 *              START                  READY
 *      DOWN ----------> STARTING ------------------> UP
 *       ^                ^  ^ |  \                  / |
 *       |          TIMER |  | |   `----- STOP -----'  |
 *       |                |  | | EXIT, NOFORK  |       |
 *       |                |  | v               |       |
 *       |<--- STOP --- BACKOFF <-- FUTILE ------------|
 *       |                   |                 v       |
 *       `------ EXIT -------|------------ STOPPING    |
 *                           `---------- EXIT ---------'
 *
 *   - A child that has served is forked again the moment it ends; one that
 *     ended before it served waits, twice as long each time. So does one that
 *     keeps ending right after it said that it serves (FUTILE).
 *   - Nothing ends in DOWN but what was asked to: a supervisor never gives up.
 *   - BACKOFF and STOPPING have deadlines, the other states have none.
 *
 * This file only decides. family.c acts.
 */
#include "child.h"

#define BACKOFF_MS_MIN 10

static const char *const state_names[CHILD_STATE_COUNT] = {
	[CHILD_DOWN] = "down",
	[CHILD_STARTING] = "starting",
	[CHILD_UP] = "up",
	[CHILD_BACKOFF] = "backoff",
	[CHILD_STOPPING] = "stopping",
};

static const char *const event_names[CHILD_EV_COUNT] = {
	[CHILD_EV_START] = "start",
	[CHILD_EV_NOFORK] = "fork failed",
	[CHILD_EV_READY] = "ready",
	[CHILD_EV_EXIT] = "exit",
	[CHILD_EV_FUTILE] = "futile",
	[CHILD_EV_TIMER] = "deadline",
	[CHILD_EV_STOP] = "stop",
};

/* clang-format off */
static const struct child_step steps[CHILD_STATE_COUNT][CHILD_EV_COUNT] = {
	[CHILD_DOWN] = {
		[CHILD_EV_START]  = {CHILD_STARTING, CHILD_ACT_SPAWN},
		[CHILD_EV_STOP]   = {CHILD_DOWN,     CHILD_ACT_NONE},
	},
	[CHILD_STARTING] = {
		[CHILD_EV_NOFORK] = {CHILD_BACKOFF,  CHILD_ACT_NONE},
		[CHILD_EV_READY]  = {CHILD_UP,       CHILD_ACT_NONE},
		[CHILD_EV_EXIT]   = {CHILD_BACKOFF,  CHILD_ACT_NONE},
		[CHILD_EV_STOP]   = {CHILD_STOPPING, CHILD_ACT_TERM},
	},
	[CHILD_UP] = {
		[CHILD_EV_EXIT]   = {CHILD_STARTING, CHILD_ACT_SPAWN},
		[CHILD_EV_FUTILE] = {CHILD_BACKOFF,  CHILD_ACT_NONE},
		[CHILD_EV_STOP]   = {CHILD_STOPPING, CHILD_ACT_TERM},
	},
	[CHILD_BACKOFF] = {
		[CHILD_EV_TIMER]  = {CHILD_STARTING, CHILD_ACT_SPAWN},
		[CHILD_EV_STOP]   = {CHILD_DOWN,     CHILD_ACT_NONE},
	},
	[CHILD_STOPPING] = {
		[CHILD_EV_EXIT]   = {CHILD_DOWN,     CHILD_ACT_NONE},
		[CHILD_EV_TIMER]  = {CHILD_STOPPING, CHILD_ACT_KILL},
		[CHILD_EV_STOP]   = {CHILD_STOPPING, CHILD_ACT_KILL},
	},
};
/* clang-format on */

struct child_step child_step(enum child_state state, enum child_event event)
{
	struct child_step step = steps[state][event];

	if (step.action == CHILD_ACT_ILLEGAL)
		step.next = state;
	return step;
}

const char *child_state_name(enum child_state state)
{
	return state_names[state];
}

const char *child_event_name(enum child_event event)
{
	return event_names[event];
}

uint64_t child_backoff_ms(
	uint64_t last_ms, uint64_t delay_ms, uint64_t delay_max_ms)
{
	uint64_t first = delay_ms > BACKOFF_MS_MIN ? delay_ms : BACKOFF_MS_MIN;
	uint64_t limit = delay_max_ms > first ? delay_max_ms : first;

	if (last_ms < first)
		return first;
	return last_ms > limit / 2 ? limit : last_ms * 2;
}
