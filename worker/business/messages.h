/* SPDX-License-Identifier: MIT */
/* messages.h -- what each message of the request ring has the desk do. */
#ifndef MESSAGES_H
#define MESSAGES_H

#include "common/super.h"
#include "desk.h"

/* One message of the ring, or one parked request, while it is worked on. */
struct job {
	struct desk *desk;
	struct rf_msg msg;	  /* a copy, checked */
	struct rf_parked *parked; /* NULL: it stands in the ring */
	uint64_t position;	  /* as in rf_super.attempt */
	uint64_t next;		  /* request_pos once it is done */
	const uint8_t *payload;
	size_t bytes;
	unsigned attempt, attempts_max;
};

/* By type; run == NULL: no message of that type comes this way. Each runs
 * inside the transaction of its message. 0 or -EBADMSG. */
extern const struct message {
	int (*run)(struct job *job);
	enum rf_phase phase;
} messages[RF_MSG_TYPE_COUNT];

/* The request's own transaction has failed: it is over, and answered with this
 * error; `tell` the worker. Needs a transaction. */
void messages_refuse(struct job *job, const char *text, bool tell);

/* End the connections that the open transaction has asked to end. */
void messages_end_closing(struct desk *desk);

/* The worker's `closed` failed (a full arena), but the connection has ended all
 * the same. Needs a transaction. */
void messages_forget_conn(struct rf_conn *conn, int error);

/* No connection is open any more. A transaction each: there may be thousands.
 * attempt  how often this has been tried */
void messages_end_all_conns(struct desk *desk, unsigned attempt);

#endif
