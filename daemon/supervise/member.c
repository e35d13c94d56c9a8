/* SPDX-License-Identifier: MIT */
/* member.c -- the steps of child.c's table, taken.
 *
 * act() does what the table says, enter() is the one place where a state
 * changes.
 */
#include "member.h"

#include "common/events.h"
#include "pause.h"
#include "vault.h"

#include <errno.h>
#include <inttypes.h>
#include <refork/log.h>
#include <signal.h>
#include <string.h>

/* The last word: who stood by has the lease within that time after the death of
 * its holder is known, or never. */
#define TAKEOVER_MS 200
#define STUCK_MS    300 /* to describe itself */
#define KILL_MS	    1000
#define LEAVE_MS    5000
#define STOP_MS	    5000
/* The network child keeps drain_timeout itself; this is for one that hangs. */
#define DRAIN_GRACE_MS	 1000
#define STANDBY_PAUSE_MS 5
#define STANDBY_MAX_MS	 1000

const char *const member_names[ROLE_COUNT] = {
	[NETWORK] = "network",
	[VAULT] = "vault",
	[BUSINESS] = "business",
	[STANDBY] = "standby",
};

bool member_lives(const struct member *m)
{
	return m->process && !m->process->dead;
}

bool member_serves(const struct member *m)
{
	return m->state == CHILD_UP || m->state == CHILD_LEAVING;
}

bool member_says_ready(const struct member *m)
{
	const struct rf_status_shm *st = m->family->service->status;
	const uint64_t pids[ROLE_COUNT] = {
		[NETWORK] = rf_status_get(st->network.ready),
		[VAULT] = rf_status_get(st->vault.ready),
		[BUSINESS] = (uint64_t)rf_status_get(st->business.serving_pid),
		[STANDBY] = (uint64_t)rf_status_get(st->standby.ready_pid),
	};

	return m->process && pids[m->role] == (uint64_t)m->process->pid;
}

/* Other processes' numbers: only ever compared with earlier ones. */
uint64_t member_progress(const struct member *m)
{
	const struct rf_status_shm *st = m->family->service->status;

	if (m->role == NETWORK)
		return rf_status_get(st->network.bytes_in);
	return rf_status_get(st->business.requests) +
	       rf_status_get(st->business.quarantined);
}

bool member_is_barren(const struct member *m)
{
	return rf_monotonic_ms() - m->life_at_ms < MEMBER_BARREN_MS &&
	       member_progress(m) == m->progress_at_birth;
}

/* ---- acting ---- */

static enum child_event act_spawn(struct member *m)
{
	struct family *f = m->family;
	int rc;

	if (m->role == BUSINESS && !f->verify && process_in_waiting(f)) {
		process_promote(f);
		return CHILD_EV_COUNT;
	}
	rc = process_make(m);
	m->fork_error = -rc;
	if (rc)
		planned_on_nofork(m);
	return rc ? CHILD_EV_NOFORK : CHILD_EV_COUNT;
}

static enum child_event act_adopt(struct member *m)
{
	process_depart(m);
	process_promote(m->family);
	return CHILD_EV_COUNT;
}

static void set_leave_pid(struct member *m, pid_t pid)
{
	struct service *s = m->family->service;

	rf_status_set(s->status->supervisor.leave_pid, pid);
	rf_bell_ring(s->channel.bell_business);
}

static enum child_event act_leave(struct member *m)
{
	m->process->ordered_to_leave = true;
	set_leave_pid(m, m->process->pid);
	return CHILD_EV_COUNT;
}

static enum child_event act_stay(struct member *m)
{
	m->process->ordered_to_leave = false;
	set_leave_pid(m, 0);
	planned_on_stay(m->family);
	return CHILD_EV_COUNT;
}

/* A process that is not reaped keeps its pid. */
static void send(struct member *m, int number)
{
	if (m->process && !m->process->dead)
		kill(m->process->pid, number);
}

static enum child_event act_abort(struct member *m)
{
	if (m->process)
		rf_status_set(m->family->service->status->supervisor.hung_pid,
			m->process->pid);
	send(m, SIGABRT);
	return CHILD_EV_COUNT;
}

static enum child_event act_term(struct member *m)
{
	if (m->process)
		m->process->asked = true;
	/* What is not done now is done by the next daemon. */
	if (m->process && m->role == BUSINESS && m->family->preserve)
		set_leave_pid(m, m->process->pid);
	send(m, SIGTERM);
	return CHILD_EV_COUNT;
}

static enum child_event act_kill(struct member *m)
{
	if (m->state == CHILD_STUCK && member_lives(m))
		stuck_describe(m->process);
	send(m, SIGKILL);
	return CHILD_EV_COUNT;
}

/* Each returns the event that follows, CHILD_EV_COUNT for none. */
static enum child_event (*const acts[CHILD_ACT_COUNT])(struct member *m) = {
	[CHILD_ACT_SPAWN] = act_spawn,
	[CHILD_ACT_ADOPT] = act_adopt,
	[CHILD_ACT_LEAVE] = act_leave,
	[CHILD_ACT_STAY] = act_stay,
	[CHILD_ACT_ABORT] = act_abort,
	[CHILD_ACT_TERM] = act_term,
	[CHILD_ACT_KILL] = act_kill,
};

/* ---- deadlines ---- */

void member_set_deadline(struct member *m, uint64_t ms)
{
	ev_timer_stop(m->family->loop, &m->deadline);
	ev_timer_set(&m->deadline, (double)ms / 1000, 0.);
	ev_timer_start(m->family->loop, &m->deadline);
}

/* A standby has served its purpose: the next one comes when the clients have
 * been served. Only while business children die within a second and answer
 * nothing, preparing standbys for them costs more than a plain fork. */
static uint64_t standby_pause_ms(struct member *m)
{
	const struct member *business = &m->family->members[BUSINESS];

	m->pause_ms = business->last_life_was_barren
			      ? pause_next_ms(m->pause_ms, STANDBY_PAUSE_MS,
					STANDBY_MAX_MS)
			      : STANDBY_PAUSE_MS;
	return m->pause_ms;
}

static uint64_t backoff_ms(struct member *m, enum child_event event)
{
	struct family *f = m->family;
	const struct conf *conf = f->service->conf;

	if (event == CHILD_EV_TAKEN)
		return standby_pause_ms(m);
	m->pause_ms = pause_next_ms(m->pause_ms, conf->restart.delay_ms,
		conf->restart.delay_max_ms);
	return pause_jitter_ms(
		m->pause_ms, conf->restart.jitter_percent, &f->seed);
}

static uint64_t stopping_ms(const struct member *m, enum child_action action)
{
	const struct conf *conf = m->family->service->conf;

	if (action == CHILD_ACT_KILL)
		return KILL_MS;
	return m->role == NETWORK
		       ? conf->network.drain_timeout_ms + DRAIN_GRACE_MS
		       : STOP_MS;
}

/* Of the state that m has just entered; 0: it has none. */
static uint64_t deadline_ms(
	struct member *m, enum child_event event, enum child_action action)
{
	const struct conf *conf = m->family->service->conf;
	const uint64_t ms[CHILD_STATE_COUNT] = {
		[CHILD_STARTING] = m->stood_by
					   ? TAKEOVER_MS
					   : conf->business.start_timeout_ms,
		[CHILD_LEAVING] = LEAVE_MS,
		[CHILD_STUCK] = STUCK_MS,
		[CHILD_KILLING] = KILL_MS,
		[CHILD_STOPPING] = stopping_ms(m, action),
	};

	return m->state == CHILD_BACKOFF ? backoff_ms(m, event) : ms[m->state];
}

/* ---- the last word ---- */

/* Who stood by has not taken the lease that was free for it: it is stopped or
 * hangs, or was never told (a broken robust list). It goes, and with it whoever
 * may still hold what is not his: the next one makes the lease anew. */
static void last_word(struct member *m)
{
	struct family *f = m->family;

	rf_log_event(RF_EVENT_TAKEOVER_LATE, NULL,
		"standby %d has not taken the lease within %d ms after the "
		"death of its holder: ending it, forking another business "
		"child",
		m->process->pid, TAKEOVER_MS);
	for_each_process(f, p) if (p->role == BUSINESS && p != m->process &&
				   !p->dead) kill(p->pid, SIGKILL);
	m->process->cause = RF_CRASH_LATE;
	member_feed(m, CHILD_EV_REPLACE);
}

static bool has_lease(const struct member *m)
{
	const struct rf_status_shm *st = m->family->service->status;

	return rf_status_get(st->business.takeover.pid) == m->process->pid;
}

/* Not yet, and that is all right. */
static bool is_early(struct member *m)
{
	const struct family *f = m->family;

	if (m->state != CHILD_STARTING || !m->stood_by || !m->process)
		return false;
	if (!has_lease(m))
		return false;
	m->stood_by = false;
	member_set_deadline(m, f->service->conf->business.start_timeout_ms);
	return true;
}

void member_on_deadline(struct ev_loop *loop, ev_timer *w, int events)
{
	struct member *m = w->data;

	(void)loop;
	(void)events;
	if (is_early(m))
		return;
	if (m->state == CHILD_STARTING && m->stood_by) {
		last_word(m);
		return;
	}
	if (m->state == CHILD_BACKOFF && !family_may_begin(m)) {
		member_set_deadline(m, m->pause_ms);
		return;
	}
	if (m->state == CHILD_STARTING && m->process) {
		m->process->cause = RF_CRASH_LATE;
		rf_status_add(m->family->service->status->supervisor.hangs, 1);
		rf_log(RF_LOG_WARNING,
			"%s %d is not ready after start_timeout: ending it",
			member_names[m->role], m->process->pid);
	}
	if (m->state == CHILD_KILLING && m->process)
		rf_log(RF_LOG_WARNING,
			"%s %d is still there %d ms after SIGKILL: the kernel "
			"has it; waiting",
			member_names[m->role], m->process->pid, KILL_MS);
	member_feed(m, CHILD_EV_DEADLINE);
	family_review(m->family);
}

/* ---- states ---- */

/* That it waits before the next one is what an operator must know. */
static enum rf_log_level level_of(
	const struct member *m, enum child_event event)
{
	return event == CHILD_EV_FUTILE && m->role != STANDBY ? RF_LOG_WARNING
							      : RF_LOG_DEBUG;
}

/* It is the vault, or the network child for a new vault, that was to fork. */
static void log_nofork(const struct member *m, const char *then)
{
	const char *asked = m->role == NETWORK ? "vault" : "network process";

	if (m->fork_error == ETIMEDOUT)
		rf_log_event(RF_EVENT_FORK_FAILED, NULL,
			"spawn %s: the %s that is to fork it has not answered "
			"within %d ms%s",
			member_names[m->role], asked, VAULT_WAIT_MS, then);
	else if (m->fork_error == ESRCH)
		rf_log_event(RF_EVENT_FORK_FAILED, NULL,
			"spawn %s: the %s that is to fork it is not there%s",
			member_names[m->role], asked, then);
	else
		rf_log_event(RF_EVENT_FORK_FAILED, NULL, "spawn %s: fork: %s%s",
			member_names[m->role], strerror(m->fork_error), then);
}

static void log_change(
	const struct member *m, enum child_state from, enum child_event event)
{
	bool ended = event == CHILD_EV_EXIT || event == CHILD_EV_FUTILE ||
		     event == CHILD_EV_LIMIT;
	char words[WORDS_MAX], then[64] = "";
	const char *why = child_event_name(event);

	if (m->state == CHILD_BACKOFF && event != CHILD_EV_TAKEN)
		snprintf(then, sizeof(then), "; next try in %" PRIu64 " ms",
			m->pause_ms);
	if (event == CHILD_EV_NOFORK) {
		log_nofork(m, then);
		return;
	}
	if (ended)
		why = m->end.si_pid ? words_of_end(&m->end, words)
				    : "has crashed";
	rf_log(level_of(m, event), "%s: %s -> %s (%s)%s", member_names[m->role],
		child_state_name(from), child_state_name(m->state), why, then);
}

static void enter(
	struct member *m, const struct child_step *step, enum child_event event)
{
	enum child_state from = m->state;
	uint64_t ms;

	m->state = step->next;
	ev_timer_stop(m->family->loop, &m->deadline);
	ms = deadline_ms(m, event, step->action);
	if (ms)
		member_set_deadline(m, ms);
	log_change(m, from, event);
}

void member_feed(struct member *m, enum child_event event)
{
	struct family_host *host = &m->family->host;

	while (event != CHILD_EV_COUNT) {
		struct child_step step = child_step(m->state, event);
		enum child_event then = CHILD_EV_COUNT;

		if (step.action == CHILD_ACT_ILLEGAL) {
			rf_log(RF_LOG_ERROR,
				"%s: %s while it is %s: not in the table, "
				"ignored",
				member_names[m->role], child_event_name(event),
				child_state_name(m->state));
			return;
		}
		if (acts[step.action])
			then = acts[step.action](m);
		enter(m, &step, event);
		event = then;
	}
	m->family->has_served |= family_serves(m->family);
	if (m->state == CHILD_DOWN && m == m->family->stop_at)
		host->gone(host->arg);
	else if (m->state == CHILD_UP || m->state == CHILD_BACKOFF ||
		 m->state == CHILD_HELD)
		host->changed(host->arg);
}
