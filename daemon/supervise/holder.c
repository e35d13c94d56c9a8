/* SPDX-License-Identifier: MIT */
/* holder.c -- the helpers that hold a dead child's memory map.
 *
 * The problem. The kernel tells of a death after it has torn down the dead
 * process's page tables: 60 ms for 4 GiB of small pages.
 * The idea. A business child makes a helper (CLONE_VM | CLONE_PARENT) that only
 * sleeps. The map then has another user, the death is known at once, and the
 * tearing down happens when the helper is ended: here, later, when the
 * successor serves.
 *
 * A helper is a child of the supervisor. Its pid comes from the status segment,
 * bytes that another process wrote: only waitid() says whose child it is.
 */
#include "holder.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

static bool is_child(pid_t pid)
{
	siginfo_t info;

	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) ==
	       0;
}

static bool is_known(const struct holders *h, pid_t pid)
{
	for (int i = 0; i < h->count; i++)
		if (h->waiting[i] == pid)
			return true;
	return false;
}

static void end_oldest(struct holders *h)
{
	kill(h->waiting[0], SIGKILL);
	h->ending++;
	h->count--;
	memmove(h->waiting, h->waiting + 1,
		(size_t)h->count * sizeof(*h->waiting));
}

/* `pid` has been collected. */
static void forget(struct holders *h, pid_t pid)
{
	for (int i = 0; i < h->count; i++) {
		if (h->waiting[i] != pid)
			continue;
		h->count--;
		memmove(h->waiting + i, h->waiting + i + 1,
			(size_t)(h->count - i) * sizeof(*h->waiting));
		return;
	}
	h->ending -= h->ending > 0;
}

void holders_add(struct holders *h, pid_t pid, const pid_t others[2])
{
	if (pid <= 0 || pid == others[0] || pid == others[1])
		return;
	if (is_known(h, pid) || !is_child(pid))
		return;
	if (h->count == HOLDER_MAX)
		end_oldest(h);
	h->waiting[h->count++] = pid;
}

void holders_end(struct holders *h)
{
	while (h->count > 0)
		end_oldest(h);
}

void holders_reap(struct holders *h, const pid_t others[2])
{
	for (;;) {
		siginfo_t info = {0};
		pid_t pid;

		/* Look first: the end of a child that is watched must stay
		 * for its pidfd to tell. */
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT))
			return;
		pid = info.si_pid;
		if (pid == 0 || pid == others[0] || pid == others[1])
			return;
		waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG);
		forget(h, pid);
	}
}

void holders_fini(struct holders *h)
{
	siginfo_t info;

	holders_end(h);
	while (h->ending > 0 && !waitid(P_ALL, 0, &info, WEXITED))
		h->ending--;
	holders_reap(h, (const pid_t[2]){0, 0});
}
