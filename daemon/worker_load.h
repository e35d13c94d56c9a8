/* SPDX-License-Identifier: MIT */
/* worker_load.h -- find, load and judge a worker. */
#ifndef WORKER_LOAD_H
#define WORKER_LOAD_H

#include "fault.h"

#include <limits.h>
#include <refork/worker.h>

struct worker_lib {
	void *handle;
	struct rf_worker worker; /* what this daemon knows of it */
	char path[PATH_MAX];
};

/* Load the worker called `name`: a path, or a bare name looked for in
 * $REFORK_WORKER_DIR, else beside reforkd in workers/, else in WORKERDIR.
 * Returns 0 or an exit code. */
int worker_load(struct worker_lib *lib, const char *name, struct fault *fault);
void worker_unload(struct worker_lib *lib);

/* Judge what a shared object calls its worker; copy the part that this daemon
 * knows. The rest of *to is zero. Returns 0 or EX_CONFIG. */
int worker_accept(struct rf_worker *to, const struct rf_worker *from,
	const char *path, struct fault *fault);

#endif
