/* SPDX-License-Identifier: MIT */
/* takeover.c -- from having the lease to serving.
 *
 *   roll back -> [verify] -> [migrate, build] -> bind -> start -> open -> serve
 *
 * Clients are waiting: what can wait stands in business_main.c, behind the
 * first round, and each step that is taken only sometimes says when. The
 * status segment is told of each step before it is taken, so that a death in
 * it can be named.
 */
#include "takeover.h"
#include "common/arena.h"
#include "common/events.h"
#include "common/super.h"
#include "conf/conf.h"
#include "crash.h"
#include "guarding.h"
#include "in_work.h"
#include "parked.h"
#include <errno.h>
#include <poll.h>
#include <refork/log.h>
#include <refork/tx.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

_Noreturn void takeover_give_up(const char *what, int error)
{
	rf_log(RF_LOG_ERROR, "start: %s: %s; the supervisor tries again later",
		what, strerror(-error));
	_exit(RF_CHILD_EXIT_START);
}

static void set_phase(const struct rf_child *self, enum rf_phase phase)
{
	rf_status_set(self->status->business.phase, (uint32_t)phase);
}

/* The last holder, `last`, had more threads than the one that is gone. It may
 * have started them in any hook, so what it said after `start` is not enough.
 * A pid that is another process's by now costs nothing but a look. */
static bool had_threads(const struct rf_child *self, int32_t last)
{
	char path[32];
	struct stat st;

	if (rf_status_get(self->status->business.threads) > 1)
		return true;
	snprintf(path, sizeof path, "/proc/%d/task", last);
	return last != 0 && stat(path, &st) == 0 && st.st_nlink > 3;
}

/* The kernel gives a dead thread's lease at once, and another thread of the
 * same process may live for a moment longer. */
static void wait_for_threads(const struct rf_child *self, int32_t last)
{
	struct pollfd end = {.fd = self->predecessor, .events = POLLIN};

	if (end.fd < 0 || !had_threads(self, last))
		return;
	while (poll(&end, 1, -1) < 0 && errno == EINTR)
		;
}

/* ---- who is to blame for the death ---- */

/* The next message has been tried. */
static bool is_attempted(void)
{
	uint64_t word = RF_SUPER->attempt;

	return word >> 8 == parked_next_pos() && (word & 255) != 0;
}

/* The last holder was at a message and has not died by itself: then the lease
 * would have been given, or marked. `last` is its pid; 0: it was another
 * daemon's and ended with that one, which has been rolled back already. */
static bool was_struck(const struct rf_child *self, int32_t *last)
{
	const struct rf_status_business *mine = &self->status->business;
	uint32_t phase = rf_status_get(mine->phase);

	*last = rf_status_get(mine->takeover.pid);
	if (*last == 0)
		return is_attempted();
	return RF_SUPER->lease_of_dying == 0 &&
	       (phase == RF_PHASE_REQUEST || phase == RF_PHASE_CONNECTION);
}

/* After the roll back: is the message that it was at not to blame? The
 * supervisor may have ended it for another's sake. Any other SIGKILL comes from
 * outside, as does the end of the daemon (the next one goes on with the message
 * where clients' connections outlive it: daemon/preserve.c), unless the
 * supervisor sent it to one that hung; the message may
 * still have brought it about, by using up the memory, so that is forgiven so
 * many times. */
#define OUTSIDE_MAX 3

static bool is_blameless(const struct rf_child *self, int32_t last)
{
	const struct rf_status_shm *st = self->status;
	uint64_t pos = parked_next_pos();
	uint64_t count;

	if (last != 0 && last == rf_status_get(st->supervisor.spent_pid))
		return true;
	if (last != 0 && last == rf_status_get(st->supervisor.hung_pid))
		return false;
	count = RF_SUPER->outside >> 8 == pos ? RF_SUPER->outside & 255 : 0;
	if (count >= OUTSIDE_MAX)
		return false;
	RF_SUPER->outside = pos << 8 | (count + 1);
	return true;
}

static void forgive(void)
{
	if (is_attempted())
		RF_SUPER->attempt--;
}

/* What the last holder left in the words that are now ours. */
static void begin_words(const struct rf_child *self, int lease)
{
	struct rf_status_business *mine = &self->status->business;
	struct rf_takeover *note = &mine->takeover;

	rf_status_set(note->serving_at_us, 0);
	rf_status_set(note->lease_at_us, rf_monotonic_us());
	rf_status_set(mine->heartbeat_ms, rf_monotonic_ms());
	set_phase(self, RF_PHASE_LEASE);
	if (rf_status_get(mine->work) % 2 != 0)
		rf_status_add(mine->work, 1);
	rf_status_set(note->pid, getpid());
	rf_status_set(note->after_death, lease);
	rf_status_set(note->was_standby, self->standby ? 1 : 0);
	rf_status_set(note->verified, 0);
	rf_status_set(note->rolled_back_at_us, 0);
	mine->refusal[0] = '\0';
	memset(&note->request, 0, sizeof note->request);
}

static void roll_back(const struct rf_child *self, int lease, int32_t last)
{
	struct rf_status_business *mine = &self->status->business;
	struct rf_takeover *note = &mine->takeover;
	size_t undone;

	wait_for_threads(self, last);
	undone = rf_lease_recover();
	guarding_compare(self);
	rf_status_set(mine->threads, 1);
	rf_arena_set_generation(RF_SUPER->generation + 1);
	rf_status_set(note->generation, RF_SUPER->generation);
	rf_status_set(note->undone, undone);
	rf_status_set(note->rolled_back_at_us, rf_monotonic_us());
	in_work_describe_left(self->channel, &note->request);
	if (lease == RF_LEASE_OWNER_DIED)
		rf_status_add(mine->recoveries, 1);
	if (undone > 0)
		rf_status_add(mine->rolled_back, 1);
	rf_log_identify(
		self->conf->refork.name, "business", RF_SUPER->generation);
}

/* ---- rung 3: nothing is believed any more ---- */

_Noreturn static void refuse_damage(const struct rf_child *self)
{
	snprintf(self->status->business.refusal,
		sizeof self->status->business.refusal,
		"verify: the state is damaged: %s", rf_log_last_error());
	rf_log_event(RF_EVENT_VERIFY_DAMAGED, NULL,
		"verify: the state is damaged; this process does not serve "
		"it");
	_exit(RF_CHILD_EXIT_DAMAGED);
}

/* What stands below the worker's managers. */
static void verify_arena(const struct rf_child *self)
{
	set_phase(self, RF_PHASE_VERIFY);
	if (rf_arena_check() != 0 || parked_check() != 0)
		refuse_damage(self);
}

/* The managers: code that is new here knows them since its `build`. */
static void verify_worker(const struct rf_child *self)
{
	set_phase(self, RF_PHASE_VERIFY);
	if (self->worker->verify != NULL && self->worker->verify() != 0)
		refuse_damage(self);
	rf_status_set(self->status->business.takeover.verified, 1);
}

/* ---- code that came with an upgrade ---- */

_Noreturn static void refuse_state(
	const struct rf_child *self, const char *what, int error)
{
	const struct rf_worker *worker = self->worker;
	const char *said = rf_log_last_error(); /* its own words */
	char *refusal = self->status->business.refusal;
	size_t bytes = sizeof self->status->business.refusal;

	snprintf(refusal, bytes,
		"%s of %s %s, state version %u, on state version %u: %s%s%s%s",
		what, worker->name, worker->version, worker->state_version,
		RF_SUPER->state_version, strerror(-error), *said ? " (" : "",
		said, *said ? ")" : "");
	rf_log(RF_LOG_ERROR, "%s; the state is as it was", refusal);
	_exit(RF_CHILD_EXIT_CODE);
}

/* This code was not there when the arena was built: whatever it then would
 * have found or made, and whatever has changed, comes in one transaction. */
static void build_here(const struct rf_child *self)
{
	const struct rf_worker *worker = self->worker;
	uint32_t from = RF_SUPER->state_version;
	const char *what = "migrate";
	int error = 0;

	set_phase(self, RF_PHASE_MIGRATE);
	rf_tx_begin();
	if (from != worker->state_version)
		error = worker->migrate != NULL ? worker->migrate(from)
						: -ENOSYS;
	if (error == 0 && worker->build != NULL) {
		what = "build";
		error = worker->build(self->env);
	}
	if (error != 0) {
		rf_tx_abort();
		refuse_state(self, what, error);
	}
	rf_arena_set_state_version(worker->state_version);
	error = rf_tx_commit();
	if (error != 0)
		refuse_state(self, what, error);
}

static void start(const struct rf_child *self)
{
	int error, threads;

	if (self->worker->start == NULL)
		return;
	set_phase(self, RF_PHASE_START);
	error = self->worker->start(self->env);
	if (error != 0)
		takeover_give_up("worker's start hook", error);
	threads = crash_thread_count();
	/* Not known: as if there were some. */
	rf_status_set(self->status->business.threads,
		(uint32_t)(threads > 0 ? threads : 2));
}

static void announce(const struct rf_child *self)
{
	struct rf_status_business *mine = &self->status->business;
	int64_t now_us = rf_monotonic_us();

	rf_status_set(mine->arena_max_bytes, RF_SUPER->max_bytes);
	rf_status_set(mine->recovery_us,
		(uint64_t)(now_us - rf_status_get(mine->takeover.lease_at_us)));
	rf_status_set(mine->heartbeat_ms, now_us / 1000);
	set_phase(self, RF_PHASE_IDLE);
	rf_status_set(mine->serving, RF_SUPER->generation);
	__atomic_store_n(
		&mine->takeover.serving_at_us, now_us, __ATOMIC_RELEASE);
	__atomic_store_n(&mine->serving_pid, getpid(), __ATOMIC_RELEASE);
}

void takeover_run(struct desk *desk, int lease)
{
	const struct rf_child *self = desk->self;
	int32_t last;
	bool struck = was_struck(self, &last);
	int error;

	begin_words(self, lease);
	roll_back(self, lease, last);
	if (struck && is_blameless(self, last))
		forgive();
	if (self->verify)
		verify_arena(self);
	if (self->build_here)
		build_here(self);
	if (self->verify)
		verify_worker(self);
	set_phase(self, RF_PHASE_BIND);
	desk_bind(desk);
	start(self);
	/* A new channel: the worker's `closed` runs for each connection. */
	set_phase(self, RF_PHASE_CONNECTION);
	error = desk_open(desk, self->conf->network.max_clients);
	if (error != 0)
		takeover_give_up("begin with a new channel", error);
	announce(self);
}
