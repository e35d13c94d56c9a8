/* SPDX-License-Identifier: MIT */
/* family.c -- the children: forked, watched, forked again.
 *
 * The loop only translates: a pidfd, a timer or the bell becomes an event of
 * child.c's table.
 *
 * Rules, and the function that keeps each:
 *   V1  fork first, reap and log later: clients wait      deaths_on_exit()
 *   V2  the end of a child is never lost: its zombie
 *       stays until its pidfd has told                    deaths_reap()
 *   V3  a business child is told that the lease is an
 *       orphan only when no other process exists that
 *       could have it                                     process_make()
 *   V4  the rings are emptied only while nobody uses
 *       them                                              renew_channel()
 *   V5  at the end the network child goes first: what it
 *       has in flight still needs the business child      family_stop_next()
 *   V6  who serves is who says so with the lease in hand:
 *       the supervisor follows                            family_look()
 */
#include "common/events.h"
#include "member.h"

#include "daemon/memory.h"
#include "daemon/preserve.h"
#include "pause.h"

#include <errno.h>
#include <refork/log.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define HOLDER_PAUSE_S 0.2
#define TELL_PAUSE_S   0.05
/* A standby takes over by itself: meanwhile its processors are not ours. */
#define CALM_S	      0.003
#define WATCH_FIRST_S 0.1
#define CLOSE_WAIT_MS 2000

/* At the end they go in this order. */
static const enum rf_crash_role stop_order[ROLE_COUNT] = {
	NETWORK, VAULT, STANDBY, BUSINESS};

/* ---- who is wanted ---- */

static bool wants_standby(const struct family *f)
{
	return !f->at_limit && !f->checkpoint &&
	       (f->service->conf->business.standby ||
		       (f->planned.active && f->planned.role == BUSINESS &&
			       !f->planned.now));
}

bool family_may_begin(const struct member *m)
{
	return m->role != STANDBY ||
	       (wants_standby(m->family) && !m->family->stopping &&
		       member_serves(&m->family->members[BUSINESS]));
}

void family_review(struct family *f)
{
	struct member *standby = &f->members[STANDBY];
	struct process *p = standby->process;
	bool stale = p && p->code != f->service->lib.handle;

	if (standby->state == CHILD_DOWN) {
		if (family_may_begin(standby))
			member_feed(standby, CHILD_EV_START);
	} else if (standby->state != CHILD_STOPPING &&
		   (stale || !wants_standby(f))) {
		member_feed(standby, CHILD_EV_STOP);
	}
	if (f->members[VAULT].state == CHILD_DOWN && !f->checkpoint &&
		!f->stopping)
		member_feed(&f->members[VAULT], CHILD_EV_START);
	if (f->exhausted) {
		f->exhausted = false;
		f->host.exhausted(f->host.arg);
	}
}

/* ---- the bell ---- */

void family_on_serving(struct member *m)
{
	struct family *f = m->family;

	m->served = true;
	if (m->role == BUSINESS) {
		m->process->generation =
			rf_status_get(f->service->status->business.serving);
		deaths_succeeded(m->process);
		rungs_on_serving(f);
	}
	planned_on_ready(m);
}

/* The standby serves while its predecessor still lives, or is not known to be
 * dead. */
static void see_handed(struct family *f)
{
	struct member *business = &f->members[BUSINESS];
	struct process *old = business->process;
	const struct process *next = process_in_waiting(f);
	const struct rf_status_shm *st = f->service->status;

	if (!next || !deaths_may_depart(business) ||
		rf_status_get(st->business.serving_pid) != next->pid)
		return;
	member_feed(business, CHILD_EV_HANDED);
	family_on_serving(business);
	deaths_departed(old);
}

/* It has given the lease in its handler, and takes its time to die. */
static void see_left(struct family *f)
{
	struct member *business = &f->members[BUSINESS];
	const struct process *p = business->process;

	if (!member_lives(business) || business->state == CHILD_STOPPING)
		return;
	if (__atomic_load_n(&p->scene->complete, __ATOMIC_ACQUIRE) == p->pid &&
		p->scene->handed_over)
		deaths_left(business);
}

void family_look(struct family *f)
{
	see_handed(f);
	see_left(f);
	for (int i = 0; i < ROLE_COUNT; i++) {
		struct member *m = &f->members[i];

		if (m->state != CHILD_STARTING || !member_says_ready(m))
			continue;
		member_feed(m, CHILD_EV_READY);
		family_on_serving(m);
	}
	if (f->members[STANDBY].state == CHILD_UP)
		planned_on_ready(&f->members[STANDBY]);
	family_review(f);
	/* The dead are told of by the timer: a record costs a fork, and clients
	 * wait for the processor. */
}

static void on_bell(struct ev_loop *loop, ev_io *w, int events)
{
	uint64_t rings;

	(void)loop;
	(void)events;
	if (read(w->fd, &rings, sizeof(rings)) < 0)
		return;
	family_look(w->data);
}

/* ---- asked ---- */

bool family_serves(const struct family *f)
{
	return member_serves(&f->members[NETWORK]) &&
	       member_serves(&f->members[BUSINESS]);
}

bool family_begins(const struct family *f)
{
	return !f->stopping && !family_is_held(f) && !family_serves(f);
}

bool family_has_served(const struct family *f)
{
	return f->has_served;
}

bool family_is_held(const struct family *f)
{
	return f->members[BUSINESS].state == CHILD_HELD;
}

const char *family_last_crash(const struct family *f)
{
	return *f->last_crash ? f->last_crash : NULL;
}

/* A cold start that failed has left none. */
static int have_arena(struct service *s)
{
	struct fault fault;

	if (s->arena.fd >= 0 || !memory_cold(s, &fault))
		return 0;
	rf_log(RF_LOG_ERROR, "resume: cold start: %s", fault.text);
	return -ENOMEM;
}

int family_resume(struct family *f)
{
	int rc;

	if (!family_is_held(f))
		return -EALREADY;
	rc = have_arena(f->service);
	if (rc)
		return rc;
	rf_log_event(RF_EVENT_RESUMED, NULL, "resuming at an operator's word");
	f->at_limit = false;
	f->verify = true;
	f->died_in_recovery = false;
	f->verified_at_ms = 0;
	intensity_clear(&f->crashes);
	member_feed(&f->members[BUSINESS], CHILD_EV_RESUME);
	return 0;
}

/* ---- beginning and end ---- */

static void init_timer(ev_timer *timer, struct family *f,
	void (*on)(struct ev_loop *loop, ev_timer *w, int events), double s)
{
	ev_timer_init(timer, on, s, s);
	timer->data = f;
}

struct family *family_open(struct service *service, struct ev_loop *loop,
	const struct family_host *host)
{
	struct family *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->service = service;
	f->loop = loop;
	f->host = *host;
	f->seed = pause_seed();
	for (int i = 0; i < ROLE_COUNT; i++) {
		struct member *m = &f->members[i];

		m->family = f;
		m->role = (enum rf_crash_role)i;
		ev_timer_init(&m->deadline, member_on_deadline, 0., 0.);
		m->deadline.data = m;
	}
	init_timer(&f->holder_timer, f, deaths_on_holder_timer, HOLDER_PAUSE_S);
	init_timer(&f->tell_timer, f, deaths_on_tell_timer, TELL_PAUSE_S);
	init_timer(&f->calm_timer, f, deaths_on_calm_timer, CALM_S);
	init_timer(&f->watch_timer, f, watchdog_on_timer, WATCH_FIRST_S);
	ev_io_init(&f->bell, on_bell, service->bell, EV_READ);
	f->bell.data = f;
	ev_io_start(loop, &f->bell);
	return f;
}

void family_start(struct family *f)
{
	/* Who serves before who lets in. */
	member_feed(&f->members[VAULT], CHILD_EV_START);
	member_feed(&f->members[BUSINESS], CHILD_EV_START);
	member_feed(&f->members[NETWORK], CHILD_EV_START);
	ev_timer_again(f->loop, &f->watch_timer);
}

/* Those that have handed over and are not gone. */
static bool end_departed(struct family *f)
{
	bool any = false;

	for_each_process(f, p)
	{
		if (p->dead)
			continue;
		kill(p->pid, SIGKILL);
		any = true;
	}
	return any;
}

void family_preserve(struct family *f)
{
	f->preserve = member_serves(&f->members[NETWORK]) &&
		      preserve_begin(f->service);
}

bool family_stop_next(struct family *f)
{
	f->stopping = true;
	planned_cancel(f, "the service stops");
	for (int i = 0; i < ROLE_COUNT; i++) {
		struct member *m = &f->members[stop_order[i]];

		if (m->state == CHILD_DOWN)
			continue;
		f->stop_at = m;
		member_feed(m, CHILD_EV_STOP);
		return true;
	}
	return end_departed(f);
}

void family_close(struct family *f)
{
	deaths_tell(f, true);
	for (int ms = 0; deaths_end_holders(f, 0) > 0 && ms < CLOSE_WAIT_MS;
		ms++) {
		usleep(1000);
		deaths_reap(f);
	}
	ev_io_stop(f->loop, &f->bell);
	ev_timer_stop(f->loop, &f->holder_timer);
	ev_timer_stop(f->loop, &f->tell_timer);
	ev_timer_stop(f->loop, &f->calm_timer);
	ev_timer_stop(f->loop, &f->watch_timer);
	free(f);
}
