/* SPDX-License-Identifier: MIT */
/* business_main.c -- the business child, from its fork to its end.
 *
 *   fork -> prepare (needs no lease) -> [standby: waits] -> takeover -> serve
 *     -> [SIGTERM, all done] -> worker's stop -> give the lease
 *     -> [is to leave]       -> worker's stop -> give the lease
 *
 * Each one has a stack canary of its own. A forked process has its parent's:
 * one that dies at the first wrong guess and is forked again with the same
 * canary and the same addresses answers questions about both, a byte at a
 * time.
 */
#include "common/arena.h"
#include "common/child.h"
#include "common/log/target.h"
#include "common/super.h"
#include "conf/conf.h"
#include "crash.h"
#include "desk.h"
#include "dump.h"
#include "guarding.h"
#include "hold.h"
#include "holder.h"
#include "quarantine.h"
#include "standby.h"
#include "stats.h"
#include "takeover.h"
#include "trim.h"
#include "worker/confine/confine.h"
#include <errno.h>
#include <refork/log.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <unistd.h>

#define LEASE_WAIT_US 5000000
#define SETTLE_MS     2 /* after it began to serve */

static volatile sig_atomic_t asked_to_stop;

/* Without the lease there is nothing to bring to an end. */
static void on_sigterm(int signal_number)
{
	(void)signal_number;
	if (rf_lease_holder() == 0)
		_exit(RF_CHILD_EXIT_ASKED);
	asked_to_stop = 1;
}

static void block_sigterm(int how)
{
	sigset_t term;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(how, &term, NULL);
}

static void wait_bell(struct desk *desk, int wait_ms)
{
	const int *epoll = desk->wait_arg;
	struct epoll_event event;
	sigset_t none;

	sigemptyset(&none);
	epoll_pwait(*epoll, &event, 1, wait_ms, &none);
	rf_status_set(desk->status->business.heartbeat_ms, rf_monotonic_ms());
	rf_log_catch_up(false);
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

/* What needs no lease. Returns how it is confined. */
static uint32_t prepare(
	const struct rf_child *self, struct desk *desk, int *epoll)
{
	struct sigaction term = {.sa_handler = on_sigterm};
	int error = crash_arm(self);

	if (error == 0 && sigaction(SIGTERM, &term, NULL) != 0)
		error = -errno;
	if (error != 0)
		takeover_give_up("catch signals", error);
	error = rf_segment_protect(self->arena, true);
	if (error != 0)
		takeover_give_up("open the arena", error);
	rf_arena_use(self->arena);
	dump_prepare(self);
	guarding_begin(self);
	stats_init(self->status);
	*epoll = watch_bell(self->channel->bell_business);
	if (*epoll < 0)
		takeover_give_up("watch the bell", *epoll);
	desk_init(desk, self);
	desk->pid = getpid();
	desk->wait = wait_bell;
	desk->wait_arg = epoll;
	return confine_business(self);
}

static int lock_lease(const struct rf_child *self)
{
	int lease = self->standby ? standby_wait(self)
				  : rf_lease_lock(LEASE_WAIT_US,
					    self->lease_orphaned);

	if (lease < 0)
		takeover_give_up("take the lease", lease);
	/* From here on SIGTERM is delivered only while we sleep: the hot path
	 * is never interrupted, and no wake-up falls between a look and a
	 * sleep. */
	block_sigterm(SIG_BLOCK);
	return lease;
}

/* What a new process owes itself and the supervisor, once the first replies
 * have gone their way: the processes that carry them may want this
 * processor. */
static void settle(const struct rf_child *self)
{
	struct rf_status_business *mine = &self->status->business;
	int error = rf_arena_inherit();

	if (self->standby) {
		standby_settle();
		if (self->take_role != NULL)
			self->take_role(self, "business");
		rf_log_identify(self->conf->refork.name, "business",
			RF_SUPER->generation);
	}
	rf_log(RF_LOG_INFO, "serving, %llu us after it had the lease",
		(unsigned long long)rf_status_get(mine->recovery_us));
	if (error != 0)
		rf_log(RF_LOG_WARNING,
			"arena: mlock or madvise: %s; going on without",
			strerror(-error));
	error = holder_start(rf_status_get(self->status->supervisor.pid),
		&mine->mm_holder_pid);
	if (error != 0)
		rf_log(RF_LOG_WARNING,
			"mm holder: clone: %s; recovery from the next crash "
			"will be slower",
			strerror(-error));
	rf_bell_ring(self->bell_supervisor);
}

/* Until SIGTERM and nothing waits, or until told to leave, or -EBADMSG. */
static int serve(struct desk *desk)
{
	struct rf_status_business *mine = &desk->status->business;
	int64_t settle_at_ms = desk->now_ms + SETTLE_MS;
	bool settled = false;
	int done = 0;

	while (!desk_is_to_leave(desk)) {
		rf_status_add(mine->rounds, 1);
		if (rf_unlikely(hold_is_ordered(desk)))
			hold_keep(desk);
		guarding_look(desk->now_ms);
		if (rf_unlikely(!settled) && desk->now_ms >= settle_at_ms) {
			settle(desk->self);
			settled = true;
		}
		done = desk_round(desk);
		if (done < 0)
			break;
		desk_tick(desk);
		quarantine_run(desk->self, desk);
		if (done > 0)
			continue;
		if (desk->stopping)
			break;
		desk_sleep(
			desk, settled ? trim_idle(desk->now_ms, DESK_SLEEP_MS)
				      : SETTLE_MS);
	}
	return done;
}

/* The worker's last word, and the next one's first. */
_Noreturn static void leave(const struct desk *desk)
{
	const struct rf_child *self = desk->self;
	struct rf_status_business *mine = &self->status->business;

	rf_status_set(mine->phase, (uint32_t)RF_PHASE_STOP);
	if (self->worker->stop != NULL)
		self->worker->stop();
	rf_status_set(mine->phase, (uint32_t)RF_PHASE_NONE);
	rf_status_set(mine->left_at_us, rf_monotonic_us());
	rf_lease_give();
	_exit(desk->leaving ? RF_CHILD_EXIT_LEFT : RF_CHILD_EXIT_ASKED);
}

_Noreturn static __attribute__((noinline)) void run(const struct rf_child *self)
{
	struct desk desk;
	int epoll, lease, error;
	uint64_t confined;

	confined = prepare(self, &desk, &epoll);
	lease = lock_lease(self);
	rf_status_set(self->status->business.confined, confined);
	takeover_run(&desk, lease);
	error = desk_round(&desk);
	if (error >= 0)
		error = serve(&desk);
	if (error == -EBADMSG) {
		rf_log(RF_LOG_ERROR, "request ring: bytes that are no message; "
				     "both children start anew");
		_exit(RF_CHILD_EXIT_CHANNEL);
	}
	rf_log_catch_up(true);
	leave(&desk);
}

/* Where the compiler looks for it. Its first byte in memory is zero: there a
 * string that overflows must end. On other machines it stands in memory that
 * libc has made read-only. */
static inline __attribute__((always_inline)) void set_canary(uintptr_t canary)
{
#if defined(__x86_64__)
	__asm__ volatile("mov %0, %%fs:0x28" : : "r"(canary & ~(uintptr_t)255));
#else
	(void)canary;
#endif
}

/* It never returns, and so do the functions that have called it: none of them
 * looks at the canary again. Without random bytes it keeps the old one. */
__attribute__((no_stack_protector)) _Noreturn void business_main(
	const struct rf_child *self)
{
	uintptr_t canary;

	if (getrandom(&canary, sizeof canary, 0) == sizeof canary)
		set_canary(canary);
	run(self);
}
