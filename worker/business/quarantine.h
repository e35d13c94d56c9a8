/* SPDX-License-Identifier: MIT */
/* quarantine.h -- keeps requests that killed, and runs them again when told. */
#ifndef BUSINESS_QUARANTINE_H
#define BUSINESS_QUARANTINE_H

#include "common/child.h"
#include "common/crash.h"
#include "desk.h"

/* Put a request aside that will be answered with -CRASHED. Outside of any
 * transaction; twice for the same request leaves one file.
 *
 * context   user[0] of its connection
 * payload   of its RF_MSG_REQUEST
 * Returns   0; or -errno after a warning: nothing was kept, and the request is
 *           to be skipped all the same
 * Cost      waits for the disk */
int quarantine_keep(const struct rf_child *self,
	const struct rf_crash_request *what, uint64_t context,
	const void *payload, size_t bytes);

/* Carry out an order to run a quarantined request again, if there is one.
 * Between two rounds, outside of any transaction. The first call of a process
 * also clears up what the last one left undone.
 *
 * Cost  one comparison when there is no order */
void quarantine_run(const struct rf_child *self, struct desk *desk);

#endif
