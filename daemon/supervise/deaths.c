/* SPDX-License-Identifier: MIT */
/* deaths.c -- the end of a process: answered, collected, told.
 *
 * Clients wait for the answer, nobody for the rest. So first the next process
 * is forked (or the one that stood by is let go on), then the dead one is
 * collected, and the host, who writes crash records, hears of it when the
 * successor serves, or after TELL_MS.
 */
#include "common/events.h"
#include "member.h"
#include "zombie.h"

#include <refork/log.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define TELL_MS 1000
/* So many barren lives in a row are answered by an immediate fork; a poison
 * request takes two. */
#define BARREN_MAX 8

static bool exited_with(const struct process *p, int code)
{
	return p->end.si_code == CLD_EXITED && p->end.si_status == code;
}

/* At its worker's wish. */
static bool has_left(const struct process *p)
{
	return p->role == BUSINESS && exited_with(p, RF_CHILD_EXIT_LEFT);
}

/* Whatever its exit code: nobody asked. */
static bool is_crash(const struct process *p, enum child_state state)
{
	if (p->asked || state == CHILD_STOPPING || planned_is_refusal(p) ||
		has_left(p))
		return false;
	return !(p->ordered_to_leave && exited_with(p, RF_CHILD_EXIT_ASKED));
}

static void count(struct process *p)
{
	struct family *f = p->family;
	struct rf_status_supervisor *st = &f->service->status->supervisor;
	uint64_t *const counters[ROLE_COUNT] = {
		[NETWORK] = &st->network_crashes,
		[VAULT] = &st->vault_crashes,
		[BUSINESS] = &st->crashes,
		[STANDBY] = &st->standby_crashes,
	};

	if (p->counted)
		return;
	p->counted = p->to_be_told = true;
	checkpoint_on_crash(f, p->role);
	rf_status_add(*counters[p->role], 1);
	if (p->role == BUSINESS)
		rungs_climb(f, p);
}

/* ---- the channel ---- */

/* Everybody who uses it ends, the rings start anew. The others' pidfds tell of
 * their ends as usual, afterwards. */
static void renew_channel(struct process *culprit)
{
	struct family *f = culprit->family;

	rf_log_event(RF_EVENT_CHANNEL_DAMAGED, NULL,
		"%s found bytes in the channel that are no message; both "
		"children start anew: connections are lost, state is not",
		member_names[culprit->role]);
	for_each_process(f, p) if (p != culprit) process_kill_now(p);
	rf_channel_reset(&f->service->channel);
}

/* ---- what follows ---- */

/* A life that came to something clears the account; one that did not even
 * serve counts as many. */
static enum child_event account(struct member *m)
{
	if (m->served && !member_is_barren(m)) {
		m->futile_count = 0;
		m->pause_ms = 0;
		return CHILD_EV_EXIT;
	}
	m->futile_count += m->served ? 1 : BARREN_MAX;
	return m->futile_count > BARREN_MAX ? CHILD_EV_FUTILE : CHILD_EV_EXIT;
}

static enum child_event end_event(struct member *m, const struct process *p)
{
	struct family *f = m->family;
	enum child_event event;

	if (m->state == CHILD_STOPPING)
		return CHILD_EV_EXIT;
	if (m->role == BUSINESS && f->at_limit)
		return CHILD_EV_LIMIT;
	if (m->role == STANDBY) {
		if (rf_monotonic_ms() - m->life_at_ms >= MEMBER_BARREN_MS)
			m->pause_ms = 0;
		return CHILD_EV_FUTILE;
	}
	if (p->asked || m->end_was_asked)
		return CHILD_EV_EXIT;
	event = account(m);
	/* Who stands by does not wait for us. */
	if (m->role == BUSINESS && process_in_waiting(f))
		return CHILD_EV_EXIT;
	return event;
}

/* ---- the end of a process ---- */

/* As if an operator had wished for it; unless one does, just now. */
static void count_left(const struct process *p)
{
	struct family *f = p->family;

	if (has_left(p) && !f->planned.active)
		rf_status_add(f->service->status->supervisor.planned, 1);
}

static void collect(struct process *p)
{
	struct family *f = p->family;

	p->collected = zombie_collect(p->pid, &p->end);
	p->traced = !p->collected;
	if (p->traced)
		rf_log(RF_LOG_NOTICE,
			"%s %d is dead and cannot be collected: a debugger has "
			"it; going on without",
			member_names[p->role], p->pid);
	if (p->to_be_told) {
		if (p->role == BUSINESS)
			words_of_end(&p->end, f->last_crash);
		if (!ev_is_active(&f->tell_timer))
			ev_timer_again(f->loop, &f->tell_timer);
	} else if (p->collected) {
		process_free(p);
	}
	ev_timer_again(f->loop, &f->holder_timer);
	deaths_reap(f);
}

/* It was about to be ended, and was the last one to take the lease: so the
 * business member's process has given it away. */
static void on_end_of_standby(struct family *f, const struct process *p)
{
	struct member *business = &f->members[BUSINESS];
	const struct rf_status_business *st = &f->service->status->business;

	if (rf_status_get(st->takeover.pid) == p->pid &&
		deaths_may_depart(business))
		deaths_left(business);
}

/* Its bell may ring together with its knell: it has served all the same, and
 * what that means for the ladder is not lost. */
static void see_ready(struct member *m)
{
	if (m->state != CHILD_STARTING || !member_says_ready(m))
		return;
	m->served = true;
	member_feed(m, CHILD_EV_READY);
	if (m->role == BUSINESS)
		family_on_serving(m);
}

/* A standby that has been asked to end may have the lease all the same, and
 * work on: whoever is forked now would wait for it. */
static void end_heir(struct member *standby)
{
	if (standby->state == CHILD_STOPPING)
		member_feed(standby, CHILD_EV_STOP); /* at once */
}

static void on_end_of_member(struct member *m, struct process *p)
{
	struct family *f = m->family;
	bool crash, hopeless;

	see_ready(m);
	hopeless = !f->has_served && m->role != STANDBY &&
		   exited_with(p, RF_CHILD_EXIT_START);
	crash = is_crash(p, m->state);
	m->process = NULL;
	p->member = NULL;
	m->end = p->end;
	m->end_was_asked = !crash;
	planned_on_end(p, m);
	if (crash)
		count(p);
	if (exited_with(p, RF_CHILD_EXIT_CHANNEL))
		renew_channel(p);
	if (crash && m->role == BUSINESS)
		end_heir(&f->members[STANDBY]);
	member_feed(m, end_event(m, p));
	if (p->role == STANDBY)
		on_end_of_standby(f, p);
	process_publish(f);
	if (hopeless)
		f->host.hopeless(f->host.arg, member_names[m->role]);
}

static void on_end_of_departed(struct process *p)
{
	if (is_crash(p, CHILD_UP))
		count(p);
	if (exited_with(p, RF_CHILD_EXIT_CHANNEL))
		renew_channel(p);
}

static bool all_down(const struct family *f)
{
	for (int i = 0; i < ROLE_COUNT; i++)
		if (f->members[i].state != CHILD_DOWN)
			return false;
	return true;
}

/* The death of one that took over may be heard of before that it did. */
static void see_taken(struct process *p)
{
	struct family *f = p->family;
	struct member *business = &f->members[BUSINESS];
	const struct rf_status_business *st = &f->service->status->business;
	struct process *old = business->process;

	if (p != process_in_waiting(f) || !deaths_may_depart(business) ||
		rf_status_get(st->takeover.pid) != p->pid)
		return;
	member_feed(business, CHILD_EV_HANDED);
	if (member_says_ready(business))
		family_on_serving(business);
	deaths_departed(old);
}

/* A standby is taking over from it: nobody waits for us, and whoever serves
 * wants the processor. */
static bool may_be_let_be(const struct process *p)
{
	struct family *f = p->family;

	return !p->let_be && p->member == &f->members[BUSINESS] &&
	       p->member->state == CHILD_UP &&
	       f->members[STANDBY].state == CHILD_UP && process_in_waiting(f);
}

/* Now, or because the one that was to take over has ended, too. */
static void end_calm(struct family *f)
{
	ev_timer_stop(f->loop, &f->calm_timer);
	for_each_process(f, p)
	{
		if (p->let_be && !p->dead)
			deaths_on_exit(f->loop, &p->exit, EV_READ);
	}
}

void deaths_on_calm_timer(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)loop;
	(void)events;
	end_calm(w->data);
}

void deaths_on_exit(struct ev_loop *loop, ev_io *w, int events)
{
	struct process *p = w->data;
	struct family *f = p->family;
	bool departed;

	(void)events;
	if (p->member == &f->members[STANDBY])
		end_calm(f);
	if (may_be_let_be(p)) {
		p->let_be = true;
		p->noticed_us = rf_monotonic_us();
		ev_io_stop(loop, w);
		ev_timer_again(loop, &f->calm_timer);
		return;
	}
	if (!zombie_look(p->pid, w->fd, &p->end))
		return;
	ev_io_stop(loop, w);
	close(w->fd); /* before the fork: a copy would keep it in the epoll */
	w->fd = -1;
	see_taken(p);
	p->dead = true;
	count_left(p);
	if (!p->let_be)
		p->noticed_us = rf_monotonic_us();
	departed = !p->member;
	if (!departed)
		on_end_of_member(p->member, p);
	else
		on_end_of_departed(p);
	collect(p);
	if (departed && f->stopping && all_down(f))
		f->host.gone(f->host.arg);
	family_review(f);
}

/* ---- who lives on for a while ---- */

bool deaths_may_depart(const struct member *m)
{
	return m->process && m->state != CHILD_STARTING &&
	       m->state != CHILD_STOPPING;
}

/* Its handler has told why: that is known before its end is. */
static bool has_told(const struct process *p)
{
	return __atomic_load_n(&p->scene->complete, __ATOMIC_ACQUIRE) == p->pid;
}

void deaths_departed(struct process *p)
{
	if (!p->ordered_to_leave && !p->asked && has_told(p))
		count(p);
}

void deaths_left(struct member *m)
{
	struct process *p = m->process;

	see_ready(m);
	process_depart(m);
	m->end = (siginfo_t){.si_code = CLD_KILLED};
	m->end.si_status = p->scene->signal;
	m->end.si_pid = has_told(p) ? p->pid : 0;
	m->end_was_asked = false;
	planned_on_end(p, m);
	deaths_departed(p);
	member_feed(m, end_event(m, p));
	process_publish(m->family);
}

/* ---- told ---- */

static bool is_time(const struct process *p, int64_t now_us)
{
	const struct member *m = &p->family->members[p->role];

	return now_us - p->noticed_us >= TELL_MS * 1000 || member_serves(m) ||
	       m->state == CHILD_DOWN || m->state == CHILD_HELD ||
	       m->state == CHILD_BACKOFF;
}

/* The note of a takeover lasts until the next one, and its predecessor's end
 * may be told after that. */
void deaths_succeeded(struct process *by)
{
	struct family *f = by->family;
	const struct rf_takeover *note = &f->service->status->business.takeover;

	if (rf_status_get(note->pid) != by->pid)
		return;
	for_each_process(f, p)
	{
		if (p->role != BUSINESS || p->member || p->succeeded)
			continue;
		p->takeover = *note;
		p->succeeded = true;
	}
}

static void tell(struct process *p)
{
	struct family *f = p->family;
	const struct death death = {
		.role = p->role,
		.cause = p->cause,
		.rung = p->rung,
		.pid = p->pid,
		.generation = p->generation,
		.end = p->end,
		.noticed_us = p->noticed_us,
		.scene = p->scene,
	};

	if (f->host.crashed)
		f->host.crashed(f->host.arg, &death,
			p->succeeded ? &p->takeover : NULL);
	p->to_be_told = false;
	if (p->collected)
		process_free(p);
}

/* The first one that died and is still to be told. */
static struct process *find_untold(struct family *f)
{
	struct process *first = NULL;

	for_each_process(f,
		p) if (p->to_be_told && (p->collected || p->traced) &&
		       (!first || p->noticed_us < first->noticed_us)) first = p;
	return first;
}

void deaths_tell(struct family *f, bool all)
{
	int64_t now_us = rf_monotonic_us();
	struct process *p = find_untold(f);

	for (; p && (all || is_time(p, now_us)); p = find_untold(f))
		tell(p);
	if (!p)
		ev_timer_stop(f->loop, &f->tell_timer);
}

void deaths_on_tell_timer(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)loop;
	(void)events;
	deaths_tell(w->data, false);
}

/* ---- collected ---- */

/* A holder; or what was made by a vault or a network child when the order for
 * it had been given up. */
static bool is_unwatched(pid_t pid)
{
	return holders_is_called(pid, RF_HOLDER_NAME) ||
	       holders_is_called(pid, "refork-network") ||
	       holders_is_called(pid, "refork-vault");
}

void deaths_reap(struct family *f)
{
	for (;;) {
		siginfo_t info = {0};

		/* Look first: the end of a child that is watched, here or
		 * elsewhere, must stay for its pidfd to tell. */
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) ||
			info.si_pid == 0)
			return;
		if (process_of_pid(f, info.si_pid) ||
			!is_unwatched(info.si_pid))
			return;
		waitid(P_PID, (id_t)info.si_pid, &info, WEXITED | WNOHANG);
	}
}

/* True: of some it is still too early. */
static bool collect_traced(struct family *f)
{
	bool any = false;

	for_each_process(f, p)
	{
		if (!p->traced)
			continue;
		p->collected = zombie_collect(p->pid, &p->end);
		p->traced = !p->collected;
		any |= p->traced;
		if (p->collected && !p->to_be_told)
			process_free(p);
	}
	return any;
}

static bool is_watched(void *arg, pid_t pid)
{
	return process_of_pid(arg, pid);
}

int deaths_end_holders(struct family *f, pid_t keep)
{
	return holders_end(keep, is_watched, f);
}

void deaths_on_holder_timer(struct ev_loop *loop, ev_timer *w, int events)
{
	struct family *f = w->data;
	const struct rf_status_shm *st = f->service->status;
	bool serves = member_serves(&f->members[BUSINESS]);
	bool traced = collect_traced(f);

	(void)events;
	deaths_reap(f);
	if (!serves)
		return;
	if (deaths_end_holders(f, rf_status_get(st->business.mm_holder_pid)) <=
			0 &&
		!traced)
		ev_timer_stop(loop, w);
}
