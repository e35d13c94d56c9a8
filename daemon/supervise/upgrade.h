/* SPDX-License-Identifier: MIT */
/* upgrade.h -- new worker code under a running service. See upgrade.c. */
#ifndef UPGRADE_H
#define UPGRADE_H

#include "family.h"

struct upgrade;

/* NULL with errno. */
struct upgrade *upgrade_open(
	struct service *service, struct family *family, struct ev_loop *loop);
/* Before family_close(). Whoever waits for an outcome gets none. */
void upgrade_close(struct upgrade *u);

/* Load the worker `path` (what refork.worker takes) beside the present code,
 * check it, and hand the lease over to a business child that runs it.
 *
 * done     called once, later. An outcome with an error: the code before
 *          serves on, outcome->why says what stood against the new one
 * Returns  0; -EBUSY an upgrade is under way, -EINVAL it cannot be loaded,
 *          -errno, with the reason in `why`: `done` is not called then */
int upgrade_start(struct upgrade *u, const char *path, struct fault *why,
	struct family_done done);

/* Back to the code before; the present one is given up.
 * Returns as upgrade_start(); -ENOENT there is none, without more words. */
int upgrade_roll_back(
	struct upgrade *u, struct fault *why, struct family_done done);

/* A child has crashed: within the canary time a crash of the business child
 * brings the old code back. */
void upgrade_on_crash(struct upgrade *u, const struct death *death);

/* For the status: 0, or the ms until the canary time is over. */
uint64_t upgrade_canary_ms(const struct upgrade *u);

/* There is code before, and it can take the state as it is. */
bool upgrade_goes_back(const struct upgrade *u);

#endif
