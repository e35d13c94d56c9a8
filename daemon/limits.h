/* SPDX-License-Identifier: MIT */
/* limits.h -- what the system must allow this process. */
#ifndef LIMITS_H
#define LIMITS_H

#include "conf/conf.h"

/* Descriptors that a network child with all its clients needs. */
uint64_t limits_files_needed(const struct conf *conf);

/* Raise RLIMIT_NOFILE to that, as far as allowed. Logs when it is not. */
void limits_raise_files(const struct conf *conf);

/* What the arena may need, to what is allowed: whether that is enough,
 * machine.c says. */
void limits_raise_memory(void);

#endif
