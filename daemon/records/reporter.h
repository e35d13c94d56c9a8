/* SPDX-License-Identifier: MIT */
/* reporter.h -- processes that complete crash records. See reporter.c. */
#ifndef REPORTER_H
#define REPORTER_H

#include "daemon/service.h"

struct ev_loop;
struct reporter;

/* NULL with errno. */
struct reporter *reporter_open(struct service *service, struct ev_loop *loop);
/* Wait a little for those at work, then end them. */
void reporter_close(struct reporter *reporter);

/* Give a record its backtrace, and to on_crash_exec, as configured.
 *
 * record  stays where it is; its text is complete once text_complete is set
 * scene   NULL: there is none. Copied */
void reporter_add(struct reporter *reporter, struct rf_crash *record,
	const struct rf_crash_scene *scene);

#endif
