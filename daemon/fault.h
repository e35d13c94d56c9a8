/* SPDX-License-Identifier: MIT */
/* fault.h -- why something could not be done: a sentence and an exit code. */
#ifndef FAULT_H
#define FAULT_H

#include <stdbool.h>
#include <sysexits.h> /* the exit codes; their meanings: options.c */

struct fault {
	int exit_code;	    /* EX_OSERR, EX_NOPERM, EX_CONFIG */
	char text[960];	    /* some name paths */
	bool arena_refused; /* there is state that this daemon does not take */
};

/* Say it. Returns `exit_code`, so that it can be returned at once. */
int fault_set(struct fault *fault, int exit_code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* EX_NOPERM when `error` (positive or negative errno) is one of permission,
 * else EX_OSERR. */
int fault_code(int error);

#endif
