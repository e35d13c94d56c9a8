/* SPDX-License-Identifier: MIT */
/* holder.h -- a process that keeps this one's address space from ending. */
#ifndef HOLDER_H
#define HOLDER_H

#include <stdint.h>

/* Start the holder. It is the caller's sibling: a child of the supervisor,
 * which ends it when nobody waits for anything, and with which it ends.
 *
 * supervisor  its pid
 * pid      where its pid is told. The kernel writes it before either of the two
 *          runs on, so there is no moment in which a death loses it.
 * Returns  0 or -errno */
int holder_start(int32_t supervisor, int32_t *pid);

#endif
