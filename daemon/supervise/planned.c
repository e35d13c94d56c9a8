/* SPDX-License-Identifier: MIT */
/* planned.c -- children re-forked at somebody's wish.
 *
 *   a fresh standby is forked, or the present one will do
 *     -> it is ready -> the business child is ordered to leave
 *       -> the standby serves: done
 *
 * The fresh one is the candidate. While it does not serve, its end is the end
 * of the attempt, and the business child goes on untouched, or, if it has left
 * already, is forked again as the host now wants it: the host is told before.
 * A crash of the business child meanwhile only lets the candidate in earlier.
 */
#include "member.h"

#include <errno.h>
#include <refork/log.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void finish(struct family *f, struct family_outcome *outcome)
{
	struct rf_status_supervisor *st = &f->service->status->supervisor;
	struct family_done done = f->planned.done;

	if (!outcome->error && f->planned.role == BUSINESS)
		rf_status_add(st->planned, 1);
	for_each_process(f, p) p->candidate = false;
	f->planned = (struct planned){0};
	if (outcome->error)
		rf_log(RF_LOG_WARNING, "planned re-fork: %s", outcome->why);
	if (done.call)
		done.call(done.arg, outcome);
}

static void __attribute__((format(printf, 3, 4)))
fail(struct family *f, int error, const char *format, ...)
{
	struct family_outcome outcome = {.error = error};
	va_list args;

	va_start(args, format);
	vsnprintf(outcome.why, sizeof(outcome.why), format, args);
	va_end(args);
	finish(f, &outcome);
}

static bool is_stale(const struct family *f, const struct process *p)
{
	return p->code != f->service->lib.handle;
}

/* ---- as it goes on ---- */

static void business_is_new(struct family *f)
{
	const struct rf_status_business *st = &f->service->status->business;
	int64_t from_us = rf_status_get(st->left_at_us);
	int64_t to_us = rf_status_get(st->takeover.serving_at_us);
	struct family_outcome outcome = {
		.generation = rf_status_get(st->serving),
	};

	if (from_us < f->planned.from_us) /* it was killed, or died */
		from_us = f->planned.gone_at_us ? f->planned.gone_at_us
						: f->planned.from_us;
	if (from_us > to_us) /* its end was heard of after that */
		from_us = f->planned.from_us;
	outcome.pause_us = to_us - from_us;
	finish(f, &outcome);
}

/* It waits for the lease; and again when it has mapped all there is: nobody
 * but clients would wait for its page faults. */
void planned_on_ready(struct member *m)
{
	struct family *f = m->family;
	const struct rf_status_shm *st = f->service->status;
	struct member *business = &f->members[BUSINESS];
	struct family_outcome outcome = {0};

	if (!f->planned.active)
		return;
	if (f->planned.role == NETWORK && m->role == NETWORK) {
		outcome.pause_us = rf_monotonic_us() - f->planned.from_us;
		finish(f, &outcome);
	} else if (f->planned.role == BUSINESS && m->process->candidate) {
		if (m->role == BUSINESS)
			business_is_new(f);
		else if (business->state == CHILD_UP && !f->planned.now &&
			 rf_status_get(st->standby.prefault_complete))
			member_feed(business, CHILD_EV_LEAVE);
	}
}

bool planned_is_refusal(const struct process *p)
{
	const struct planned *planned = &p->family->planned;

	return p->candidate && p->end.si_code == CLD_EXITED &&
	       (p->end.si_status == RF_CHILD_EXIT_CODE ||
		       (planned->held &&
			       p->end.si_status == RF_CHILD_EXIT_DAMAGED));
}

static void fail_of_candidate(const struct process *p)
{
	struct family *f = p->family;
	struct rf_status_business *st = &f->service->status->business;
	char words[WORDS_MAX], refusal[sizeof(st->refusal)];

	memcpy(refusal, st->refusal, sizeof(refusal));
	refusal[sizeof(refusal) - 1] = 0;
	if (planned_is_refusal(p) &&
		rf_status_get(st->takeover.pid) == p->pid && *refusal)
		fail(f, -ECHILD, "%s", refusal);
	else
		fail(f, -ECHILD, "the new process %s",
			p->end.si_pid ? words_of_end(&p->end, words)
				      : "crashed");
}

void planned_on_end(struct process *p, const struct member *m)
{
	struct family *f = p->family;
	bool held = f->planned.held;

	if (!f->planned.active || f->planned.role != BUSINESS)
		return;
	if (m->role == BUSINESS && !p->candidate)
		f->planned.gone_at_us = p->noticed_us;
	if (!p->candidate)
		return;
	fail_of_candidate(p);
	if (held)
		rungs_hold_again(f);
}

void planned_on_nofork(const struct member *m)
{
	struct family *f = m->family;

	if (f->planned.active && f->planned.role == BUSINESS &&
		(m->role == STANDBY || m->role == BUSINESS))
		fail(f, -m->fork_error, "no new process could be forked: %s",
			strerror(m->fork_error));
}

/* It is still in the same request. The candidate must not get the lease from
 * now on: it dies first. */
void planned_on_stay(struct family *f)
{
	if (!f->planned.active)
		return;
	for_each_process(f, p) if (p->candidate) process_kill_now(p);
	fail(f, -ETIMEDOUT,
		"the business child did not come to the end of "
		"its request");
}

void planned_cancel(struct family *f, const char *why)
{
	if (f->planned.active)
		fail(f, -ECANCELED, "%s", why);
}

/* ---- as it begins ---- */

static void prepare_standby(struct family *f)
{
	struct member *standby = &f->members[STANDBY];
	struct process *p = process_in_waiting(f);

	if (p && !is_stale(f, p)) {
		p->candidate = true;
		if (standby->state == CHILD_UP)
			planned_on_ready(standby);
	} else if (standby->state == CHILD_BACKOFF) {
		member_feed(standby, CHILD_EV_DEADLINE);
	}
	family_review(f);
}

static void kill_active(struct family *f)
{
	struct member *business = &f->members[BUSINESS];
	struct process *p = process_in_waiting(f);

	if (p && is_stale(f, p))
		process_kill_now(p);
	else if (p)
		p->candidate = true;
	process_spend(business->process);
	member_feed(business, CHILD_EV_REPLACE);
}

static bool may_renew(const struct family *f)
{
	return !f->planned.active && !f->stopping && !f->checkpoint &&
	       family_serves(f);
}

int family_renew_business(struct family *f, bool now, struct family_done done)
{
	if (!may_renew(f))
		return -EBUSY;
	f->planned = (struct planned){
		.active = true,
		.role = BUSINESS,
		.now = now,
		.from_us = rf_monotonic_us(),
		.done = done,
	};
	if (now)
		kill_active(f);
	else
		prepare_standby(f);
	return 0;
}

int family_resume_anew(struct family *f, struct family_done done)
{
	int rc;

	if (f->planned.active || f->stopping)
		return -EBUSY;
	f->planned = (struct planned){
		.active = true,
		.role = BUSINESS,
		.now = true,
		.held = true,
		.from_us = rf_monotonic_us(),
		.done = done,
	};
	rc = family_resume(f);
	if (rc)
		f->planned = (struct planned){0};
	return rc;
}

/* Its connections are in the vault's keeping, whatever ends it. */
int family_renew_network(struct family *f, bool now, struct family_done done)
{
	struct member *m = &f->members[NETWORK];

	(void)now;
	if (!may_renew(f))
		return -EBUSY;
	f->planned = (struct planned){
		.active = true,
		.role = NETWORK,
		.from_us = rf_monotonic_us(),
		.done = done,
	};
	m->process->asked = true;
	member_feed(m, CHILD_EV_REPLACE);
	return 0;
}
