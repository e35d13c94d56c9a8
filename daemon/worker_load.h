/* SPDX-License-Identifier: MIT */
/* worker_load.h -- find, load and judge a worker. */
#ifndef WORKER_LOAD_H
#define WORKER_LOAD_H

#include "fault.h"
#include "pin.h"

#include <limits.h>
#include <refork/worker.h>

#define WORKER_BUILD_ID_BYTES 41 /* hexadecimal, of up to 20 bytes */

struct worker_lib {
	void *handle;
	struct rf_worker worker; /* what this daemon knows of it */
	char path[PATH_MAX];	 /* of its file */
	/* The copy that is loaded; its fd stays open. fd 0: there is none, the
	 * file itself is loaded. */
	struct pin pin;
	char build_id[WORKER_BUILD_ID_BYTES]; /* "" when it has none */
	/* This code was not loaded when the arena was built, so its `build`
	 * has not run in this process: each child that runs it migrates and
	 * builds for itself. */
	bool build_here;
};

/* Load the worker called `name`: a path, or a bare name looked for in
 * $REFORK_WORKER_DIR, else beside the program in workers/, else where `make
 * install` has put the workers (WORKERS_FROM_BINDIR, as seen from the program).
 * Returns 0, or an exit code and *lib is empty. */
int worker_load(struct worker_lib *lib, const char *name, struct fault *fault);
/* Runs the destructors of its code. Nothing when *lib is empty. */
void worker_unload(struct worker_lib *lib);

/* The two halves of worker_load(). The first runs none of its code. After a
 * failure *lib is empty. */
int worker_pin(struct worker_lib *lib, const char *name, struct fault *fault);
int worker_link(struct worker_lib *lib, struct fault *fault);

/* Judge what a shared object calls its worker; copy the part that this daemon
 * knows. The rest of *to is zero. Returns 0 or EX_CONFIG. */
int worker_accept(struct rf_worker *to, const struct rf_worker *from,
	const char *path, struct fault *fault);

#endif
