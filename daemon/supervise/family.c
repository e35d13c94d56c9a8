/* SPDX-License-Identifier: MIT */
/* family.c -- the two children: forked, watched, forked again.
 *
 * The loop only translates: a pidfd, a timer or the bell becomes an event of
 * child.c's table; act() does what the table says, enter() is the one place
 * where a state changes.
 *
 * Rules, and the function that keeps each:
 *   V1  fork first, reap and log later: clients wait      on_end()
 *   V2  the end of a child is never lost: its zombie
 *       stays until its pidfd has told                    holders_reap()
 *   V3  two business children never overlap: the next
 *       is forked when the last one's death is known      child.c
 *   V4  the rings are emptied only while neither child
 *       runs                                              renew_channel()
 *   V5  at the end the network child goes first: what it
 *       has in flight still needs the other one           family_stop_next()
 */
#include "family.h"

#include "child.h"
#include "daemon/records/words.h"
#include "holder.h"
#include "spawn.h"

#include <ev.h>
#include <inttypes.h>
#include <refork/log.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define BUSINESS_STOP_MS 5000
/* The network child keeps drain_timeout itself; this is for one that hangs. */
#define DRAIN_GRACE_MS 1000
#define HOLDER_PAUSE_S 0.2
/* Lives shorter than this in which nothing was done, so many in a row, are
 * answered by an immediate fork; a poison request takes two. */
#define BARREN_MS  1000
#define BARREN_MAX 8

enum role { NETWORK, BUSINESS, ROLE_COUNT };

struct member {
	struct family *family;
	enum role role;
	enum child_state state;
	pid_t pid;     /* 0: none */
	siginfo_t end; /* of its last process */
	bool ended_by_us;
	int fork_error;
	int64_t forked_at_ms;
	uint64_t progress_at_fork;
	int futile_count;  /* lives in a row that came to nothing */
	uint64_t pause_ms; /* the last one; 0 after it has served */
	ev_io exit;
	ev_timer deadline;
};

struct family {
	struct service *service;
	struct ev_loop *loop;
	struct family_host host;
	struct member members[ROLE_COUNT];
	struct holders holders;
	ev_timer holder_timer;
	ev_io bell;
	bool has_served;
	char last_crash[WORDS_MAX];
};

static const struct {
	const char *name;
	void (*main)(const struct rf_child *self);
	bool accepts;
} roles[ROLE_COUNT] = {
	[NETWORK] = {"network", network_main, true},
	[BUSINESS] = {"business", business_main, false},
};

static void on_exit_io(struct ev_loop *loop, ev_io *w, int events);

static struct rf_status_supervisor *own_status(struct family *f)
{
	return &f->service->status->supervisor;
}

static void get_pids(const struct family *f, pid_t pids[ROLE_COUNT])
{
	for (int i = 0; i < ROLE_COUNT; i++)
		pids[i] = f->members[i].pid;
}

/* Grows when the role does what it is there for. Another process's number:
 * only ever compared with an earlier one. */
static uint64_t progress(const struct member *m)
{
	const struct rf_status_shm *st = m->family->service->status;

	if (m->role == NETWORK)
		return rf_status_get(st->network.bytes_in);
	return rf_status_get(st->business.requests) +
	       rf_status_get(st->business.quarantined);
}

/* A short life in which nothing was done. */
static bool is_barren(const struct member *m)
{
	return rf_monotonic_ms() - m->forked_at_ms < BARREN_MS &&
	       progress(m) == m->progress_at_fork;
}

static void publish_pids(struct family *f)
{
	struct rf_status_supervisor *st = own_status(f);

	rf_status_set(st->network_pid, f->members[NETWORK].pid);
	rf_status_set(st->business_pid, f->members[BUSINESS].pid);
}

static bool exited_with(const struct member *m, int code)
{
	return m->end.si_code == CLD_EXITED && m->end.si_status == code;
}

/* ---- acting ---- */

static void leave_loop(void *arg)
{
	ev_loop_destroy(arg);
}

/* Returns the event that follows, CHILD_EV_COUNT for none. */
static enum child_event act_spawn(struct member *m)
{
	struct family *f = m->family;
	const struct spawn how = {
		.role = roles[m->role].name,
		.main = roles[m->role].main,
		.accepts = roles[m->role].accepts,
		.scene = &f->service->status->scenes[m->role],
		.lease_orphaned = m->end.si_pid != 0,
		.leave = leave_loop,
		.leave_arg = f->loop,
	};
	int pidfd, rc;

	rc = spawn(f->service, &how, &m->pid, &pidfd);
	if (rc) {
		m->fork_error = -rc;
		return CHILD_EV_NOFORK;
	}
	m->forked_at_ms = rf_monotonic_ms();
	m->progress_at_fork = progress(m);
	publish_pids(f);
	ev_io_init(&m->exit, on_exit_io, pidfd, EV_READ);
	m->exit.data = m;
	ev_io_start(f->loop, &m->exit);
	return CHILD_EV_COUNT;
}

static enum child_event act(struct member *m, enum child_action action)
{
	static const int signals[CHILD_ACT_COUNT] = {
		[CHILD_ACT_TERM] = SIGTERM,
		[CHILD_ACT_KILL] = SIGKILL,
	};

	if (action == CHILD_ACT_SPAWN)
		return act_spawn(m);
	/* It is not reaped yet: the pid is still its own. */
	if (signals[action])
		kill(m->pid, signals[action]);
	return CHILD_EV_COUNT;
}

/* ---- states ---- */

static uint64_t deadline_ms(struct member *m)
{
	const struct conf *conf = m->family->service->conf;

	if (m->state == CHILD_BACKOFF) {
		m->pause_ms = child_backoff_ms(m->pause_ms,
			conf->restart.delay_ms, conf->restart.delay_max_ms);
		return m->pause_ms;
	}
	return m->role == NETWORK
		       ? conf->network.drain_timeout_ms + DRAIN_GRACE_MS
		       : BUSINESS_STOP_MS;
}

static void log_change(
	const struct member *m, enum child_state from, enum child_event event)
{
	bool ended = event == CHILD_EV_EXIT || event == CHILD_EV_FUTILE;
	bool bad = ended && from != CHILD_STOPPING;
	char words[WORDS_MAX], then[64] = "";
	const char *why = child_event_name(event);

	if (m->state == CHILD_BACKOFF)
		snprintf(then, sizeof(then), "; next try in %" PRIu64 " ms",
			m->pause_ms);
	if (event == CHILD_EV_NOFORK) {
		rf_log(RF_LOG_ERROR, "spawn %s: fork: %s%s",
			roles[m->role].name, strerror(m->fork_error), then);
		return;
	}
	if (ended)
		why = words_of_end(&m->end, words);
	rf_log(bad ? RF_LOG_WARNING : RF_LOG_INFO, "%s: %s -> %s (%s)%s",
		roles[m->role].name, child_state_name(from),
		child_state_name(m->state), why, then);
}

static void enter(
	struct member *m, enum child_state next, enum child_event event)
{
	struct ev_loop *loop = m->family->loop;
	enum child_state from = m->state;

	m->state = next;
	ev_timer_stop(loop, &m->deadline);
	if (next == CHILD_BACKOFF ||
		(next == CHILD_STOPPING && from != CHILD_STOPPING)) {
		ev_timer_set(&m->deadline, (double)deadline_ms(m) / 1000, 0.);
		ev_timer_start(loop, &m->deadline);
	}
	log_change(m, from, event);
}

static void feed(struct member *m, enum child_event event)
{
	struct family_host *host = &m->family->host;

	while (event != CHILD_EV_COUNT) {
		struct child_step step = child_step(m->state, event);
		enum child_event then;

		if (step.action == CHILD_ACT_ILLEGAL) {
			rf_log(RF_LOG_ERROR,
				"%s: %s while it is %s: not in the table, "
				"ignored",
				roles[m->role].name, child_event_name(event),
				child_state_name(m->state));
			return;
		}
		then = act(m, step.action);
		enter(m, step.next, event);
		event = then;
	}
	m->family->has_served |= family_serves(m->family);
	if (m->state == CHILD_DOWN)
		host->gone(host->arg);
	else if (m->state == CHILD_UP || m->state == CHILD_BACKOFF)
		host->changed(host->arg);
}

/* ---- deaths ---- */

static bool says_ready(const struct member *m)
{
	const struct rf_status_shm *st = m->family->service->status;

	if (m->role == NETWORK)
		return rf_status_get(st->network.ready) == (uint64_t)m->pid;
	return rf_status_get(st->business.serving_pid) == m->pid;
}

/* Both children end, the rings start anew. The other one's pidfd tells of its
 * end as usual, afterwards. */
static void renew_channel(struct member *m)
{
	struct family *f = m->family;
	struct member *other =
		&f->members[m->role == NETWORK ? BUSINESS : NETWORK];
	siginfo_t info;

	rf_log(RF_LOG_ERROR,
		"%s found bytes in the channel that are no message; both "
		"children start anew: connections are lost, state is not",
		roles[m->role].name);
	if (other->pid) {
		other->ended_by_us = true;
		kill(other->pid, SIGKILL);
		waitid(P_PID, (id_t)other->pid, &info, WEXITED | WNOWAIT);
	}
	rf_channel_reset(&f->service->channel);
}

/* Whatever its exit code: nobody asked. */
static bool is_crash(const struct member *m)
{
	return !m->ended_by_us && m->state != CHILD_STOPPING;
}

static void count_crash(struct member *m)
{
	struct rf_status_supervisor *st = own_status(m->family);

	if (m->role == BUSINESS)
		rf_status_add(st->crashes, 1);
	else
		rf_status_add(st->network_crashes, 1);
}

/* A life that came to something clears the account. */
static enum child_event end_event(struct member *m)
{
	if (m->state != CHILD_UP)
		return CHILD_EV_EXIT;
	if (!is_barren(m)) {
		m->futile_count = 0;
		m->pause_ms = 0;
		return CHILD_EV_EXIT;
	}
	m->futile_count++;
	return m->futile_count > BARREN_MAX ? CHILD_EV_FUTILE : CHILD_EV_EXIT;
}

/* The end of m's process is known and not collected. */
static void on_end(struct member *m)
{
	struct family *f = m->family;
	const struct rf_status_shm *st = f->service->status;
	pid_t holder = rf_status_get(st->business.mm_holder_pid);
	bool crash = is_crash(m), hopeless;
	pid_t pids[ROLE_COUNT], dead = m->pid;
	siginfo_t collected;

	/* Its bell may ring together with its knell. */
	if (m->state == CHILD_STARTING && says_ready(m))
		feed(m, CHILD_EV_READY);
	hopeless = !f->has_served && exited_with(m, RF_CHILD_EXIT_START);
	m->pid = 0;
	if (crash)
		count_crash(m);
	if (exited_with(m, RF_CHILD_EXIT_CHANNEL))
		renew_channel(m);
	feed(m, end_event(m));

	waitid(P_PID, (id_t)dead, &collected, WEXITED);
	m->ended_by_us = false;
	publish_pids(f);
	if (crash)
		words_of_end(&m->end, f->last_crash);
	get_pids(f, pids);
	if (m->role == BUSINESS)
		holders_add(&f->holders, holder, pids);
	holders_reap(&f->holders, pids);
	if (hopeless)
		f->host.hopeless(f->host.arg, roles[m->role].name);
}

static void on_exit_io(struct ev_loop *loop, ev_io *w, int events)
{
	struct member *m = w->data;

	(void)events;
	m->end = (siginfo_t){0};
	if (waitid(P_PIDFD, (id_t)w->fd, &m->end,
		    WEXITED | WNOHANG | WNOWAIT) ||
		!m->end.si_pid)
		return;
	ev_io_stop(loop, w);
	close(w->fd); /* before the fork: a copy would keep it in the epoll */
	on_end(m);
}

static void on_deadline(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)loop;
	(void)events;
	feed(w->data, CHILD_EV_TIMER);
}

static void on_holder_timer(struct ev_loop *loop, ev_timer *w, int events)
{
	struct family *f = w->data;
	pid_t pids[ROLE_COUNT];

	(void)events;
	if (f->members[BUSINESS].state == CHILD_UP)
		holders_end(&f->holders);
	get_pids(f, pids);
	holders_reap(&f->holders, pids);
	if (!holders_any(&f->holders))
		ev_timer_stop(loop, w);
}

/* ---- lives ---- */

static void on_bell(struct ev_loop *loop, ev_io *w, int events)
{
	struct family *f = w->data;
	uint64_t rings;

	(void)events;
	if (read(w->fd, &rings, sizeof(rings)) < 0)
		return;
	for (int i = 0; i < ROLE_COUNT; i++) {
		struct member *m = &f->members[i];

		if (m->state == CHILD_STARTING && says_ready(m))
			feed(m, CHILD_EV_READY);
	}
	if (holders_any(&f->holders) && !ev_is_active(&f->holder_timer))
		ev_timer_again(loop, &f->holder_timer);
}

bool family_serves(const struct family *f)
{
	for (int i = 0; i < ROLE_COUNT; i++)
		if (f->members[i].state != CHILD_UP)
			return false;
	return true;
}

bool family_has_served(const struct family *f)
{
	return f->has_served;
}

const char *family_last_crash(const struct family *f)
{
	return *f->last_crash ? f->last_crash : NULL;
}

/* ---- beginning and end ---- */

struct family *family_open(struct service *service, struct ev_loop *loop,
	const struct family_host *host)
{
	struct family *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->service = service;
	f->loop = loop;
	f->host = *host;
	for (int i = 0; i < ROLE_COUNT; i++) {
		struct member *m = &f->members[i];

		m->family = f;
		m->role = (enum role)i;
		ev_timer_init(&m->deadline, on_deadline, 0., 0.);
		m->deadline.data = m;
	}
	ev_timer_init(&f->holder_timer, on_holder_timer, HOLDER_PAUSE_S,
		HOLDER_PAUSE_S);
	ev_io_init(&f->bell, on_bell, service->bell, EV_READ);
	f->holder_timer.data = f->bell.data = f;
	ev_io_start(loop, &f->bell);
	return f;
}

void family_start(struct family *f)
{
	/* Who serves before who lets in. */
	feed(&f->members[BUSINESS], CHILD_EV_START);
	feed(&f->members[NETWORK], CHILD_EV_START);
}

bool family_stop_next(struct family *f)
{
	for (int i = 0; i < ROLE_COUNT; i++) {
		if (f->members[i].state == CHILD_DOWN)
			continue;
		feed(&f->members[i], CHILD_EV_STOP);
		return true;
	}
	return false;
}

void family_close(struct family *f)
{
	const struct rf_status_shm *st = f->service->status;
	const pid_t nobody[ROLE_COUNT] = {0, 0};

	holders_add(
		&f->holders, rf_status_get(st->business.mm_holder_pid), nobody);
	holders_fini(&f->holders);
	ev_io_stop(f->loop, &f->bell);
	ev_timer_stop(f->loop, &f->holder_timer);
	free(f);
}
