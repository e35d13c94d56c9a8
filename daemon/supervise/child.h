/* SPDX-License-Identifier: MIT */
/* child.h -- the life of a child process, as a table. See child.c. */
#ifndef DAEMON_CHILD_H
#define DAEMON_CHILD_H

#include <stdint.h>

enum child_state {
	CHILD_DOWN,	/* no process, none wanted */
	CHILD_STARTING, /* a process (or about to be), does not serve yet */
	CHILD_UP,	/* it has said that it serves */
	CHILD_LEAVING,	/* asked to hand over and end */
	CHILD_STUCK,	/* hangs: asked by SIGABRT to tell where, and die */
	CHILD_KILLING,	/* sent SIGKILL; another one takes its place */
	CHILD_STOPPING, /* asked to end for good */
	CHILD_BACKOFF,	/* no process; the deadline brings the next try */
	CHILD_HELD,	/* no process until an operator says so */
	CHILD_STATE_COUNT
};

enum child_event {
	CHILD_EV_START,	   /* it is wanted */
	CHILD_EV_NOFORK,   /* the fork failed */
	CHILD_EV_READY,	   /* it says that it serves */
	CHILD_EV_EXIT,	   /* its process has ended, however */
	CHILD_EV_FUTILE,   /* the same, once more without having got anywhere */
	CHILD_EV_LIMIT,	   /* the same, and the ladder says: no more */
	CHILD_EV_HANG,	   /* the watchdog has lost patience */
	CHILD_EV_LEAVE,	   /* a planned hand-over */
	CHILD_EV_HANDED,   /* its standby serves while it still lives */
	CHILD_EV_TAKEN,	   /* its process has become another member's */
	CHILD_EV_REPLACE,  /* it must go at once, for another one */
	CHILD_EV_DEADLINE, /* the time of its state is over */
	CHILD_EV_STOP,	   /* it is no longer wanted */
	CHILD_EV_RESUME,   /* an operator's word */
	CHILD_EV_COUNT
};

enum child_action {
	CHILD_ACT_ILLEGAL, /* no such cell: a bug in the caller */
	CHILD_ACT_NONE,
	CHILD_ACT_SPAWN, /* fork, or take over the process that stands by */
	CHILD_ACT_ADOPT, /* take over the process that serves already */
	CHILD_ACT_LEAVE, /* order it to hand over */
	CHILD_ACT_STAY,	 /* take that order back */
	CHILD_ACT_ABORT, /* SIGABRT */
	CHILD_ACT_TERM,	 /* SIGTERM */
	CHILD_ACT_KILL,	 /* SIGKILL */
	CHILD_ACT_COUNT
};

struct child_step {
	enum child_state next;
	enum child_action action;
};

/* What happens next. Pure. An illegal pair keeps the state. */
struct child_step child_step(enum child_state state, enum child_event event);

const char *child_state_name(enum child_state state);
const char *child_event_name(enum child_event event);

#endif
