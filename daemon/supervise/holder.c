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
 * A helper is a child of the supervisor, known by its name alone: what a
 * business child says of its helper may be overwritten by its successor before
 * anybody has read it. Only the kernel's list of our children is believed.
 *
 * A business child bears that name, too, while it makes one: whom the caller
 * knows is no helper, whatever its name.
 */
#include "holder.h"

#include "common/child.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool holders_is_called(pid_t pid, const char *wanted)
{
	char path[32], name[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(name, sizeof(name), file))
		*name = 0;
	fclose(file);
	name[strcspn(name, "\n")] = 0;
	return !strcmp(name, wanted);
}

int holders_end(pid_t keep, bool (*spare)(void *arg, pid_t pid), void *arg)
{
	char path[48];
	FILE *list;
	int pid, count = 0;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	list = fopen(path, "re");
	if (!list)
		return -errno;
	while (fscanf(list, "%d", &pid) == 1) {
		if (pid == keep || !holders_is_called(pid, RF_HOLDER_NAME) ||
			(spare && spare(arg, pid)))
			continue;
		kill(pid, SIGKILL);
		count++;
	}
	fclose(list);
	return count;
}
