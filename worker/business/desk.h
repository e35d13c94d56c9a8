/* SPDX-License-Identifier: MIT */
/* desk.h -- where requests are taken in, worked on and answered. */
#ifndef DESK_H
#define DESK_H

#include "common/child.h"
#include <refork/tx.h>

/* Times that the worker's `closed` may run for one message. More: skipping it
 * loses memory, and the deaths may have been none of its doing. */
#define DESK_CLOSED_ATTEMPTS 4

/* The same of `skipped`; some of them go to putting the request aside. */
#define DESK_SKIPPED_ATTEMPTS 4

/* What the open transaction asks for; see ask.c. */
enum desk_ask {
	ASK_PARK = 1,	  /* the request that is run is to wait */
	ASK_RESUME = 2,	  /* and no longer than this transaction */
	ASK_PATIENCE = 4, /* its connection's may be another now */
	ASK_WAS_PATIENT = 8,
	ASK_CLOSE = 16, /* other connections are to end */
	ASK_LEAVE = 32
};

/* A reply under construction; see reply.c. */
struct rf_reply {
	char *at; /* in the ring's slot, or in the large area */
	size_t bytes;
	size_t room;
	bool large;
	bool nothing; /* an empty reply is meant */
	bool unasked; /* its request was ended when it was parked */
	uint16_t flags;
	uint64_t conn_id;
};

/* Process-local; what must survive stands in struct rf_desk (super.h). */
struct desk {
	const struct rf_child *self;
	int32_t pid; /* ours, by which we may be told to leave */
	struct rf_channel *channel;
	const struct rf_worker *worker;
	struct rf_status_shm *status;
	struct rf_reply reply;
	size_t reply_max_bytes;
	bool large_is_backed; /* or may be, by an earlier process */
	int64_t large_used_at_ms;

	struct rf_bytes *args; /* of the request being run */
	uint32_t args_room;

	struct rf_conn *running; /* whose request is being run */
	unsigned asked;		 /* enum desk_ask */
	/* ASK_CLOSE: to be ended, linked by RF_OWN_NEXT. */
	struct rf_conn *closing;

	char *pushes; /* of the open transaction: struct rf_msg, bytes, ... */
	size_t pushes_bytes, pushes_room;

	int64_t now_ms; /* Unix time at the last look */
	int64_t tick_at_ms;
	bool stopping;
	bool has_waited; /* since the last request */
	bool leaving;	 /* the worker has asked for a successor */
	bool owes_bell;	 /* to the network child, with the next replies */

	/* Block until the bell rings or `wait_ms` pass (-1: no limit). Sets
	 * `stopping` when asked to end. */
	void (*wait)(struct desk *desk, int wait_ms);
	void *wait_arg;
};

/* All that self says stands in the desk then, and nothing else. */
void desk_init(struct desk *desk, const struct rf_child *self);

/* Another process is to go on from here, at once. */
static inline bool desk_is_to_leave(const struct desk *desk)
{
	int32_t who = rf_status_get(desk->status->supervisor.leave_pid);

	return (rf_unlikely(who != 0) && who == desk->pid) ||
	       rf_unlikely(desk->leaving);
}

static inline bool desk_must_end(const struct desk *desk)
{
	return desk->stopping || desk_is_to_leave(desk);
}

/* What the watchdog looks at: see struct rf_status_business. */
static inline void desk_work_begins(struct desk *desk, enum rf_phase phase)
{
	rf_status_set(desk->status->business.phase, (uint32_t)phase);
	rf_status_add(desk->status->business.work, 1);
}

static inline void desk_work_ends(struct desk *desk)
{
	rf_status_add(desk->status->business.work, 1);
	rf_status_set(desk->status->business.phase, (uint32_t)RF_PHASE_IDLE);
}

/* Bind to the channel after the lease was taken: show what the last holder had
 * committed but not published. Calls no hook of the worker. */
void desk_bind(struct desk *desk);

/* Bind, and when the channel is a new one, forget the connections of the
 * earlier one. `clients_max` connections then get their room in the arena, if
 * there is any. 0 or -errno. */
int desk_open(struct desk *desk, size_t clients_max);

/* Run what waits, up to a bounded batch, or until told to leave. Returns the
 * number of messages, or -EBADMSG when the ring holds bytes that are no
 * message, or -EINTR when asked to end while waiting for room: the message is
 * then as if it had not been begun. */
int desk_round(struct desk *desk);

/* End the open transaction as rf_tx_commit() does. */
static inline int desk_commit(struct desk *desk)
{
	int error = rf_tx_commit();

	if (rf_unlikely(desk->asked & ASK_LEAVE) && error == 0)
		desk->leaving = true;
	return error;
}

/* Run the worker's tick when it is due. */
void desk_tick(struct desk *desk);

/* Sleep until there is something to do, at most so long; a heartbeat comes
 * every DESK_SLEEP_MS. */
#define DESK_SLEEP_MS 100
void desk_sleep(struct desk *desk, int at_most_ms);

/* ---- ask.c ---- */

void ask_init(struct desk *desk);

/* ---- ahead.c ---- */

/* Hint the worker at the next RF_AHEAD_MAX messages. */
void ahead_look(const struct desk *desk);

/* ---- reply.c ---- */

void reply_init(struct desk *desk);
/* Start the reply to a request; drop what was being written. */
void reply_begin(uint64_t conn_id);
/* End it: header, pushes, positions; under the log. `type` is RF_MSG_REPLY or
 * RF_MSG_ERROR. */
void reply_end(enum rf_msg_type type);
/* Put only the pushes in (tick, closed). */
void reply_end_pushes(void);
/* Give the memory of a large area back that nobody has used for a while. */
void reply_trim(void);
/* Wait until the ring has room for any reply that fits it. 0 or -EINTR. */
int reply_wait_room(void);
/* A push that says something of the connection itself: enum rf_msg_flag. */
void reply_push_flags(uint64_t conn_id, uint16_t flags);

/* ---- conns.c ---- */

/* Room for the first `count` slots; as far as the arena allows. */
void conns_reserve(size_t count);
/* NULL when no such connection is open. */
struct rf_conn *conns_find(uint64_t id);
/* It is no one's id, and its slot is free. */
bool conns_may_open(uint64_t id);
/* Needs a transaction. NULL: no room. */
struct rf_conn *conns_open(
	uint64_t id, const char *peer, size_t peer_bytes, int64_t now_ms);
void conns_close(struct rf_conn *conn);
/* Does client_idle_timeout leave it alone? */
bool conns_is_patient(const struct rf_conn *conn);
/* The first open connection from `*slot` on; NULL at the end. */
struct rf_conn *conns_next(size_t *slot);

#endif
