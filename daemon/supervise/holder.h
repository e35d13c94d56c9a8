/* SPDX-License-Identifier: MIT */
/* holder.h -- the helpers that hold a dead child's memory map. See holder.c. */
#ifndef HOLDER_H
#define HOLDER_H

#include <stdbool.h>
#include <sys/types.h>

#define HOLDER_MAX 8

struct holders {
	pid_t waiting[HOLDER_MAX]; /* oldest first */
	int count;
	int ending; /* killed, not collected yet */
};

/* Remember the holder of a child that has died, if `pid` is one: a child of
 * ours, not one of `others`. When too many wait the oldest is ended. */
void holders_add(struct holders *h, pid_t pid, const pid_t others[2]);

/* End them all; holders_reap() collects them when they are gone. */
void holders_end(struct holders *h);

/* Collect every child that has ended, but for `others`. */
void holders_reap(struct holders *h, const pid_t others[2]);

/* At the very end: end them, and wait until they are gone. */
void holders_fini(struct holders *h);

static inline bool holders_any(const struct holders *h)
{
	return h->count > 0 || h->ending > 0;
}

#endif
