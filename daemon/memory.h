/* SPDX-License-Identifier: MIT */
/* memory.h -- the segments of a service. */
#ifndef MEMORY_H
#define MEMORY_H

#include "service.h"

#define HUGE_PAGE_BYTES ((size_t)2 << 20)

/* The channel and the status segment. */
int memory_open_shared(struct service *service, struct fault *fault);
void memory_close_shared(struct service *service, bool keep);

/* The arena: made, or taken over as it stands, with every manager of the worker
 * in it. Afterwards this process cannot touch it. */
int memory_open_arena(struct service *service, struct fault *fault);
void memory_close_arena(struct service *service, bool keep);

/* Go on with empty state: put the arena aside (aside.c), make a new one, run
 * the worker's `build` in this process. The generations go on counting. The
 * channel is as it was: the caller resets it.
 *
 * Needs    no child that has the arena
 * Returns  0; or an exit code, and there is no arena: nothing can be forked,
 *          but this may be called again */
int memory_cold(struct service *service, struct fault *fault);
/* Of the arena as it stands, whoever has the lease. */
uint32_t memory_state_version(const struct service *service);

/* Fill in what the configuration says of the arena's segment. */
void memory_plan_arena(struct service *service);

/* Of backends sysv and file: arena.path, or where it is when that is not set.
 * Empty when it is too long to be one. */
void memory_plan_path(const struct conf *conf, struct rf_segment *arena);

/* The planned arena stands already, whatever is in it. */
bool memory_stands(const struct service *service);

#endif
