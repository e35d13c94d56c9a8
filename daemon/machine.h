/* SPDX-License-Identifier: MIT */
/* machine.h -- what a machine must offer a service, and whether it does. */
#ifndef MACHINE_H
#define MACHINE_H

#include "service.h"

enum machine_verdict {
	MACHINE_FINE,
	MACHINE_ADVICE,	 /* it works; something is slower or not seen */
	MACHINE_WARNING, /* it works, and may not be what was meant */
	MACHINE_PROBLEM, /* the service cannot start, or not as configured */
	MACHINE_VERDICT_COUNT
};

struct machine_finding {
	const char *name; /* "kernel", "core_pattern" */
	enum machine_verdict verdict;
	char found[256]; /* "6.1.0" */
	char fix[384];	 /* "" when it is fine */
};

struct machine_asked {
	const struct service *service; /* conf set */
	pid_t network_pid;	       /* 0: none runs */
	bool running;		       /* the service has its memory already */
};

/* Probe `index`, 0 and up. Changes nothing on the machine. False: there are no
 * more. */
bool machine_probe(int index, const struct machine_asked *asked,
	struct machine_finding *finding);

/* Whether there is all that the planned arena needs (memory_plan_arena()),
 * before anything is made. 0 or an exit code. */
int machine_has_room(const struct service *service, struct fault *fault);

extern const char *const machine_verdict_names[MACHINE_VERDICT_COUNT];

#endif
