/* SPDX-License-Identifier: MIT */
/* check.h -- reforkd --check. */
#ifndef CHECK_H
#define CHECK_H

#include "options.h"

/* Write every problem of the configuration and of this machine to `out`, each
 * with its fix. Returns EX_OK or EX_CONFIG. */
int check(const struct options *options, FILE *out);

#endif
