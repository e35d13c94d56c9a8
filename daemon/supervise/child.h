/* SPDX-License-Identifier: MIT */
/* child.h -- the life of a child process, as a table. See child.c. */
#ifndef DAEMON_CHILD_H
#define DAEMON_CHILD_H

#include <stdint.h>

enum child_state {
	CHILD_DOWN,	/* no process, none wanted */
	CHILD_STARTING, /* forked (or about to be), does not serve yet */
	CHILD_UP,	/* has said that it serves */
	CHILD_BACKOFF,	/* no process; the timer brings the next try */
	CHILD_STOPPING, /* asked to end; the timer ends it by force */
	CHILD_STATE_COUNT
};

enum child_event {
	CHILD_EV_START,	 /* it is wanted */
	CHILD_EV_NOFORK, /* the fork failed */
	CHILD_EV_READY,	 /* it says that it serves */
	CHILD_EV_EXIT,	 /* its process has ended, however */
	CHILD_EV_FUTILE, /* the same, once more without having got anywhere */
	CHILD_EV_TIMER,	 /* the deadline of its state has passed */
	CHILD_EV_STOP,	 /* it is no longer wanted */
	CHILD_EV_COUNT
};

enum child_action {
	CHILD_ACT_ILLEGAL, /* no such cell: a bug in the caller */
	CHILD_ACT_NONE,
	CHILD_ACT_SPAWN,
	CHILD_ACT_TERM, /* SIGTERM */
	CHILD_ACT_KILL, /* SIGKILL */
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

/* The pause after `last_ms` (0: the first one). */
uint64_t child_backoff_ms(
	uint64_t last_ms, uint64_t delay_ms, uint64_t delay_max_ms);

#endif
