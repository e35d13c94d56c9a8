/* SPDX-License-Identifier: MIT */
/* upgrade.h -- new worker code under a running service. See upgrade.c. */
#ifndef UPGRADE_H
#define UPGRADE_H

#include "family.h"

struct upgrade;

struct upgrade *upgrade_open(
	struct service *service, struct family *family, struct ev_loop *loop);
void upgrade_close(struct upgrade *u);

/* Load PATH beside the present code, check it, and hand the lease over to a
 * business child that runs it. `done` is called once, later.
 * Returns 0; -EBUSY, -EINVAL ... with the reason in `why`: not called then. */
int upgrade_start(struct upgrade *u, const char *path, struct fault *why,
	struct family_done done);

/* Back to the code before. -ENOENT: there is none. */
int upgrade_roll_back(
	struct upgrade *u, struct fault *why, struct family_done done);

/* A business child has crashed: within the canary time the old code comes
 * back by itself. */
void upgrade_on_crash(struct upgrade *u, const struct death *death);

/* For the status: 0, or the ms until the canary time is over. */
uint64_t upgrade_canary_ms(const struct upgrade *u);

#endif
