/* SPDX-License-Identifier: MIT */
/* business_main.c -- the business child, from its fork to its end.
 *
 *   take the lease (rolls back) -> bind to the channel (re-publishes)
 *     -> worker's start -> serve
 *     -> [SIGTERM] -> worker's stop -> give the lease
 *
 * Nothing that can wait stands before "serve": clients are waiting.
 */
#include "common/arena.h"
#include "common/child.h"
#include "common/super.h"
#include "conf/conf.h"
#include "desk.h"
#include "holder.h"
#include "stats.h"
#include <errno.h>
#include <refork/log.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define LEASE_WAIT_MS 5000

static volatile sig_atomic_t asked_to_stop;

static void on_sigterm(int signal_number)
{
	(void)signal_number;
	asked_to_stop = 1;
}

/* SIGTERM is delivered only while we sleep: the hot path is never interrupted,
 * and no wake-up falls between a look and a sleep. */
static int catch_sigterm(void)
{
	struct sigaction action = {.sa_handler = on_sigterm};
	sigset_t term;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &term, NULL) != 0 ||
		sigaction(SIGTERM, &action, NULL) != 0)
		return -errno;
	return 0;
}

static void wait_bell(struct desk *desk, int wait_ms)
{
	const int *epoll = desk->wait_arg;
	struct epoll_event event;
	sigset_t none;

	sigemptyset(&none);
	epoll_pwait(*epoll, &event, 1, wait_ms, &none);
	rf_status_set(desk->status->business.heartbeat_ms, rf_monotonic_ms());
	desk->stopping = asked_to_stop;
}

/* Edge-triggered: each ring of the bell is one event, and it is never read. */
static int watch_bell(int bell)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, bell, &event) != 0)
		return -errno;
	return epoll;
}

_Noreturn static void give_up(const char *what, int error)
{
	rf_log(RF_LOG_ERROR, "start: %s: %s; the supervisor tries again later",
		what, strerror(-error));
	_exit(RF_CHILD_EXIT_START);
}

static void take_arena(const struct rf_child *self)
{
	struct rf_status_business *mine = &self->status->business;
	int lease, error = rf_segment_protect(self->arena, true);
	bool unfinished;

	if (error != 0)
		give_up("open the arena", error);
	rf_arena_use(self->arena);
	/* Its holder is dead: nothing moves any more. */
	unfinished = self->lease_orphaned && RF_SUPER->log_tail != 0;
	lease = rf_lease_take(LEASE_WAIT_MS, self->lease_orphaned);
	if (lease < 0)
		give_up("take the lease", lease);
	if (lease == RF_LEASE_OWNER_DIED)
		rf_status_add(mine->recoveries, 1);
	if (unfinished)
		rf_status_add(mine->rolled_back, 1);
	rf_arena_set_generation(RF_SUPER->generation + 1);
	rf_log_identify(
		self->conf->refork.name, "business", RF_SUPER->generation);
}

/* What a new process owes itself, once nobody waits for it. */
static void settle(const struct rf_child *self)
{
	struct rf_status_business *mine = &self->status->business;
	int error = rf_arena_inherit();

	rf_log(RF_LOG_INFO, "serving, %lld us after the fork",
		(long long)(rf_status_get(mine->recovery_us)));
	if (error != 0)
		rf_log(RF_LOG_WARNING,
			"arena: mlock or madvise: %s; going on "
			"without",
			strerror(-error));
	error = holder_start(rf_status_get(self->status->supervisor.pid),
		&mine->mm_holder_pid);
	if (error != 0)
		rf_log(RF_LOG_WARNING,
			"mm holder: clone: %s; recovery from "
			"the next crash will be slower",
			strerror(-error));
}

static void announce(const struct rf_child *self, int64_t from_us)
{
	struct rf_status_business *mine = &self->status->business;

	rf_status_set(mine->arena_max_bytes, RF_SUPER->max_bytes);
	rf_status_set(
		mine->recovery_us, (uint64_t)(rf_monotonic_us() - from_us));
	rf_status_set(mine->heartbeat_ms, rf_monotonic_ms());
	rf_status_set(mine->serving, RF_SUPER->generation);
	rf_status_set(mine->serving_pid, getpid());
	rf_bell_ring(self->bell_supervisor);
}

static int serve(struct desk *desk)
{
	int done = 0;

	while (done >= 0 && !(desk->stopping && done == 0)) {
		done = desk_round(desk);
		if (done < 0)
			break;
		desk_tick(desk);
		if (done == 0)
			desk_sleep(desk);
	}
	return done;
}

_Noreturn void business_main(const struct rf_child *self)
{
	int64_t from_us = rf_monotonic_us();
	int epoll, error;
	struct desk desk = {
		.channel = self->channel,
		.worker = self->worker,
		.status = self->status,
		.wait = wait_bell,
		.wait_arg = &epoll,
	};

	take_arena(self);
	stats_init(self->status);
	error = catch_sigterm();
	if (error != 0)
		give_up("catch SIGTERM", error);
	epoll = watch_bell(self->channel->bell_business);
	if (epoll < 0)
		give_up("watch the bell", epoll);
	desk_bind(&desk);
	if (self->worker->start != NULL) {
		error = self->worker->start(self->env);
		if (error != 0)
			give_up("worker's start hook", error);
	}
	error = desk_open(&desk, self->conf->network.max_clients);
	if (error != 0)
		give_up("begin with a new channel", error);
	announce(self, from_us);
	desk_round(&desk);
	settle(self);
	error = serve(&desk);
	if (error == -EBADMSG) {
		rf_log(RF_LOG_ERROR, "request ring: bytes that are no message; "
				     "both children start anew");
		_exit(RF_CHILD_EXIT_CHANNEL);
	}
	if (self->worker->stop != NULL)
		self->worker->stop();
	rf_lease_give();
	_exit(RF_CHILD_EXIT_ASKED);
}
