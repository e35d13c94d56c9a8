/* SPDX-License-Identifier: MIT */
/* holder.h -- a process that keeps this one's address space from ending. */
#ifndef HOLDER_H
#define HOLDER_H

/* Start the holder; its pid, or -errno. It is the caller's sibling: a child of
 * the supervisor, which ends it when nobody waits for anything. */
int holder_start(void);

#endif
