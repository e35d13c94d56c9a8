/* SPDX-License-Identifier: MIT */
/* standby.h -- a business child that waits for its turn. */
#ifndef STANDBY_H
#define STANDBY_H

#include "common/child.h"

/* Wait for the lease, and bring in what will be needed meanwhile. The arena is
 * mapped and readable. Returns enum rf_lease, or -errno when the lease is
 * broken: then nobody can wait for it. */
int standby_wait(const struct rf_child *self);

/* It serves now: what was special about a standby ends. */
void standby_settle(void);

#endif
