/* SPDX-License-Identifier: MIT */
/* reload.h -- a configuration read again. */
#ifndef RELOAD_H
#define RELOAD_H

#include "daemon/service.h"

#include <stdio.h>

/* Read the configuration once more. What can change while running changes;
 * what cannot is named, with what it takes. The children are rung: they see
 * numbers change at once, and status->supervisor.conf_serial grow.
 *
 * report   NULL, or gets a line for each key that differs, and for each
 *          problem; the log gets the same
 * Returns  0; -EINVAL the configuration has problems: nothing has changed;
 *          -ENOMEM */
int reload(struct service *service, FILE *report);

/* The worker that the configuration names at present.
 * 0; -EINVAL the configuration has problems, -ENOMEM */
int reload_peek_worker(const struct service *service, char *name, size_t bytes);

#endif
