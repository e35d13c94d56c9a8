/* SPDX-License-Identifier: MIT */
/* memory_fault.h -- why a segment cannot be had, and what to do about it. Each
 * returns the exit code. */
#ifndef MEMORY_FAULT_H
#define MEMORY_FAULT_H

#include "common/segment.h"
#include "fault.h"
#include "occupant.h"

/* `what`: "arena". */
int memory_in_use(const char *what, const struct rf_segment *seg,
	const struct occupant *by, struct fault *fault);

/* Something stands where the arena must be mapped. */
int memory_no_address(struct fault *fault);

/* It stands, and is not what is wanted. */
int memory_refused(const struct rf_segment *arena, const char *reason,
	struct fault *fault);

/* `verb`: "create"; `error`: -errno. */
int memory_not_had(const struct rf_segment *arena, const char *verb, int error,
	struct fault *fault);

#endif
