/* SPDX-License-Identifier: MIT */
/* memory.h -- the segments of a service. */
#ifndef MEMORY_H
#define MEMORY_H

#include "service.h"

/* The channel and the status segment. */
int memory_open_shared(struct service *service, struct fault *fault);
void memory_close_shared(struct service *service, bool keep);

/* The arena: made, or taken over as it stands, with every manager of the worker
 * in it. Afterwards this process cannot touch it. */
int memory_open_arena(struct service *service, struct fault *fault);
void memory_close_arena(struct service *service, bool keep);

/* Is there room for arena.size? 0 or an exit code. */
int memory_probe_room(const struct service *service, struct fault *fault);

/* Fill in what the configuration says of the arena's segment. */
void memory_plan_arena(struct service *service);

#endif
