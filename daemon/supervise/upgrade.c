/* SPDX-License-Identifier: MIT */
/* upgrade.c -- new worker code under a running service.
 *
 * Children are forked with what service->lib is at that moment; its place is
 * constant, its content is changed here and nowhere else. The children alive
 * have the content of their own fork: a change is complete once the business
 * child has been renewed.
 *
 *          upgrade_start         on_tried             on_forward
 *   IDLE ----------------> TRIAL ---------> FORWARD --------------> IDLE
 *    |                       | refused         | failed              ^
 *    |                       +---> IDLE        +-----> CLEAN --------+
 *    | upgrade_roll_back, upgrade_on_crash       on_back |           |
 *    +------------------------------------------> BACK --+-----------+
 *
 * Rules, and the function that keeps each:
 *   U1  nobody's constructor ends the supervisor          trial.c
 *   U2  the code before stays loaded until the next
 *       upgrade has succeeded                             on_forward()
 *   U3  code that was not there when the arena was built,
 *       or has been away from it, builds in its children  set_lib()
 *   U4  after a change that failed no process is left
 *       that runs the code that failed                    clean()
 *
 * A migration is the business child's first act with the lease. Once that is
 * committed the code before comes back only if its own `migrate` takes it; else
 * what has died behind its migration stays.
 */
#include "upgrade.h"

#include "change.h"
#include "common/events.h"
#include "daemon/memory.h"
#include "runners.h"
#include "spawn.h"
#include "trial.h"

#include <errno.h>
#include <ev.h>
#include <inttypes.h>
#include <refork/log.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_S	    0.05
#define NOT_SERVING "the service is not serving at present"

enum upgrade_step {
	UPGRADE_IDLE,
	UPGRADE_TRIAL,	 /* a process of its own loads the new code */
	UPGRADE_FORWARD, /* the business child is renewed with it, */
	UPGRADE_BACK,	 /* or with the code before, */
	UPGRADE_CLEAN,	 /* or because it runs what has failed */
	UPGRADE_STEP_COUNT
};

struct upgrade {
	struct service *service;
	struct worker_lib *lib; /* the service's: what is forked */
	struct rf_status_supervisor *status;
	struct family *family;
	struct ev_loop *loop;
	enum upgrade_step step;
	struct trial *trial;
	struct worker_lib fresh;  /* TRIAL: pinned, not loaded */
	struct worker_lib before; /* what a rollback goes back to */
	struct worker_lib older;  /* FORWARD: what it went back to until now */
	struct runners others;	  /* alive, and running other code than `lib` */
	ev_timer canary;
	uint64_t canary_from; /* the generation it began with */
	ev_timer retry;
	char configured[PATH_MAX]; /* what the daemon has started with */
	struct family_done done;
};

static void tell(struct upgrade *u, const struct family_outcome *outcome)
{
	struct family_done done = u->done;

	u->done = (struct family_done){0};
	if (done.call)
		done.call(done.arg, outcome);
}

/* ---- what is forked ---- */

/* Children forked from now on run *lib. */
static void set_lib(struct upgrade *u, const struct worker_lib *next)
{
	*u->lib = *next;
	u->lib->build_here = true; /* U3 */
	u->service->arena_conf.worker_name = u->lib->worker.name;
	u->service->arena_conf.state_version = u->lib->worker.state_version;
	u->others = runners_now(u->status);
}

static void swap(struct upgrade *u)
{
	struct worker_lib now = *u->lib;

	set_lib(u, &u->before);
	u->before = now;
}

/* ---- renewing ---- */

static void on_renewed(void *arg, const struct family_outcome *outcome);

static int renew(struct upgrade *u)
{
	const struct family_done done = {on_renewed, u};

	return family_is_held(u->family)
		       ? family_resume_anew(u->family, done)
		       : family_renew_business(u->family, false, done);
}

/* From the loop, when the service serves: it may be between two children now.
 * What it forks is right already; what it has is renewed. */
static void renew_in_the_end(struct upgrade *u)
{
	ev_timer_again(u->loop, &u->retry);
}

static bool others_are_gone(struct upgrade *u)
{
	const struct runners now = runners_now(u->status);

	return !runners_share(&now, &u->others);
}

static void on_retry(struct ev_loop *loop, ev_timer *w, int events)
{
	struct upgrade *u = w->data;
	struct family_outcome by_itself = {.pause_us = -1};

	(void)events;
	if (!family_serves(u->family))
		return;
	ev_timer_stop(loop, w);
	by_itself.generation =
		rf_status_get(u->service->status->business.serving);
	if (others_are_gone(u))
		on_renewed(u, &by_itself);
	else if (renew(u))
		renew_in_the_end(u);
}

/* After a change that failed: *lib is again what it was, and `right` are the
 * processes that have run it all the time. */
static void clean(struct upgrade *u, const struct runners *right)
{
	if (runners_has(right, u->others.business))
		u->others.business = 0;
	if (runners_has(right, u->others.standby))
		u->others.standby = 0;
	u->step = UPGRADE_IDLE;
	if (!u->others.business && !u->others.standby)
		return;
	u->step = UPGRADE_CLEAN;
	renew_in_the_end(u);
}

static bool may_begin(struct upgrade *u, struct fault *why)
{
	bool ready = family_serves(u->family) || family_is_held(u->family);

	if (u->step == UPGRADE_CLEAN && ready && ev_is_active(&u->retry) &&
		others_are_gone(u)) {
		ev_timer_stop(u->loop, &u->retry);
		u->step = UPGRADE_IDLE;
	}
	if (u->step == UPGRADE_IDLE && ready)
		return true;
	fault_set(why, EX_OSERR, "%s",
		ready ? "a change of code is under way" : NOT_SERVING);
	return false;
}

static void on_clean(struct upgrade *u, const struct family_outcome *outcome)
{
	u->step = UPGRADE_IDLE;
	if (outcome->error)
		rf_log(RF_LOG_ERROR, "renew the business process: %s",
			outcome->why);
}

static void log_change(struct upgrade *u, enum rf_event_kind kind,
	const struct family_outcome *outcome)
{
	const struct rf_worker *from = &u->before.worker, *to = &u->lib->worker;
	char pause[48] = "";

	if (outcome->pause_us >= 0)
		snprintf(pause, sizeof(pause), ", pause %" PRId64 " us",
			outcome->pause_us);
	rf_log_event(kind,
		RF_LOG_FIELDS(RF_LOG_TEXT("worker_version", to->version)),
		"%s: %s %s -> %s (%s), generation %" PRIu64 " serves%s",
		kind == RF_EVENT_UPGRADED ? "upgraded" : "rolled back",
		to->name, from->version, to->version, u->lib->path,
		outcome->generation, pause);
}

/* ---- back ---- */

static bool can_go_back(const struct upgrade *u, struct fault *why)
{
	return change_can_go_back(&u->lib->worker, &u->before.worker, why);
}

static void back(struct upgrade *u)
{
	swap(u);
	u->step = UPGRADE_BACK;
}

/* The code before does not come up: its `migrate` has refused, perhaps. */
static void on_stuck(struct upgrade *u, const struct family_outcome *outcome)
{
	const struct runners right = u->others;

	swap(u);
	rf_log_event(RF_EVENT_UPGRADE_FAILED, NULL,
		"rollback to %s %s failed: %s; %s stays", u->before.worker.name,
		u->before.worker.version, outcome->why, u->lib->worker.version);
	clean(u, &right);
	tell(u, outcome);
}

static void on_back(struct upgrade *u, const struct family_outcome *outcome)
{
	ev_timer_stop(u->loop, &u->canary);
	if (outcome->error) {
		on_stuck(u, outcome);
		return;
	}
	u->step = UPGRADE_IDLE;
	rf_status_add(u->status->rollbacks, 1);
	log_change(u, RF_EVENT_ROLLED_BACK, outcome);
	worker_unload(&u->before);
	tell(u, outcome);
}

int upgrade_roll_back(
	struct upgrade *u, struct fault *why, struct family_done done)
{
	int rc;

	if (!may_begin(u, why))
		return -EBUSY;
	if (!u->before.handle)
		return -ENOENT;
	if (!can_go_back(u, why))
		return -EINVAL;
	back(u);
	u->done = done;
	rc = renew(u);
	if (!rc)
		return 0;
	swap(u);
	u->step = UPGRADE_IDLE;
	u->done = (struct family_done){0};
	fault_set(
		why, EX_OSERR, "renew the business process: %s", strerror(-rc));
	return rc;
}

void upgrade_on_crash(struct upgrade *u, const struct death *death)
{
	const struct rf_worker *now = &u->lib->worker;
	struct fault why;

	if (death->role != RF_CRASH_BUSINESS || u->step != UPGRADE_IDLE ||
		!ev_is_active(&u->canary) ||
		(death->generation && death->generation < u->canary_from))
		return;
	ev_timer_stop(u->loop, &u->canary);
	if (!can_go_back(u, &why)) {
		rf_log_event(RF_EVENT_CANARY_CRASHED, NULL,
			"%s %s crashed in its canary time and stays: %s",
			now->name, now->version, why.text);
		return;
	}
	rf_log_event(RF_EVENT_CANARY_CRASHED, NULL,
		"%s %s crashed in its canary time; going back to %s", now->name,
		now->version, u->before.worker.version);
	back(u);
	renew_in_the_end(u);
}

/* ---- forward ---- */

static void refuse(struct upgrade *u, int error, const char *why)
{
	struct family_outcome outcome = {.error = error};

	u->step = UPGRADE_IDLE;
	snprintf(outcome.why, sizeof(outcome.why), "%s", why);
	rf_log_event(RF_EVENT_UPGRADE_FAILED, NULL, "upgrade refused: %s", why);
	tell(u, &outcome);
}

static void start_canary(struct upgrade *u, uint64_t generation)
{
	uint64_t ms = u->service->conf->upgrade.canary_ms;

	ev_timer_stop(u->loop, &u->canary);
	if (!ms)
		return;
	u->canary_from = generation;
	ev_timer_set(&u->canary, (double)ms / 1000, 0.);
	ev_timer_start(u->loop, &u->canary);
}

static void on_canary(struct ev_loop *loop, ev_timer *w, int events)
{
	const struct upgrade *u = w->data;

	(void)loop;
	(void)events;
	if (u->step <= UPGRADE_TRIAL)
		rf_log(RF_LOG_NOTICE,
			"%s %s has come through its canary time; %s is kept "
			"for `reforkctl rollback`",
			u->lib->worker.name, u->lib->worker.version,
			u->before.worker.version);
}

static void put_back(struct upgrade *u)
{
	struct worker_lib failed = *u->lib;

	set_lib(u, &u->before);
	u->before = u->older;
	u->older = (struct worker_lib){0};
	worker_unload(&failed);
}

static void on_failed(struct upgrade *u, const struct family_outcome *outcome)
{
	const struct runners right = u->others;
	const struct rf_worker *to = &u->lib->worker;
	bool migrated = memory_state_version(u->service) == to->state_version;
	struct fault why;

	if (migrated && !can_go_back(u, &why)) {
		u->step = UPGRADE_IDLE;
		rf_log_event(RF_EVENT_UPGRADE_FAILED, NULL,
			"upgrade to %s %s failed: %s; it stays: %s", to->name,
			to->version, outcome->why, why.text);
		worker_unload(&u->older);
		tell(u, outcome);
		return;
	}
	rf_log_event(RF_EVENT_UPGRADE_FAILED, NULL,
		"upgrade to %s %s failed: %s; going on with %s", to->name,
		to->version, outcome->why, u->before.worker.version);
	put_back(u);
	clean(u, &right);
	tell(u, outcome);
}

static void on_forward(struct upgrade *u, const struct family_outcome *outcome)
{
	struct family_outcome noted = *outcome;

	if (outcome->error) {
		on_failed(u, outcome);
		return;
	}
	u->step = UPGRADE_IDLE;
	worker_unload(&u->older);
	rf_status_add(u->status->upgrades, 1);
	log_change(u, RF_EVENT_UPGRADED, outcome);
	change_note(u->service, &u->before, u->configured, noted.note,
		sizeof(noted.note));
	if (*noted.note)
		rf_log(RF_LOG_NOTICE, "upgrade: %s", noted.note);
	start_canary(u, outcome->generation);
	tell(u, &noted);
}

/* *fresh is loaded. */
static void forward(struct upgrade *u)
{
	int rc;

	u->older = u->before;
	u->before = *u->lib;
	set_lib(u, &u->fresh);
	u->fresh = (struct worker_lib){0};
	u->step = UPGRADE_FORWARD;
	rc = renew(u);
	if (!rc)
		return;
	put_back(u);
	refuse(u, rc, rc == -EBUSY ? NOT_SERVING : strerror(-rc));
}

static void on_tried(void *arg, const char *why)
{
	struct upgrade *u = arg;
	struct fault fault;

	u->trial = NULL;
	if (why) {
		worker_unload(&u->fresh);
		refuse(u, -EINVAL, why);
	} else if (trial_link(u->service, &u->fresh, &fault)) {
		refuse(u, -EINVAL, fault.text);
	} else {
		spawn_prepare(); /* whatever its constructors did to signals */
		forward(u);
	}
}

int upgrade_start(struct upgrade *u, const char *path, struct fault *why,
	struct family_done done)
{
	const struct trial_done tried = {on_tried, u};
	int error;

	if (!may_begin(u, why))
		return -EBUSY;
	if (worker_pin(&u->fresh, path, why))
		return -EINVAL;
	u->trial = trial_start(u->loop, u->service, &u->fresh, tried);
	if (!u->trial) {
		error = -errno;
		worker_unload(&u->fresh);
		fault_set(why, EX_OSERR, "try %s in a process of its own: %s",
			path, strerror(-error));
		return error;
	}
	u->step = UPGRADE_TRIAL;
	u->done = done;
	return 0;
}

/* ---- all of it ---- */

static void on_renewed(void *arg, const struct family_outcome *outcome)
{
	static void (*const acts[UPGRADE_STEP_COUNT])(
		struct upgrade *, const struct family_outcome *) = {
		[UPGRADE_FORWARD] = on_forward,
		[UPGRADE_BACK] = on_back,
		[UPGRADE_CLEAN] = on_clean,
	};
	struct upgrade *u = arg;

	acts[u->step](u, outcome);
}

uint64_t upgrade_canary_ms(const struct upgrade *u)
{
	if (!ev_is_active(&u->canary))
		return 0;
	return (uint64_t)(ev_timer_remaining(u->loop, (ev_timer *)&u->canary) *
			  1000);
}

bool upgrade_goes_back(const struct upgrade *u)
{
	struct fault why;

	return u->before.handle && can_go_back(u, &why);
}

struct upgrade *upgrade_open(
	struct service *service, struct family *family, struct ev_loop *loop)
{
	struct upgrade *u = calloc(1, sizeof(*u));

	if (!u)
		return NULL;
	u->service = service;
	u->lib = &service->lib;
	u->status = &service->status->supervisor;
	u->family = family;
	u->loop = loop;
	memcpy(u->configured, service->lib.path, sizeof(u->configured));
	ev_timer_init(&u->canary, on_canary, 0., 0.);
	ev_timer_init(&u->retry, on_retry, 0., RETRY_S);
	u->canary.data = u->retry.data = u;
	return u;
}

void upgrade_close(struct upgrade *u)
{
	trial_stop(u->trial);
	ev_timer_stop(u->loop, &u->canary);
	ev_timer_stop(u->loop, &u->retry);
	worker_unload(&u->fresh);
	worker_unload(&u->older);
	worker_unload(&u->before);
	free(u);
}
