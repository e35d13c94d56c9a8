/* SPDX-License-Identifier: MIT */
/* occupant.h -- who lives in a segment. */
#ifndef OCCUPANT_H
#define OCCUPANT_H

#include <stdbool.h>
#include <sys/types.h>

struct occupant {
	bool held;	 /* its lock is taken */
	int pid;	 /* 0: not found */
	char title[128]; /* empty: it is ending, or cannot be seen */
};

/* Of the segment whose lock is on this file; what the kernel says now. */
struct occupant occupant_of(const char *lock_path);

/* The first string of a command line: a title. Empty when it is gone, or a
 * zombie. */
void occupant_title(int pid, char *title, size_t bytes);

#endif
