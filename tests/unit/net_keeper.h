/* SPDX-License-Identifier: MIT */
/* net_keeper.h -- a vault and network children that are killed at a chosen
 * instant, and followed by the next one.
 *
 * A process of its own plays the supervisor and traces the first network child,
 * so that the stage is free to play clients and business side. */
#ifndef NET_KEEPER_H
#define NET_KEEPER_H

#include "net_stage.h"

#include "daemon/supervise/vault.c"

#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/un.h>

#define KEEPER_TRIES 40

struct plan {	   /* when the first network child is killed */
	int calls; /* so many system call stops (entry, exit, ...); 0: never */
	int steps; /* and so many instructions later */
	int again_us; /* the next one too, so long after its birth; 0: not */
};

struct keeper {
	pid_t pid;
	struct plan plan;
	int *deaths; /* shared */
};

static inline pid_t keeper_fork_vault(struct stage *s, struct service *service)
{
	pid_t pid;

	service->channel = s->channel;
	service->status = s->child.status;
	s->child.scene = &s->child.status->scenes[0];
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		rf_log_identify("stage", "vault", 0);
		vault_main(&s->child);
	}
	while (rf_status_get(s->child.status->vault.ready) != (uint64_t)pid)
		await_bell(s->child.bell_supervisor);
	return pid;
}

static inline pid_t keeper_fork_network(
	struct stage *s, struct service *service, bool wait)
{
	const struct spawn how = {.scene = &s->child.status->scenes[0]};
	pid_t pid = 0;
	int pidfd;

	/* On a busy machine the vault may be late. */
	for (int tries = 0; vault_make_network(service, &how, &pid, &pidfd);)
		if (++tries == KEEPER_TRIES)
			_exit(3);
	close(pidfd);
	while (wait &&
		rf_status_get(s->child.status->network.ready) != (uint64_t)pid)
		await_bell(s->child.bell_supervisor);
	return pid;
}

/* Returns false when it ended before. */
static inline bool keeper_resume(pid_t pid, int request, int *status)
{
	if (ptrace((enum __ptrace_request)request, pid, NULL, NULL))
		return false;
	return waitpid(pid, status, __WALL) == pid && WIFSTOPPED(*status);
}

/* Let it go on up to the instant of the plan. */
static inline void keeper_trace(pid_t pid, struct plan plan, int go)
{
	const uint64_t one = 1;
	int status;
	bool lives;

	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) ||
		ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) ||
		waitpid(pid, &status, __WALL) != pid)
		_exit(4);
	if (write(go, &one, sizeof(one)) != sizeof(one))
		_exit(5);
	lives = true;
	for (int i = 0; lives && i < plan.calls; i++)
		lives = keeper_resume(pid, PTRACE_SYSCALL, &status);
	for (int i = 0; lives && i < plan.steps; i++)
		lives = keeper_resume(pid, PTRACE_SINGLESTEP, &status);
	kill(pid, SIGKILL);
	waitpid(pid, &status, __WALL);
}

_Noreturn static inline void keeper_main(
	struct stage *s, struct keeper *k, int go)
{
	static struct service service;
	const uint64_t one = 1;
	pid_t pid;
	int status;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	keeper_fork_vault(s, &service);
	pid = keeper_fork_network(s, &service, true);
	if (k->plan.calls) {
		keeper_trace(pid, k->plan, go);
	} else {
		if (write(go, &one, sizeof(one)) < 0)
			_exit(5);
		waitpid(pid, &status, 0);
	}
	for (;;) {
		(*k->deaths)++;
		pid = keeper_fork_network(s, &service, false);
		if (k->plan.again_us) {
			usleep((useconds_t)k->plan.again_us);
			k->plan.again_us = 0;
			kill(pid, SIGKILL);
		}
		waitpid(pid, &status, 0);
	}
}

/* The stage is set; this brings up vault and network child. */
static inline void keeper_start(
	struct stage *s, struct keeper *k, struct plan plan)
{
	int go = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	k->plan = plan;
	k->deaths = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	k->pid = fork();
	assert_true(k->pid >= 0);
	if (k->pid == 0)
		keeper_main(s, k, go);
	await_bell(go);
	close(go);
}

static inline void keeper_end(struct stage *s, struct keeper *k)
{
	int status;

	assert_int_equal(waitpid(k->pid, &status, WNOHANG), 0);
	kill(k->pid, SIGKILL);
	waitpid(k->pid, &status, 0);
	munmap(k->deaths, 4096);
	stage_fini(s);
}

#endif
