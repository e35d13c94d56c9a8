/* SPDX-License-Identifier: MIT */
/* watchdog.c -- look at the children from time to time: who hangs? */
#include "common/events.h"
#include "common/log/target.h"
#include "member.h"

#include <inttypes.h>
#include <refork/log.h>
#include <signal.h>

#define LOOK_MS_MAX 1000
/* A standby that has nothing left to prepare looks about once a second. */
#define STANDBY_SILENCE_MS 3000
/* A process that has handed over writes its core, which takes time; but not
 * for ever. */
#define DEPARTED_MS_MAX 60000

/* The sum of numbers that only ever grow: it changes when one of them does. */
uint64_t watchdog_life(const struct member *m)
{
	const struct rf_status_shm *st = m->family->service->status;
	const uint64_t lives[ROLE_COUNT] = {
		[NETWORK] = (uint64_t)rf_status_get(st->network.heartbeat_ms),
		[VAULT] = (uint64_t)rf_status_get(st->vault.heartbeat_ms),
		[BUSINESS] = rf_status_get(st->business.rounds) +
			     rf_status_get(st->business.work) +
			     (uint64_t)rf_status_get(st->business.heartbeat_ms),
		[STANDBY] = (uint64_t)rf_status_get(st->standby.heartbeat_ms),
	};

	return lives[m->role];
}

static uint64_t silence_max_ms(const struct member *m)
{
	uint64_t ms = m->family->service->conf->business.heartbeat_timeout_ms;

	if (m->role == STANDBY && ms && ms < STANDBY_SILENCE_MS)
		return STANDBY_SILENCE_MS;
	return ms;
}

static void end_hung(struct member *m, enum watch_verdict verdict)
{
	struct rf_status_supervisor *st =
		&m->family->service->status->supervisor;
	const struct conf *conf = m->family->service->conf;
	bool timeout = verdict == WATCH_TIMEOUT;
	bool kept =
		m->role == VAULT && member_lives(&m->family->members[NETWORK]);

	m->process->cause = timeout ? RF_CRASH_TIMEOUT : RF_CRASH_HANG;
	rf_status_add(st->hangs, 1);
	rf_log_event(RF_EVENT_HANG_ENDED,
		RF_LOG_FIELDS(RF_LOG_TEXT("hung_role", member_names[m->role]),
			RF_LOG_NUMBER("hung_pid", m->process->pid)),
		timeout ? "%s %d: a request runs for longer than "
			  "request_timeout (%" PRIu64 " ms): ending it%s"
			: "%s %d: no sign of life within heartbeat_timeout "
			  "(%" PRIu64 " ms): ending it%s",
		member_names[m->role], m->process->pid,
		timeout ? conf->business.request_timeout_ms : silence_max_ms(m),
		kept ? "; the network process keeps the connections" : "");
	member_feed(m, CHILD_EV_HANG);
}

static void look_at(struct member *m, uint64_t period_ms)
{
	struct family *f = m->family;
	const struct conf *conf = f->service->conf;
	const struct rf_status_shm *st = f->service->status;
	bool business = m->role == BUSINESS;
	const struct watch_sample sample = {
		.now_ms = rf_monotonic_ms(),
		.period_ms = period_ms,
		.life = watchdog_life(m),
		.work = business ? rf_status_get(st->business.work) : 0,
		.silence_max_ms = silence_max_ms(m),
		.request_max_ms =
			business ? conf->business.request_timeout_ms : 0,
	};
	enum watch_verdict verdict;

	if (!member_serves(m) || !member_lives(m))
		return;
	verdict = watch_look(&m->watch, &sample);
	if (verdict != WATCH_OK)
		end_hung(m, verdict);
}

static void end_departed(struct family *f)
{
	int64_t now_ms = rf_monotonic_ms();

	for_each_process(f, p)
	{
		if (p->dead || p->member || !p->departed_at_ms ||
			now_ms - p->departed_at_ms < DEPARTED_MS_MAX)
			continue;
		rf_log(RF_LOG_WARNING,
			"process %d has handed over %d s ago and is still "
			"there: killing it",
			p->pid, DEPARTED_MS_MAX / 1000);
		kill(p->pid, SIGKILL);
	}
}

static uint64_t period_ms(const struct family *f)
{
	const struct conf *conf = f->service->conf;
	uint64_t ms = watch_period_ms(conf->business.heartbeat_timeout_ms,
		conf->business.request_timeout_ms);

	return ms && ms < LOOK_MS_MAX ? ms : LOOK_MS_MAX;
}

void watchdog_on_timer(struct ev_loop *loop, ev_timer *w, int events)
{
	struct family *f = w->data;
	uint64_t period = (uint64_t)(w->repeat * 1000 + 0.5);

	(void)events;
	for (int i = 0; i < ROLE_COUNT; i++)
		look_at(&f->members[i], period);
	end_departed(f);
	rf_log_mend();
	rf_log_catch_up(false);
	rungs_see_quarantined(f);
	family_look(f);		      /* a handler rings no bell */
	if (period_ms(f) != period) { /* reloaded */
		w->repeat = (double)period_ms(f) / 1000;
		ev_timer_again(loop, w);
	}
}
