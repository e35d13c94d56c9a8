/* SPDX-License-Identifier: MIT */
/* process.c -- the processes of the family: made, passed on, given up.
 *
 * There are as many entries as scenes in the status segment, each process has
 * the scene of its entry from its fork until its end has been told. No entry
 * free is answered like a fork that failed: later.
 */
#include "member.h"
#include "spawn.h"
#include "vault.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <refork/log.h>
#include <signal.h>
#include <unistd.h>

#define KILL_WAIT_MS 1000

static const struct {
	const char *name;
	void (*main)(const struct rf_child *self);
	bool accepts;
} roles[ROLE_COUNT] = {
	[NETWORK] = {"network", network_main, true},
	[VAULT] = {"vault", vault_main, true},
	[BUSINESS] = {"business", business_main, false},
	[STANDBY] = {"standby", business_main, false},
};

static bool is_business(const struct process *p)
{
	return p->role == BUSINESS || p->role == STANDBY;
}

bool process_any_business(const struct family *f)
{
	for (int i = 0; i < RF_CRASH_SCENES; i++) {
		const struct process *p = &f->processes[i];

		if (p->pid && !p->dead && is_business(p))
			return true;
	}
	return false;
}

struct process *process_of_pid(struct family *f, pid_t pid)
{
	for_each_process(f, p) if (p->pid == pid) return p;
	return NULL;
}

void process_publish(struct family *f)
{
	struct rf_status_supervisor *st = &f->service->status->supervisor;
	int32_t pids[ROLE_COUNT];

	for (int i = 0; i < ROLE_COUNT; i++) {
		const struct process *p = f->members[i].process;

		pids[i] = p ? p->pid : 0;
	}
	rf_status_set(st->network_pid, pids[NETWORK]);
	rf_status_set(st->vault_pid, pids[VAULT]);
	rf_status_set(st->business_pid, pids[BUSINESS]);
	rf_status_set(st->standby_pid, pids[STANDBY]);
}

/* ---- made ---- */

static void leave_loop(void *arg)
{
	ev_loop_destroy(arg);
}

static struct process *find_free(struct family *f)
{
	for (int i = 0; i < RF_CRASH_SCENES; i++)
		if (!f->processes[i].pid)
			return &f->processes[i];
	return NULL;
}

/* The pidfd of the process that `m`'s stands by for. */
static int predecessor_of(const struct member *m)
{
	const struct process *p = m->family->members[BUSINESS].process;

	return m->role == STANDBY && p ? p->exit.fd : -1;
}

/* Nobody but the vault has the connections now: they end with it. */
static void end_silent_vault(struct family *f)
{
	struct member *vault = &f->members[VAULT];

	rf_log(RF_LOG_ERROR,
		"vault %d did not answer twice, within %d ms each, when a "
		"network process was to be made: ending it and forking "
		"another, which costs the connections of all clients "
		"(%" PRIu64 ") and no state",
		vault->process->pid, VAULT_WAIT_MS,
		(uint64_t)rf_status_get(f->service->status->network.clients));
	member_feed(vault, CHILD_EV_REPLACE);
}

/* The connections are in the vault's keeping: the network child is made out of
 * it, and another vault out of the network child. */
static int make(
	struct member *m, const struct spawn *how, pid_t *pid, int *pidfd)
{
	struct family *f = m->family;
	int rc;

	if (m->role == VAULT && member_lives(&f->members[NETWORK]))
		return vault_replace(f->service, how, pid, pidfd);
	if (m->role != NETWORK)
		return spawn(f->service, how, pid, pidfd);
	if (!member_lives(&f->members[VAULT]))
		return -ESRCH;
	rc = vault_make_network(f->service, how, pid, pidfd);
	/* Twice in a row: it never answers again. Once may be a machine that
	 * stood still, and no reason to end all connections. */
	if (rc == -ETIMEDOUT && m->fork_error == ETIMEDOUT)
		end_silent_vault(f);
	return rc;
}

/* Clients wait: who has handed over, longest ago, has had the time to write its
 * core. Its entry is free when its pidfd has told. */
static void end_oldest_departed(struct family *f)
{
	const struct process *oldest = NULL;

	for_each_process(f,
		p) if (!p->member && !p->dead &&
		       (!oldest || p->departed_at_ms < oldest->departed_at_ms))
		oldest = p;
	if (oldest)
		kill(oldest->pid, SIGKILL);
}

static void begin_life(struct member *m)
{
	int64_t now_ms = rf_monotonic_ms();

	m->last_life_was_barren = m->life_at_ms && member_is_barren(m);
	m->life_at_ms = now_ms;
	m->served = false;
	m->progress_at_birth = member_progress(m);
	m->watch = (struct watch){0};
}

int process_make(struct member *m)
{
	struct family *f = m->family;
	struct process *p = find_free(f);
	bool business = m->role == BUSINESS;
	struct spawn how = {
		.role = roles[m->role].name,
		.main = roles[m->role].main,
		.accepts = roles[m->role].accepts,
		.standby = m->role == STANDBY,
		.predecessor = predecessor_of(m),
		.verify = business && f->verify,
		/* Nobody is left who could have the lease. */
		.lease_orphaned = business && f->business_was_forked &&
				  !process_any_business(f),
		.leave = leave_loop,
		.leave_arg = f->loop,
	};
	pid_t pid;
	int pidfd, rc;

	if (!p) {
		deaths_tell(f, true);
		p = find_free(f);
	}
	if (!p) {
		end_oldest_departed(f);
		return -EAGAIN;
	}
	how.scene = &f->service->status->scenes[p - f->processes];
	how.scene->complete = 0;
	rc = make(m, &how, &pid, &pidfd);
	if (rc)
		return rc;
	*p = (struct process){
		.family = f,
		.member = m,
		.role = m->role,
		.pid = pid,
		.candidate = f->planned.active && f->planned.role == BUSINESS &&
			     (business || m->role == STANDBY),
		.code = f->service->lib.handle,
		.scene = how.scene,
	};
	m->process = p;
	m->stood_by = false;
	f->business_was_forked |= business;
	begin_life(m);
	process_publish(f);
	spawn_offer_to_oom_killer(pid, m->role);
	ev_io_init(&p->exit, deaths_on_exit, pidfd, EV_READ);
	p->exit.data = p;
	ev_io_start(f->loop, &p->exit);
	return 0;
}

/* ---- passed on ---- */

struct process *process_in_waiting(struct family *f)
{
	const struct member *m = &f->members[STANDBY];
	bool waits = m->state == CHILD_STARTING || m->state == CHILD_UP;

	return waits && member_lives(m) ? m->process : NULL;
}

void process_promote(struct family *f)
{
	struct member *standby = &f->members[STANDBY];
	struct member *m = &f->members[BUSINESS];
	struct process *p = standby->process;

	standby->process = NULL;
	p->member = m;
	p->role = BUSINESS;
	m->process = p;
	m->stood_by = true;
	begin_life(m);
	process_publish(f);
	spawn_offer_to_oom_killer(p->pid, BUSINESS);
	member_feed(standby, CHILD_EV_TAKEN);
}

void process_depart(struct member *m)
{
	struct process *p = m->process;

	p->member = NULL;
	p->departed_at_ms = rf_monotonic_ms();
	m->process = NULL;
}

/* ---- given up ---- */

void process_spend(struct process *p)
{
	struct rf_status_shm *st = p->family->service->status;

	p->asked = true;
	rf_status_set(st->supervisor.spent_pid, p->pid);
}

/* One that the kernel keeps for longer runs no code of its own any more. */
void process_kill_now(struct process *p)
{
	struct pollfd end = {.fd = p->exit.fd, .events = POLLIN};

	p->asked = true;
	if (p->dead)
		return;
	kill(p->pid, SIGKILL);
	poll(&end, 1, KILL_WAIT_MS);
	p->dead = true;
}

void process_free(struct process *p)
{
	*p = (struct process){0};
}
