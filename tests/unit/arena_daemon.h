/* SPDX-License-Identifier: MIT */
/* arena_daemon.h -- what of the daemon sees to its segments, for tests that
 * look inside.
 */
#ifndef ARENA_DAEMON_H
#define ARENA_DAEMON_H

#include "daemon/admission.c"
#include "daemon/aside.c"
#include "daemon/aside_file.c"
#include "daemon/directory.c"
#include "daemon/fault.c"
#include "daemon/limits.c"
#include "daemon/listen.c"
#include "daemon/listen_given.c"
#include "daemon/machine.c"
#include "daemon/machine_confine.c"
#include "daemon/machine_memory.c"
#include "daemon/memory.c"
#include "daemon/memory_fault.c"
#include "daemon/memory_kept.c"
#include "daemon/occupant.c"
#include "daemon/place.c"

#include "daemon/manager/fdstore.c" /* what they share of libsystemd */
#include "daemon/manager/post.c"
#include "daemon/manager/watchdog.c"

/* No connections are handed on here. */
int preserve_open(struct service *s)
{
	(void)s;
	return 0;
}

void preserve_review(struct service *s)
{
	(void)s;
}

#endif
