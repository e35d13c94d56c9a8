/* SPDX-License-Identifier: MIT */
/* member.h -- inside the family: its members and their processes.
 *
 * A member is a part to be played (network, vault, business, standby); it has a
 * state. A process plays one: it may pass from the standby to the business
 * member, and one that has handed over plays none until it is gone.
 *
 *   family.c    beginning, end, the bell
 *   member.c    the table's steps: act, enter a state
 *   process.c   the processes: forked, passed on, given up
 *   deaths.c    the end of a process: counted, answered, told
 *   rungs.c     the recovery ladder, climbed
 *   planned.c   planned re-forks
 *   checkpoint.c  fit to be written down and restored
 *   watchdog.c  who hangs; stuck.c what it was doing
 *   herald.c    what the service manager is told of them
 */
#ifndef MEMBER_H
#define MEMBER_H

#include "child.h"
#include "daemon/records/words.h"
#include "family.h"
#include "holder.h"
#include "intensity.h"
#include "ladder.h"
#include "watch.h"

#include <ev.h>

#define NETWORK	   RF_CRASH_NETWORK
#define VAULT	   RF_CRASH_VAULT
#define BUSINESS   RF_CRASH_BUSINESS
#define STANDBY	   RF_CRASH_STANDBY
#define ROLE_COUNT RF_CRASH_ROLE_COUNT

/* A life shorter than this in which nothing was done is a barren one. */
#define MEMBER_BARREN_MS 1000

struct member;

struct process {
	struct family *family;
	struct member *member; /* NULL: it has handed over, or has ended */
	enum rf_crash_role role;
	pid_t pid; /* 0: this entry is free */
	bool dead; /* it is known to be; perhaps its pidfd has yet to tell */
	bool collected;
	bool traced; /* not collected: a debugger has it */
	bool let_be; /* its end is known, and will be looked at in a moment */
	bool asked;  /* to end, or ended by us for another's sake */
	bool ordered_to_leave;
	bool verified;	  /* it walked the memory, all whole */
	bool counted;	  /* its end has been */
	bool to_be_told;  /* to the host */
	bool candidate;	  /* forked for a planned re-fork */
	const void *code; /* handle of the worker that it runs */
	enum rf_crash_cause cause;
	enum rf_rung rung;
	siginfo_t end;
	int64_t noticed_us;
	int64_t departed_at_ms;
	uint64_t generation;
	struct rf_crash_scene *scene;
	bool succeeded; /* `takeover` is what the one after it said */
	struct rf_takeover takeover;
	ev_io exit;
};

struct member {
	struct family *family;
	enum rf_crash_role role;
	enum child_state state;
	struct process *process; /* NULL: none */
	bool stood_by; /* the process was the standby's: it must take over */
	int fork_error;
	siginfo_t end; /* of its last process; si_pid 0: not known */
	bool end_was_asked;
	bool served;	    /* this process has */
	int64_t life_at_ms; /* in this part */
	bool last_life_was_barren;
	uint64_t progress_at_birth;
	int futile_count;  /* lives in a row that came to nothing */
	uint64_t pause_ms; /* the last one; 0 after it has served */
	struct watch watch;
	ev_timer deadline;
};

struct planned {
	bool active;
	enum rf_crash_role role;
	bool now;
	bool held; /* it began in a hold, and goes back there if it fails */
	int64_t from_us;
	int64_t gone_at_us; /* the old one, if it did not leave as ordered */
	struct family_done done;
};

struct family {
	struct service *service;
	struct ev_loop *loop;
	struct family_host host;
	struct member members[ROLE_COUNT];
	struct process processes[RF_CRASH_SCENES]; /* each has the scene of
						      its number */
	ev_timer holder_timer;
	ev_timer watch_timer;
	ev_timer tell_timer;
	ev_timer calm_timer;
	ev_io bell;
	bool has_served;
	bool stopping;
	bool preserve;		/* and the next daemon has the connections */
	struct member *stop_at; /* asked to end, as the last one */
	bool business_was_forked;
	bool checkpoint; /* prepared for one, or to be */
	char last_crash[WORDS_MAX];
	uint64_t seed;

	/* Where the ladder stands. */
	struct intensity crashes;
	int64_t verified_at_ms;	    /* the clean walk after a burst; 0: none */
	uint64_t verified_requests; /* answered until then */
	bool verify;		    /* the next business child is to walk */
	bool burst;		    /* ... because of a burst */
	bool died_in_recovery;	    /* the last one did */
	bool at_limit;		    /* no more, until an operator says so */
	bool exhausted;		    /* the host is to be told so */
	uint64_t quarantined;	    /* seen so far */

	struct planned planned;
};

/* ---- member.c ---- */

extern const char *const member_names[ROLE_COUNT];

void member_feed(struct member *m, enum child_event event);
void member_on_deadline(struct ev_loop *loop, ev_timer *w, int events);
/* It has a process, and that is not known to be dead. */
bool member_lives(const struct member *m);
/* It serves: UP, or LEAVING. */
bool member_serves(const struct member *m);
/* Its process says so. */
bool member_says_ready(const struct member *m);
/* Grows when it does what it is there for. */
uint64_t member_progress(const struct member *m);
/* A short life in which nothing was done. */
bool member_is_barren(const struct member *m);
void member_set_deadline(struct member *m, uint64_t ms);

/* ---- process.c ---- */

/* Make one for `m`: forked, or made by one that shares the connections.
 * 0 or -errno. */
int process_make(struct member *m);
/* The standby's process becomes the business member's. */
void process_promote(struct family *f);
/* The business member's process plays no part any more. */
void process_depart(struct member *m);
/* Its end is told; the entry and its scene are free again. */
void process_free(struct process *p);
/* The standby's process, if it can take over. */
struct process *process_in_waiting(struct family *f);
/* One lives that may have, or get, the lease. */
bool process_any_business(const struct family *f);
/* A business child is about to be ended for another's sake: say so. */
void process_spend(struct process *p);
/* SIGKILL, and wait until it is dead. Its pidfd tells as usual, later. */
void process_kill_now(struct process *p);
void process_publish(struct family *f);
struct process *process_of_pid(struct family *f, pid_t pid);

#define for_each_process(f, p)                                                 \
	for (struct process *p = (f)->processes;                               \
		p < (f)->processes + RF_CRASH_SCENES; p++)                     \
		if (p->pid)

/* ---- deaths.c ---- */

void deaths_on_exit(struct ev_loop *loop, ev_io *w, int events);
/* The business member's process has handed over and goes on dying. */
void deaths_departed(struct process *p);
/* It has a process that may pass its part on. */
bool deaths_may_depart(const struct member *business);
/* It has given the lease in its handler, and nobody serves instead yet. */
void deaths_left(struct member *m);
/* `by` serves, instead of those that have died or handed over. */
void deaths_succeeded(struct process *by);
/* Tell the host of those whose successor serves, or which nobody succeeds; or
 * of all. */
void deaths_tell(struct family *f, bool all);
void deaths_on_tell_timer(struct ev_loop *loop, ev_timer *w, int events);
void deaths_on_calm_timer(struct ev_loop *loop, ev_timer *w, int events);
void deaths_on_holder_timer(struct ev_loop *loop, ev_timer *w, int events);
/* End the helpers that hold the maps of the dead, but for `keep`. Returns what
 * holders_end() does. */
int deaths_end_holders(struct family *f, pid_t keep);
/* Collect the children that nobody watches. */
void deaths_reap(struct family *f);

/* ---- rungs.c ---- */

/* A business process has ended by itself, or by the watchdog. Decides, and
 * prepares what the next one is to do. */
void rungs_climb(struct family *f, struct process *dead);
/* Back to the hold that was left to try something. */
void rungs_hold_again(struct family *f);
/* The business member serves: the ladder is left. */
void rungs_on_serving(struct family *f);
/* Count the requests that the business child has quarantined. */
void rungs_see_quarantined(struct family *f);

/* ---- planned.c ---- */

void planned_on_ready(struct member *m);
/* It was tried for a planned re-fork, and says that it cannot run this state:
 * an answer, no crash. */
bool planned_is_refusal(const struct process *p);
/* Before the next one is forked. */
void planned_on_end(struct process *p, const struct member *m);
void planned_on_stay(struct family *f);
void planned_on_nofork(const struct member *m);
void planned_cancel(struct family *f, const char *why);

/* ---- checkpoint.c ---- */

/* A process of that role has crashed. */
void checkpoint_on_crash(struct family *f, enum rf_crash_role role);

/* ---- watchdog.c ---- */

void watchdog_on_timer(struct ev_loop *loop, ev_timer *w, int events);
/* Changes while its process lives. */
uint64_t watchdog_life(const struct member *m);

/* ---- stuck.c ---- */

/* Describe a process that has not described itself. */
void stuck_describe(struct process *p);

/* ---- family.c ---- */

/* See what the children say of themselves, and act on it. */
void family_look(struct family *f);
/* Begin or end what the configuration and the others' states ask for. */
void family_review(struct family *f);
/* It is wanted, and now is the time for it. */
bool family_may_begin(const struct member *m);
/* `m` serves: READY or HANDED. */
void family_on_serving(struct member *m);

#endif
