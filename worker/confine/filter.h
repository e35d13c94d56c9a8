/* SPDX-License-Identifier: MIT */
/* filter.h -- a table of system calls as a program for the kernel. */
#ifndef FILTER_H
#define FILTER_H

#include "calls.h"

#include <linux/filter.h>

#define FILTER_LENGTH_MAX 2048

struct filter {
	struct sock_filter code[FILTER_LENGTH_MAX];
	size_t length;
};

/* Returns 0; -E2BIG it does not fit; -EINVAL two rows of a number do not stand
 * together; -ENOSYS for this kind of machine there is none. */
int filter_build(struct filter *filter, const struct calls *calls);

/* Put it in force for this thread and all that it makes. Needs no_new_privs.
 * Returns 0; -EINVAL this kernel has no such filters; -errno. */
int filter_enter(const struct filter *filter);

#endif
