/* SPDX-License-Identifier: MIT */
/* dump.c -- what a business child's core dump holds.
 *
 * The kernel asks twice, and both must say yes. Each mapping says which of its
 * ranges may be dumped: those of the arena that have memory behind them, if any
 * (segment.h); a hole would be filled by dumping it. And the process has a
 * filter of kinds of memory: an arena counts as one of three, by its backend.
 */
#include "dump.h"
#include <errno.h>
#include <fcntl.h>
#include <refork/log.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FILTER "/proc/self/coredump_filter"

/* core(5): shared memory without a name (memfd, sysv); with one (posix, file);
 * out of the pool of huge pages. */
#define FILTER_ARENA (1u << 1 | 1u << 3 | 1u << 6)

static int widen_filter(void)
{
	int fd = open(FILTER, O_RDWR | O_CLOEXEC);
	char text[32] = "";
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof text - 1);
	if (n > 0)
		snprintf(text, sizeof text, "0x%lx",
			strtoul(text, NULL, 16) | FILTER_ARENA);
	if (n > 0)
		n = pwrite(fd, text, strlen(text), 0);
	n = n < 0 ? -errno : 0;
	close(fd);
	return (int)n;
}

/* What the supervisor had told its own mapping, this process has inherited. */
static int leave_out(const struct rf_segment *arena)
{
	return madvise(arena->base, arena->max_bytes, MADV_DONTDUMP) == 0
		       ? 0
		       : -errno;
}

void dump_prepare(const struct rf_child *self)
{
	bool include = self->arena->core_include;
	int error = include ? widen_filter() : leave_out(self->arena);

	if (error != 0)
		rf_log(RF_LOG_WARNING,
			"arena.core = %s: %s: %s; a core dump of this process "
			"may %s the arena",
			include ? "include" : "exclude",
			include ? FILTER : "madvise", strerror(-error),
			include ? "lack" : "hold");
}
