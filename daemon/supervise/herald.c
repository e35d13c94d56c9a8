/* SPDX-License-Identifier: MIT */
/* herald.c -- what the supervisor has to say to the service manager.
 *
 * That it serves, in one line how well, that it needs more time, and that all
 * is well: one timer for the four, and none when nobody listens.
 *
 *   - The line is sent when it differs from the last one: at once when a child
 *     comes up or goes away, else every few seconds.
 *   - Nothing here waits for a manager that hangs. What it has not taken is
 *     said again by a later tick.
 *   - More time is asked for while a start or a stop gets on: something counts,
 *     or a child computes. Who stands still is not worth waiting for, and each
 *     wait has a deadline here that is sooner. A held service waits for its
 *     operator for as long as it takes.
 *   - The watchdog is fed while every member is well: health.c says who is. A
 *     heartbeat is judged as watchdog.c does, by changes seen, so nobody is
 *     sick because the machine slept.
 */
#include "herald.h"

#include "daemon/control/headline.h"
#include "daemon/control/rates.h"
#include "daemon/manager/notify.h"
#include "daemon/manager/watchdog.h"
#include "daemon/records/ring.h"
#include "health.h"
#include "member.h"

#include <errno.h>
#include <inttypes.h>
#include <refork/log.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STATUS_MS 5000
#define EXTEND_MS 15000
/* More than all else that a start does. */
#define MEMBER_PROGRESS ((uint64_t)1 << 48)
/* Of a stop, beside what its children may take: helpers and the memory. */
#define STOP_GRACE_MS 20000
#define TICK_MS_MAX   1000
#define TICK_MS_MIN   10
#define SAMPLE_MS     ((int64_t)(RATES_PERIOD_S * 1000) - TICK_MS_MIN)
#define TICKS	      8 /* within the watchdog's limit */
/* A standby that has nothing left to prepare looks about once a second. */
#define STANDBY_SILENCE_MS 3000
/* Others at least ten times a second, but not on a machine that is busy. */
#define SILENCE_MS_MIN 500

struct herald {
	struct service *service;
	struct family *family;
	struct ev_loop *loop;
	struct herald_host host;
	struct rates rates;
	ev_timer tick;
	char said[HEADLINE_BYTES];
	bool serves;
	bool owes_ready; /* it was not taken */
	bool stops;
	bool failed;
	bool sick; /* and it was said */
	uint64_t limit_ms;
	uint64_t progress;
	int64_t sampled_at_ms, said_at_ms, fed_at_ms;
	pid_t pids[ROLE_COUNT]; /* whom `looks` are of */
	struct watch looks[ROLE_COUNT];
};

static bool is_idle(const struct herald *h)
{
	return !notify_is_heard() && !h->limit_ms;
}

/* ---- the line ---- */

static void tell_last(const struct service *s, struct headline *line, char *end)
{
	const struct rf_crash_ring *ring = &s->status->crashes;
	const struct rf_crash *crash = ring_find(ring, ring->last_id);
	int64_t ago_ms;

	line->last_ago_ms = -1;
	if (!crash || crash->at_ms < s->status->supervisor.started_at_ms)
		return; /* of an earlier daemon */
	ago_ms = rf_now_ms() - crash->at_ms;
	line->last_ago_ms = ago_ms > 0 ? ago_ms : 0;
	if (crash->how != CLD_EXITED)
		line->last_signal = crash->status;
	else
		snprintf(end, WORDS_MAX, "exit status %d", crash->status);
	line->last_end = end;
}

static void say(struct herald *h, int64_t now_ms)
{
	const struct rf_status_shm *st = h->service->status;
	const struct rf_status_supervisor *mine = &st->supervisor;
	char text[HEADLINE_BYTES], end[WORDS_MAX] = "";
	struct headline line = {
		.state = h->host.state(h->host.arg),
		.generation = rf_status_get(st->business.serving),
		.clients = rf_status_get(st->network.clients),
		.requests_per_s = rates_get(&h->rates, RATE_REQUESTS),
		.crashes = mine->crashes + mine->network_crashes +
			   mine->vault_crashes + mine->standby_crashes,
	};

	if (h->failed)
		return;
	tell_last(h->service, &line, end);
	headline_write(&line, text);
	if (strcmp(text, h->said) != 0 && notify_status(text))
		return; /* the next tick says it */
	memcpy(h->said, text, sizeof(text));
	h->said_at_ms = now_ms;
}

/* ---- more time ---- */

/* Processor time of a process, in microseconds. */
static uint64_t cpu_us(pid_t pid)
{
	struct timespec spent;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &spent))
		return 0;
	return (uint64_t)spent.tv_sec * 1000000 +
	       (uint64_t)spent.tv_nsec / 1000;
}

/* Grows when what a start or a stop is made of gets on. What only turns in
 * circles does not: a process forked again begins at none. */
static uint64_t progress(const struct herald *h)
{
	const struct rf_status_shm *st = h->service->status;
	const struct member *business = &h->family->members[BUSINESS];
	uint64_t sum = rf_status_get(st->business.requests) +
		       rf_status_get(st->network.bytes_out);

	for (int i = 0; i < ROLE_COUNT; i++) {
		const struct member *m = &h->family->members[i];

		if (h->stops ? m->state == CHILD_DOWN : member_serves(m))
			sum += MEMBER_PROGRESS;
	}
	if (business->state == CHILD_STARTING && member_lives(business))
		sum += cpu_us(business->process->pid) / 1000;
	return sum;
}

static void ask_for_time(struct herald *h)
{
	bool waits = family_is_held(h->family) && !h->stops;
	uint64_t now = progress(h);

	if (h->serves && !h->stops)
		return;
	if (now > h->progress || waits)
		notify_extend(EXTEND_MS);
	if (now > h->progress)
		h->progress = now;
}

/* ---- the watchdog ---- */

static bool is_silent(struct herald *h, const struct member *m, uint64_t period)
{
	bool standby = m->role == STANDBY;
	const struct watch_sample sample = {
		.now_ms = rf_monotonic_ms(),
		.period_ms = period,
		.life = watchdog_life(m),
		.silence_max_ms = health_silence_ms(h->limit_ms,
			h->service->conf->business.heartbeat_timeout_ms,
			standby ? STANDBY_SILENCE_MS : SILENCE_MS_MIN),
	};
	pid_t pid = m->process ? m->process->pid : 0;

	if (pid != h->pids[m->role])
		h->looks[m->role] = (struct watch){0};
	h->pids[m->role] = pid;
	return watch_look(&h->looks[m->role], &sample) != WATCH_OK;
}

/* NULL: all are well. */
static const struct member *find_sick(struct herald *h, uint64_t period)
{
	const struct member *sick = NULL;

	for (int i = 0; i < ROLE_COUNT; i++) {
		const struct member *m = &h->family->members[i];
		bool silent = is_silent(h, m, period);

		if (!health_is_well(m->state, silent))
			sick = m;
	}
	return sick;
}

static void watch_over(struct herald *h, int64_t now_ms, uint64_t period)
{
	const struct member *sick;

	if (!h->limit_ms)
		return;
	sick = find_sick(h, period);
	if (sick && !h->sick)
		rf_log(RF_LOG_WARNING,
			"%s %d gives no sign of life, and is not ours to end: "
			"the service manager's watchdog (%" PRIu64
			" ms) is not fed any more",
			member_names[sick->role], h->pids[sick->role],
			h->limit_ms);
	else if (!sick && h->sick)
		rf_log(RF_LOG_NOTICE,
			"all children give signs of life: the service "
			"manager's watchdog is fed again");
	h->sick = sick;
	/* The next tick would be too late. */
	if (sick || (h->fed_at_ms && now_ms + (int64_t)period - h->fed_at_ms <=
					     (int64_t)h->limit_ms / 2))
		return;
	if (!watchdog_feed())
		h->fed_at_ms = now_ms;
}

/* ---- the timer ---- */

/* Without it the service manager waits for a start, or a reload, to end. */
static void say_ready(struct herald *h)
{
	h->owes_ready = notify_ready() == -EAGAIN;
}

static void on_tick(struct ev_loop *loop, ev_timer *w, int events)
{
	struct herald *h = w->data;
	int64_t now_ms = rf_monotonic_ms();

	(void)loop;
	(void)events;
	if (now_ms - h->sampled_at_ms >= SAMPLE_MS) {
		rates_sample(&h->rates, h->service->status, now_ms * 1000);
		h->sampled_at_ms = now_ms;
	}
	if (h->owes_ready)
		say_ready(h);
	ask_for_time(h);
	watch_over(h, now_ms, (uint64_t)(w->repeat * 1000 + .5));
	if (now_ms - h->said_at_ms >= STATUS_MS)
		say(h, now_ms);
}

static uint64_t tick_ms(uint64_t limit_ms)
{
	uint64_t ms = limit_ms / TICKS;

	if (!limit_ms || ms > TICK_MS_MAX)
		return TICK_MS_MAX;
	return ms < TICK_MS_MIN ? TICK_MS_MIN : ms;
}

/* ---- told ---- */

void herald_changed(struct herald *h)
{
	if (!is_idle(h))
		say(h, rf_monotonic_ms());
}

void herald_serves(struct herald *h)
{
	h->serves = true;
	say_ready(h);
}

void herald_reloads(struct herald *h)
{
	if (!h->serves || h->stops)
		return;
	h->owes_ready = false;
	notify_reloading();
}

void herald_reloaded(struct herald *h)
{
	if (h->serves && !h->stops)
		say_ready(h);
}

/* What waits has a deadline of its own: the manager's is later. */
void herald_stops(struct herald *h)
{
	const struct conf *conf = h->service->conf;

	h->stops = true;
	h->owes_ready = false;
	h->progress = 0;
	notify_stopping();
	notify_extend(conf->network.drain_timeout_ms + STOP_GRACE_MS);
	herald_changed(h);
}

void herald_fails(struct herald *h, const char *why)
{
	h->failed = true;
	notify_failed(0, why);
}

/* ---- beginning and end ---- */

struct herald *herald_open(struct service *service, struct family *family,
	struct ev_loop *loop, const struct herald_host *host)
{
	struct herald *h = calloc(1, sizeof(*h));
	double s;

	if (!h)
		return NULL;
	h->service = service;
	h->family = family;
	h->loop = loop;
	h->host = *host;
	h->limit_ms = watchdog_limit_ms();
	s = (double)tick_ms(h->limit_ms) / 1000;
	ev_timer_init(&h->tick, on_tick, 0., s);
	h->tick.data = h;
	if (!is_idle(h))
		ev_timer_start(loop, &h->tick);
	return h;
}

void herald_close(struct herald *h)
{
	ev_timer_stop(h->loop, &h->tick);
	free(h);
}
