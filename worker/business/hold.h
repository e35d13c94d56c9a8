/* SPDX-License-Identifier: MIT */
/* hold.h -- stand still while somebody reads the arena. See hold.c. */
#ifndef BUSINESS_HOLD_H
#define BUSINESS_HOLD_H

#include "desk.h"

/* Looked at before each message. */
static inline bool hold_is_ordered(const struct desk *desk)
{
	const struct rf_status_shm *st = desk->status;

	return rf_unlikely(rf_status_get(st->supervisor.hold_serial) !=
			   rf_status_get(st->business.held_serial));
}

/* Carry the order out. Between two rounds, outside of any transaction, replies
 * shown. Returns when it is over: told so, at its deadline, or asked to end. */
void hold_keep(struct desk *desk);

#endif
