/* SPDX-License-Identifier: MIT */
/* service.h -- what stands before the first fork: worker, memory, sockets. */
#ifndef SERVICE_H
#define SERVICE_H

#include "common/arena.h"
#include "common/child.h"
#include "fault.h"
#include "listen.h"
#include "listen_kept.h"
#include "memory_kept.h"
#include "options.h"
#include "place.h"
#include "worker_load.h"

struct service {
	const struct options *options;
	struct conf *conf; /* shared with the children: see conf_create() */
	struct worker_lib lib;
	struct rf_env env;
	struct rf_arena_conf arena_conf;
	struct rf_segment arena;
	bool arena_adopted; /* it stood before */
	bool arena_entered; /* it fits, and may have been changed */
	struct rf_channel channel;
	struct kept kept_arena, kept_status;
	struct rf_segment status_segment;
	struct rf_status_shm *status;
	struct listener control;
	struct listener listeners[RF_LISTEN_MAX];
	int listener_count;
	struct listen_kept kept_listeners;
	bool stored; /* service_store() */
	int bell;    /* eventfd: "look at the status segment" */
};

/* Build everything. Afterwards this process has no access to the arena.
 *
 * service  options and conf set, the rest zero; stays where it is
 * Returns  0; or an exit code, and nothing of it is left behind */
int service_build(struct service *service, struct fault *fault);

/* Give the service manager what it is to keep over our end, when it keeps
 * anything. Once all of the start that can fail has been done, and before
 * anybody is served: what is acknowledged is kept. What was kept, and nobody
 * has taken, is closed. */
void service_store(struct service *service);

/* Its state outlives a planned end. */
bool service_keeps(const struct service *service);

/* Undo it, when no child is left. `keep` leaves a posix arena for the next
 * start, and all that the service manager keeps with it, as does an unclean
 * end. */
void service_release(struct service *service, bool keep);

#define CONTROL_PATH_BYTES (2 * CONF_TEXT_MAX + 8)
void service_control_path(
	const struct conf *conf, char path[CONTROL_PATH_BYTES]);

#endif
