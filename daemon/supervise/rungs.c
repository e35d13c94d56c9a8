/* SPDX-License-Identifier: MIT */
/* rungs.c -- the recovery ladder, climbed. ladder.c says where to.
 *
 * What stood by may serve already when a death is counted: a rung that wants
 * another kind of successor ends it first.
 */
#include "common/events.h"
#include "member.h"

#include "daemon/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <refork/log.h>
#include <signal.h>
#include <string.h>

/* SIGKILL comes from outside, unless it was our answer; and who calls exit()
 * has not lost his way. A process that has handed over dies of what its handler
 * was called for. */
static bool is_fatal(const struct process *p)
{
	return p->cause != RF_CRASH_ITSELF || p->end.si_pid == 0 ||
	       (p->end.si_code != CLD_EXITED && p->end.si_status != SIGKILL);
}

static enum rf_phase phase_of(const struct process *p)
{
	const struct rf_status_business *st =
		&p->family->service->status->business;
	uint32_t phase = RF_PHASE_NONE;

	if (__atomic_load_n(&p->scene->complete, __ATOMIC_ACQUIRE) == p->pid)
		phase = p->scene->phase;
	else if (rf_status_get(st->takeover.pid) == p->pid)
		phase = rf_status_get(st->phase);
	return phase < RF_PHASE_COUNT ? (enum rf_phase)phase : RF_PHASE_NONE;
}

static uint64_t requests_of(const struct family *f)
{
	return rf_status_get(f->service->status->business.requests);
}

/* A walk was ordered for the last burst, and it has not helped: nobody has come
 * to serve, or hardly a request for each crash has been answered since. */
static bool walked_in_vain(const struct family *f, int64_t now_ms)
{
	const struct conf *conf = f->service->conf;

	if (f->burst)
		return true;
	return f->verified_at_ms != 0 &&
	       now_ms - f->verified_at_ms < (int64_t)conf->restart.window_ms &&
	       requests_of(f) - f->verified_requests < conf->restart.burst;
}

static struct ladder_facts facts_of(struct family *f, const struct process *p)
{
	const struct conf *conf = f->service->conf;
	const struct rf_takeover *takeover =
		&f->service->status->business.takeover;
	bool verified_now = rf_status_get(takeover->pid) == p->pid &&
			    rf_status_get(takeover->verified) == 1;
	int64_t now_ms = rf_monotonic_ms();
	uint64_t window_ms = conf->restart.window_ms;
	uint64_t count = intensity_add(&f->crashes, now_ms, window_ms);

	return (struct ladder_facts){
		.damaged = p->end.si_code == CLD_EXITED &&
			   p->end.si_status == RF_CHILD_EXIT_DAMAGED,
		.fatal = is_fatal(p),
		.phase = phase_of(p),
		.had_verified = p->verified || verified_now,
		.again = f->died_in_recovery,
		.burst = count >= conf->restart.burst,
		.burst_before = walked_in_vain(f, now_ms),
	};
}

/* ---- standing on a rung ---- */

static void stand_on(struct family *f, enum rf_rung rung)
{
	struct rf_status_supervisor *st = &f->service->status->supervisor;

	rf_status_set(st->rung, rung);
	rf_status_add(st->rungs[rung], 1);
}

/* No process but the dead ones may have the lease, nor get it. */
static void end_business(struct family *f)
{
	struct member *standby = &f->members[STANDBY];
	struct member *business = &f->members[BUSINESS];

	if (process_in_waiting(f)) {
		member_feed(standby, CHILD_EV_STOP);
		member_feed(standby, CHILD_EV_STOP); /* now */
	}
	if (member_lives(business) && business->state != CHILD_STOPPING) {
		process_spend(business->process);
		member_feed(business, CHILD_EV_REPLACE);
	} else if (f->at_limit && business->state == CHILD_BACKOFF) {
		member_feed(business, CHILD_EV_LIMIT);
	}
}

static void verify(struct family *f, const struct ladder_facts *facts)
{
	stand_on(f, RF_RUNG_VERIFY);
	rf_log_event(RF_EVENT_VERIFY_BEGUN, NULL,
		"recovery ladder, verify: %s: the next business child walks "
		"the whole memory before it serves",
		facts->burst ? "restart.burst crashes within restart.window"
			     : "a death outside of any request");
	if (facts->burst) {
		f->burst = true;
		intensity_clear(&f->crashes);
	}
	f->verify = true;
	end_business(f);
}

static void hold(struct family *f)
{
	stand_on(f, RF_RUNG_HOLD);
	rf_log_event(RF_EVENT_HELD, NULL,
		"recovery ladder, hold: no business child is forked any more, "
		"clients are parked; an operator is to act (reforkctl resume)");
	f->at_limit = true;
	end_business(f);
}

void rungs_hold_again(struct family *f)
{
	stand_on(f, RF_RUNG_HOLD);
	rf_log_event(RF_EVENT_HELD, NULL,
		"on hold again: what was tried has failed");
	f->at_limit = true;
}

static void give_up(struct family *f)
{
	stand_on(f, RF_RUNG_EXIT);
	rf_log_event(RF_EVENT_GAVE_UP, NULL,
		"recovery ladder, exit: the service manager is to act");
	f->at_limit = true;
	f->exhausted = true;
	end_business(f);
}

static void cold(struct family *f)
{
	struct fault fault = {0};

	stand_on(f, RF_RUNG_COLD);
	rf_log_event(RF_EVENT_COLD_START, NULL,
		"recovery ladder, cold start: the state is given up, its "
		"memory is kept aside");
	for_each_process(f, p) process_kill_now(p);
	rf_channel_reset(&f->service->channel);
	if (memory_cold(f->service, &fault)) {
		rf_log(RF_LOG_ERROR, "cold start: %s", fault.text);
		hold(f);
		return;
	}
	intensity_clear(&f->crashes);
	f->verified_at_ms = 0;
	f->verify = f->burst = f->business_was_forked = false;
}

static void (*const last_rungs[])(struct family *f) = {
	[CONF_ON_LIMIT_HOLD] = hold,
	[CONF_ON_LIMIT_EXIT] = give_up,
	[CONF_ON_LIMIT_COLD] = cold,
};

static void last_rung(struct family *f)
{
	last_rungs[f->service->conf->restart.on_limit](f);
}

static void restore(struct family *f, struct process *dead)
{
	int rc = -ENOENT;

	stand_on(f, RF_RUNG_RESTORE);
	for_each_process(f,
		p) if (p != dead && (p->role == BUSINESS || p->role == STANDBY))
		process_kill_now(p);
	if (f->host.restore)
		rc = f->host.restore(f->host.arg);
	if (rc == 0) {
		rf_log_event(RF_EVENT_RESTORED, NULL,
			"recovery ladder, restore: the last durable copy is in "
			"place");
		f->verify = true;
		f->died_in_recovery = false;
		return;
	}
	rf_log(RF_LOG_ERROR, "recovery ladder, restore: %s: going on up",
		rc == -ENOENT ? "there is no durable copy" : strerror(-rc));
	last_rung(f);
}

void rungs_climb(struct family *f, struct process *dead)
{
	struct ladder_facts facts = facts_of(f, dead);
	enum rf_rung rung = ladder_rung(&facts);

	dead->rung = rf_status_get(f->service->status->supervisor.rung);
	if (f->at_limit) /* until an operator says so */
		return;
	dead->rung = rung;
	f->died_in_recovery = ladder_in_recovery(&facts);
	if (rung == RF_RUNG_VERIFY)
		verify(f, &facts);
	else if (rung == RF_RUNG_RESTORE)
		restore(f, dead);
	else if (rung == RF_RUNG_HOLD)
		last_rung(f);
	else
		stand_on(f, rung);
	dead->rung = rf_status_get(f->service->status->supervisor.rung);
}

/* ---- left ---- */

/* The business child stands on that rung by itself. */
void rungs_see_quarantined(struct family *f)
{
	struct rf_status_shm *st = f->service->status;
	uint64_t now = rf_status_get(st->business.quarantined);

	if (now > f->quarantined)
		rf_status_add(st->supervisor.rungs[RF_RUNG_QUARANTINE],
			now - f->quarantined);
	f->quarantined = now;
}

void rungs_on_serving(struct family *f)
{
	const struct rf_takeover *takeover =
		&f->service->status->business.takeover;
	struct process *p = f->members[BUSINESS].process;

	p->verified = rf_status_get(takeover->pid) == p->pid &&
		      rf_status_get(takeover->verified) == 1;
	if (p->verified) {
		rf_log_event(RF_EVENT_VERIFY_WHOLE, NULL,
			"recovery ladder, verify: all whole, serving again");
		if (f->burst) {
			f->verified_at_ms = rf_monotonic_ms();
			f->verified_requests = requests_of(f);
		}
	}
	f->verify = f->burst = f->died_in_recovery = false;
	rungs_see_quarantined(f);
	rf_status_set(
		f->service->status->supervisor.rung, (uint32_t)RF_RUNG_NONE);
}
