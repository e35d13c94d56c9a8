/* SPDX-License-Identifier: MIT */
/* zombie.c -- how a dead child ended that cannot be collected.
 *
 * The problem. A child that dies while a debugger is attached to it is the
 * debugger's: until that lets go, waitid(2) tells the parent nothing, and one
 * that waits for more stands still as long.
 * The idea. That it is dead is the pidfd's word. How it ended stands in /proc.
 */
#include "zombie.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

/* The last field, as wait(2) would give it. Who may not be told reads 0. */
static bool read_status(pid_t pid, int *status)
{
	char path[32], line[1024] = "";
	const char *last;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(line, sizeof(line), file))
		*line = 0;
	fclose(file);
	last = strrchr(line, ' ');
	return last && sscanf(last, "%d", status) == 1;
}

static void put_end(pid_t pid, int status, siginfo_t *end)
{
	*end = (siginfo_t){.si_signo = SIGCHLD, .si_code = CLD_EXITED};
	end->si_pid = pid;
	end->si_status = WEXITSTATUS(status);
	if (!WIFSIGNALED(status))
		return;
	end->si_code = WCOREDUMP(status) ? CLD_DUMPED : CLD_KILLED;
	end->si_status = WTERMSIG(status);
}

bool zombie_look(pid_t pid, int pidfd, siginfo_t *end)
{
	struct pollfd dead = {.fd = pidfd, .events = POLLIN};
	int status = SIGKILL;

	*end = (siginfo_t){0};
	if (!waitid(P_PIDFD, (id_t)pidfd, end, WEXITED | WNOHANG | WNOWAIT) &&
		end->si_pid)
		return true;
	if (poll(&dead, 1, 0) != 1 || !(dead.revents & POLLIN))
		return false;
	if (!read_status(pid, &status))
		status = SIGKILL;
	put_end(pid, status, end);
	return true;
}

bool zombie_collect(pid_t pid, siginfo_t *end)
{
	siginfo_t info = {0};

	if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG))
		return true; /* there is nothing to collect */
	if (info.si_pid)
		*end = info;
	return info.si_pid;
}
