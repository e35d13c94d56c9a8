/* SPDX-License-Identifier: MIT */
/* holder.h -- the helpers that hold a dead child's memory map. See holder.c. */
#ifndef HOLDER_H
#define HOLDER_H

#include <stdbool.h>
#include <sys/types.h>

/* Kill every helper that is a child of this process, but for `keep` and whom
 * `spare` (may be NULL) knows. Returns how many there are besides; -errno when
 * /proc cannot tell. */
int holders_end(pid_t keep, bool (*spare)(void *arg, pid_t pid), void *arg);

/* The name of a process as the kernel keeps it (comm). */
bool holders_is_called(pid_t pid, const char *name);

#endif
