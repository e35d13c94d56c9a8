/* SPDX-License-Identifier: MIT */
/* occupant.c -- who lives in a segment.
 *
 * Every process that has a segment mapped keeps its lock (segment.h). The
 * kernel names the one that took it: the supervisor, or one that is dead and
 * whose children still end.
 */
#include "occupant.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* The process that locked this file; 0: it cannot be named. */
static bool lock_owner(const struct stat *st, int *owner)
{
	FILE *locks = fopen("/proc/locks", "re");
	bool held = false;
	char line[256];
	unsigned int maj, min;
	uint64_t ino;
	int pid;

	while (locks && !held && fgets(line, sizeof(line), locks)) {
		if (sscanf(line, "%*s FLOCK %*s %*s %d %x:%x:%" SCNu64, &pid,
			    &maj, &min, &ino) != 4)
			continue;
		held = ino == st->st_ino && maj == major(st->st_dev) &&
		       min == minor(st->st_dev);
		if (held && pid > 0)
			*owner = pid;
	}
	if (locks)
		fclose(locks);
	return held;
}

void occupant_title(int pid, char *title, size_t bytes)
{
	char path[64];
	FILE *file;
	size_t n;

	*title = 0;
	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	file = fopen(path, "re");
	if (!file)
		return;
	n = fread(title, 1, bytes - 1, file);
	title[n] = 0;
	fclose(file);
}

struct occupant occupant_of(const char *lock_path)
{
	struct occupant o = {0};
	struct stat st;

	if (!stat(lock_path, &st))
		o.held = lock_owner(&st, &o.pid);
	if (o.pid)
		occupant_title(o.pid, o.title, sizeof(o.title));
	return o;
}
