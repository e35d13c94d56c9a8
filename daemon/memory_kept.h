/* SPDX-License-Identifier: MIT */
/* memory_kept.h -- segments that the service manager keeps: memfd only. */
#ifndef MEMORY_KEPT_H
#define MEMORY_KEPT_H

#include "common/segment.h"
#include "fault.h"

#define KEPT_MAX 8
/* Stored while it serves: arena and status. */
#define KEPT_SEGMENTS 2

struct service;

/* What is under one name in the store. Zero: nothing. */
struct kept {
	const char *name;
	int fds[KEPT_MAX]; /* handed to this start, and not yet looked at */
	int count;
	bool stored;  /* what this service has is there */
	bool untidy;  /* something else is, too */
	bool refused; /* it does not fit, and stands in a file by now */
};

/* Take what was handed to this start. Before anything asks for room. */
void kept_receive(struct service *service);

/* Open the arena that was kept in service->arena, as rf_segment_open() would
 * one with a name: locked, not mapped, not judged. None: its fd stays -1.
 * Of several the one that served last is taken, others that hold state are
 * written to files.
 *
 * Returns  0 or an exit code: it is in use, or what there is cannot be taken
 *          (kept_refuse()) */
int kept_find_arena(struct service *service, int wait_ms, struct fault *fault);

/* The same of the status segment: taken over whole. -ENOENT: none of use;
 * -EWOULDBLOCK; -errno. */
int kept_find_status(struct service *service, int wait_ms);

/* The arena open in `memory` does not fit. The service manager may drop it when
 * this start fails, so it is written to a file first.
 *
 * Returns  EX_CONFIG; EX_TEMPFAIL when it could not be written: the next start
 *          is to try again */
int kept_refuse(struct service *service, const struct rf_segment *memory,
	const char *reason, struct fault *fault);

/* Have arena and status kept from now on, and nothing else under their names.
 * What is kept already is left alone; without a store nothing happens. */
void kept_store(struct service *service);

/* It is given up. */
void kept_forget(struct kept *kept);

#endif
