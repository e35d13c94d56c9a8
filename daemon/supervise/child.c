/* SPDX-License-Identifier: MIT */
/* child.c -- the life of a child process.
 *
 *             START          READY            LEAVE
 *      DOWN --------> STARTING ------> UP <----------> LEAVING
 *       ^               ^  |            |    DEADLINE     |
 *       |               |  |            |                 |
 *       |               |  | DEADLINE   | HANG       HANG |
 *       |               |  +----------> STUCK <-----------+
 *       |               |                 | DEADLINE
 *       |               |  REPLACE        v
 *       |               |  (any above) KILLING --.
 *       |               |                 ^------' DEADLINE
 *       |               |
 *       |               |   from any of these five:
 *       |               |<---- EXIT -------
 *       |     DEADLINE  |
 *       |         BACKOFF <--- FUTILE -----     (and STARTING: NOFORK)
 *       |          |
 *       |<-- STOP -+
 *       |          |
 *       |         HELD <------ LIMIT ------     RESUME: STARTING again
 *       |
 *       `-- EXIT -- STOPPING <-- STOP -----
 *
 *   - The end of a process is answered in the same breath: the next one is
 *     forked (or takes over), unless it has got nowhere too often (FUTILE) or
 *     the recovery ladder is at its end (LIMIT).
 *   - A process may pass to another member. The standby's: TAKEN, and it comes
 *     back by BACKOFF. The business child whose standby serves already, while
 *     it is still writing its core or ends as ordered: HANDED, it stays UP
 *     with the other's process.
 *   - Nothing ends in DOWN but what was asked to: a supervisor never gives up.
 *   - Every state with a process that should go, or should come, has a
 *     deadline: STARTING, LEAVING, STUCK, KILLING, STOPPING; so has BACKOFF.
 *     UP is the watchdog's, HELD the operator's.
 *
 * This file only decides. member.c acts.
 */
#include "child.h"

static const char *const state_names[CHILD_STATE_COUNT] = {
	[CHILD_DOWN] = "down",
	[CHILD_STARTING] = "starting",
	[CHILD_UP] = "up",
	[CHILD_LEAVING] = "leaving",
	[CHILD_STUCK] = "stuck",
	[CHILD_KILLING] = "killing",
	[CHILD_STOPPING] = "stopping",
	[CHILD_BACKOFF] = "backoff",
	[CHILD_HELD] = "held",
};

static const char *const event_names[CHILD_EV_COUNT] = {
	[CHILD_EV_START] = "start",
	[CHILD_EV_NOFORK] = "fork failed",
	[CHILD_EV_READY] = "ready",
	[CHILD_EV_EXIT] = "exit",
	[CHILD_EV_FUTILE] = "futile",
	[CHILD_EV_LIMIT] = "limit",
	[CHILD_EV_HANG] = "hangs",
	[CHILD_EV_LEAVE] = "hand over",
	[CHILD_EV_HANDED] = "handed over",
	[CHILD_EV_TAKEN] = "took over",
	[CHILD_EV_REPLACE] = "replace",
	[CHILD_EV_DEADLINE] = "deadline",
	[CHILD_EV_STOP] = "stop",
	[CHILD_EV_RESUME] = "resume",
};

/* clang-format off */
static const struct child_step steps[CHILD_STATE_COUNT][CHILD_EV_COUNT] = {
	[CHILD_DOWN] = {
		[CHILD_EV_START]    = {CHILD_STARTING, CHILD_ACT_SPAWN},
		[CHILD_EV_STOP]     = {CHILD_DOWN,     CHILD_ACT_NONE},
	},
	[CHILD_STARTING] = {
		[CHILD_EV_NOFORK]   = {CHILD_BACKOFF,  CHILD_ACT_NONE},
		[CHILD_EV_READY]    = {CHILD_UP,       CHILD_ACT_NONE},
		[CHILD_EV_EXIT]     = {CHILD_STARTING, CHILD_ACT_SPAWN},
		[CHILD_EV_FUTILE]   = {CHILD_BACKOFF,  CHILD_ACT_NONE},
		[CHILD_EV_LIMIT]    = {CHILD_HELD,     CHILD_ACT_NONE},
		[CHILD_EV_TAKEN]    = {CHILD_BACKOFF,  CHILD_ACT_NONE},
		[CHILD_EV_REPLACE]  = {CHILD_KILLING,  CHILD_ACT_KILL},
		[CHILD_EV_DEADLINE] = {CHILD_STUCK,    CHILD_ACT_ABORT},
		[CHILD_EV_STOP]     = {CHILD_STOPPING, CHILD_ACT_TERM},
	},
	[CHILD_UP] = {
		[CHILD_EV_EXIT]     = {CHILD_STARTING, CHILD_ACT_SPAWN},
		[CHILD_EV_FUTILE]   = {CHILD_BACKOFF,  CHILD_ACT_NONE},
		[CHILD_EV_LIMIT]    = {CHILD_HELD,     CHILD_ACT_NONE},
		[CHILD_EV_HANG]     = {CHILD_STUCK,    CHILD_ACT_ABORT},
		[CHILD_EV_LEAVE]    = {CHILD_LEAVING,  CHILD_ACT_LEAVE},
		[CHILD_EV_HANDED]   = {CHILD_UP,       CHILD_ACT_ADOPT},
		[CHILD_EV_TAKEN]    = {CHILD_BACKOFF,  CHILD_ACT_NONE},
		[CHILD_EV_REPLACE]  = {CHILD_KILLING,  CHILD_ACT_KILL},
		[CHILD_EV_STOP]     = {CHILD_STOPPING, CHILD_ACT_TERM},
	},
	[CHILD_LEAVING] = {
		[CHILD_EV_EXIT]     = {CHILD_STARTING, CHILD_ACT_SPAWN},
		[CHILD_EV_FUTILE]   = {CHILD_BACKOFF,  CHILD_ACT_NONE},
		[CHILD_EV_LIMIT]    = {CHILD_HELD,     CHILD_ACT_NONE},
		[CHILD_EV_HANG]     = {CHILD_STUCK,    CHILD_ACT_ABORT},
		[CHILD_EV_HANDED]   = {CHILD_UP,       CHILD_ACT_ADOPT},
		[CHILD_EV_REPLACE]  = {CHILD_KILLING,  CHILD_ACT_KILL},
		[CHILD_EV_DEADLINE] = {CHILD_UP,       CHILD_ACT_STAY},
		[CHILD_EV_STOP]     = {CHILD_STOPPING, CHILD_ACT_TERM},
	},
	[CHILD_STUCK] = {
		[CHILD_EV_EXIT]     = {CHILD_STARTING, CHILD_ACT_SPAWN},
		[CHILD_EV_FUTILE]   = {CHILD_BACKOFF,  CHILD_ACT_NONE},
		[CHILD_EV_LIMIT]    = {CHILD_HELD,     CHILD_ACT_NONE},
		[CHILD_EV_HANDED]   = {CHILD_UP,       CHILD_ACT_ADOPT},
		[CHILD_EV_REPLACE]  = {CHILD_KILLING,  CHILD_ACT_KILL},
		[CHILD_EV_DEADLINE] = {CHILD_KILLING,  CHILD_ACT_KILL},
		[CHILD_EV_STOP]     = {CHILD_STOPPING, CHILD_ACT_KILL},
	},
	[CHILD_KILLING] = {
		[CHILD_EV_EXIT]     = {CHILD_STARTING, CHILD_ACT_SPAWN},
		[CHILD_EV_FUTILE]   = {CHILD_BACKOFF,  CHILD_ACT_NONE},
		[CHILD_EV_LIMIT]    = {CHILD_HELD,     CHILD_ACT_NONE},
		[CHILD_EV_HANDED]   = {CHILD_UP,       CHILD_ACT_ADOPT},
		[CHILD_EV_REPLACE]  = {CHILD_KILLING,  CHILD_ACT_KILL},
		[CHILD_EV_DEADLINE] = {CHILD_KILLING,  CHILD_ACT_KILL},
		[CHILD_EV_STOP]     = {CHILD_STOPPING, CHILD_ACT_KILL},
	},
	[CHILD_STOPPING] = {
		[CHILD_EV_EXIT]     = {CHILD_DOWN,     CHILD_ACT_NONE},
		[CHILD_EV_REPLACE]  = {CHILD_STOPPING, CHILD_ACT_KILL},
		[CHILD_EV_DEADLINE] = {CHILD_STOPPING, CHILD_ACT_KILL},
		[CHILD_EV_STOP]     = {CHILD_STOPPING, CHILD_ACT_KILL},
	},
	[CHILD_BACKOFF] = {
		[CHILD_EV_DEADLINE] = {CHILD_STARTING, CHILD_ACT_SPAWN},
		[CHILD_EV_LIMIT]    = {CHILD_HELD,     CHILD_ACT_NONE},
		[CHILD_EV_STOP]     = {CHILD_DOWN,     CHILD_ACT_NONE},
	},
	[CHILD_HELD] = {
		[CHILD_EV_RESUME]   = {CHILD_STARTING, CHILD_ACT_SPAWN},
		[CHILD_EV_STOP]     = {CHILD_DOWN,     CHILD_ACT_NONE},
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
