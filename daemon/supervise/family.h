/* SPDX-License-Identifier: MIT */
/* family.h -- the children: forked, watched, forked again. See family.c. */
#ifndef FAMILY_H
#define FAMILY_H

#include "daemon/service.h"

#include <signal.h>

struct ev_loop;
struct family;

/* A process that ended unasked, or was ended because it hung. */
struct death {
	enum rf_crash_role role;
	enum rf_crash_cause cause;
	enum rf_rung rung; /* that answered it */
	pid_t pid;
	uint64_t generation;	      /* of a business child; else 0 */
	siginfo_t end;		      /* what waitid(2) says */
	int64_t noticed_us;	      /* CLOCK_MONOTONIC */
	struct rf_crash_scene *scene; /* not NULL; perhaps nobody wrote it */
};

struct family_host {
	void *arg;
	/* A child has come up, or will be away for a while. */
	void (*changed)(void *arg);
	/* A child that was asked to end has ended. */
	void (*gone)(void *arg);
	/* The child called `name` says that it cannot start, and the service
	 * has not served yet. */
	void (*hopeless)(void *arg, const char *name);
	/* After the successor was forked or serves: nobody waits any more.
	 * `takeover` is what the successor said; NULL when none serves. */
	void (*crashed)(void *arg, const struct death *death,
		const struct rf_takeover *takeover);
	/* on_limit = exit: the ladder has come to its end. */
	void (*exhausted)(void *arg);
	/* Rung 4: put the last good durable copy in place of the state; no
	 * business child lives. 0; -ENOENT: there is none. NULL: likewise. */
	int (*restore)(void *arg);
};

/* NULL with errno. The children destroy `loop`. */
struct family *family_open(struct service *service, struct ev_loop *loop,
	const struct family_host *host);

void family_start(struct family *f);

/* Before the first family_stop_next(): the end is to leave the clients'
 * connections to the next daemon, if it can. */
void family_preserve(struct family *f);

/* Ask the next child in turn to end; one that was asked before is killed.
 * False: there is none left. */
bool family_stop_next(struct family *f);

bool family_serves(const struct family *f);
/* It does not serve, and will without anybody's word. */
bool family_begins(const struct family *f);
bool family_has_served(const struct family *f);
/* The ladder's end (on_limit = hold): an operator is to act. */
bool family_is_held(const struct family *f);
/* Of the last crash, in words; NULL: there was none. */
const char *family_last_crash(const struct family *f);

/* How a planned re-fork came out. pause_us: from the lease given to the
 * successor serving; error: 0 or -errno, and why in words. */
struct family_outcome {
	int error;
	int64_t pause_us;
	uint64_t generation;
	char why[512];
	char note[512]; /* without an error: what is worth knowing, or "" */
};
/* Whom to tell; call may be NULL. */
struct family_done {
	void (*call)(void *arg, const struct family_outcome *outcome);
	void *arg;
};

/* Re-fork the business child with what service->lib is now: a fresh standby is
 * made ready (whatever business.standby says), then the old one gives it the
 * lease between two requests. With `now` it is killed instead.
 *
 * done     called once, later, from the loop
 * Returns  0; -EBUSY one is under way or the service is not serving, -EAGAIN
 *          (no fork): `done` is not called then */
int family_renew_business(struct family *f, bool now, struct family_done done);
/* The same for the network child; its connections stay. */
int family_renew_network(struct family *f, bool now, struct family_done done);

/* Be fit for a checkpoint of the whole tree: the standby, the vault and the
 * helpers end, and none is made until family_end_checkpoint(), or a crash. It
 * goes on serving; a death of the network child costs the connections. See
 * checkpoint.c.
 *
 * Returns  0: ask family_checkpoint_state(); -EBUSY as below */
int family_prepare_checkpoint(struct family *f);
/* 0: fit for it; -EAGAIN: not yet; -ECANCELED: not, or no longer, prepared. */
int family_checkpoint_state(struct family *f);
/* Afterwards, in the restored tree or in one that was left running: a new
 * business child (the old one is killed), a vault, a standby.
 *
 * done     called once, later, from the loop
 * Returns  0; -EALREADY not prepared, -EBUSY not serving: `done` is not called
 *          then */
int family_end_checkpoint(struct family *f, struct family_done done);

/* Leave the hold of the ladder (on_limit = hold), at an operator's word. */
int family_resume(struct family *f);
/* The same with what service->lib is now; if that fails it is held again.
 *
 * done     called once, perhaps before this returns
 * Returns  0; -errno, and `done` is not called: -EALREADY it is not held,
 *          -EBUSY, -ENOMEM no arena */
int family_resume_anew(struct family *f, struct family_done done);

/* When no child is left: collect what helped them. */
void family_close(struct family *f);

#endif
