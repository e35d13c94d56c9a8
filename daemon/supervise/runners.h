/* SPDX-License-Identifier: MIT */
/* runners.h -- the processes that run business code at a moment. */
#ifndef RUNNERS_H
#define RUNNERS_H

#include "common/status.h"

#include <stdbool.h>

struct runners {
	int32_t business, standby; /* pids; 0: none */
};

static inline struct runners runners_now(const struct rf_status_supervisor *st)
{
	return (struct runners){
		.business = rf_status_get(st->business_pid),
		.standby = rf_status_get(st->standby_pid),
	};
}

static inline bool runners_has(const struct runners *of, int32_t pid)
{
	return pid && (pid == of->business || pid == of->standby);
}

static inline bool runners_share(
	const struct runners *a, const struct runners *b)
{
	return runners_has(a, b->business) || runners_has(a, b->standby);
}

#endif
