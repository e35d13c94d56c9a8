/* SPDX-License-Identifier: MIT */
/* hook.h -- the operator's program that gets each crash record. */
#ifndef HOOK_H
#define HOOK_H

#include "common/crash.h"

#define HOOK_DEADLINE_S 30

/* Run `path` with the record as JSON at its standard input, and wait for it.
 * Whatever goes wrong is one warning. In a reporting process only. */
void hook_run(
	const char *path, const char *service, const struct rf_crash *record);

#endif
