/* SPDX-License-Identifier: MIT */
/* arena_daemon.h -- what of the daemon sees to its segments, for tests that
 * look inside.
 */
#ifndef ARENA_DAEMON_H
#define ARENA_DAEMON_H

#include "daemon/admission.c"
#include "daemon/aside.c"
#include "daemon/directory.c"
#include "daemon/fault.c"
#include "daemon/limits.c"
#include "daemon/machine.c"
#include "daemon/machine_memory.c"
#include "daemon/memory.c"
#include "daemon/memory_fault.c"
#include "daemon/occupant.c"
#include "daemon/place.c"

#endif
