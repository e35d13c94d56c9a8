/* SPDX-License-Identifier: MIT */
/* parked.h -- requests that wait in the arena. See parked.c. */
#ifndef PARKED_H
#define PARKED_H

#include "common/super.h"
#include "messages.h"

/* How many blocks of ended connections are freed at a time. */
#define PARKED_SWEEP 256

static inline struct rf_parked *parked_first(const struct rf_conn *conn)
{
	return (struct rf_parked *)conn->own[RF_OWN_FIRST];
}

/* Where the message stands that is worked on next: as in rf_super.attempt. */
static inline uint64_t parked_next_pos(void)
{
	const struct rf_conn *ready = RF_SUPER->desk.ready_first;

	return ready == NULL ? RF_SUPER->desk.request_pos
			     : RF_PARKED_POS | parked_first(ready)->serial;
}

/* The one at that position, if it is being run or will be next, and a copy of
 * its first words; or NULL. Believes nothing but the superblock: for signal
 * handlers. */
const struct rf_parked *parked_in_work(
	uint64_t position, struct rf_parked *head, uint64_t *conn_id);

/* The next that may run becomes the job. Needs desk.ready_first. */
void parked_take(struct desk *desk, struct job *job);

/* The rest needs a transaction. */

/* Behind all that waits for the connection. 0 or -ENOMEM. */
int parked_add(
	struct rf_conn *conn, const void *payload, size_t bytes, bool again);
/* The first one may be run, after those of all that are ready already. No
 * effect when there is none, or it is ready. */
void parked_resume(struct rf_conn *conn);
/* It may not. */
void parked_suspend(struct rf_conn *conn);
/* The first one has been run and answered, or given up. */
void parked_done(struct rf_conn *conn);
/* It has been run and has parked again. */
void parked_keep(struct rf_conn *conn);
/* All that waits for the connection is nobody's now. O(1). */
void parked_drop(struct rf_conn *conn);

/* Free some of what is nobody's, in a transaction of its own. False: there was
 * none. */
bool parked_sweep(void);

/* Walk it all. 0, or -EBADMSG after logging. */
int parked_check(void);

#endif
