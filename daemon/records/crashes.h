/* SPDX-License-Identifier: MIT */
/* crashes.h -- crash records: composed, kept, told. See crashes.c. */
#ifndef CRASHES_H
#define CRASHES_H

#include "daemon/control/format.h"
#include "daemon/service.h"
#include "daemon/supervise/family.h"

struct crashes;

/* Adopt the records that a status segment holds, or that an earlier daemon
 * left in state_dir. */
struct crashes *crashes_open(struct service *service, struct ev_loop *loop);
/* Keep them in state_dir, as each one is when it is complete, after waiting a
 * few seconds for the reporting processes. */
void crashes_close(struct crashes *c);

/* Compose a record; a process of its own adds the backtrace and runs
 * on_crash_exec. The scene is free again when this returns. */
void crashes_add(struct crashes *c, const struct death *death,
	const struct rf_takeover *takeover);

/* Newest first. */
void crashes_list(const struct crashes *c, enum report_format f, FILE *out);
/* -ENOENT: no such record. */
int crashes_show(
	const struct crashes *c, uint64_t id, enum report_format f, FILE *out);

#endif
