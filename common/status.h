/* SPDX-License-Identifier: MIT */
/* status.h -- what each process says of itself; one writer per struct.
 *
 * Plain aligned words, each written by one process with relaxed stores and
 * read by any: a reader sees each number whole, not all of one instant. The
 * reader trusts none of it.
 */
#ifndef RF_STATUS_H
#define RF_STATUS_H

#include "crash.h"
#include "segment.h"
#include <stdint.h>

#define RF_STATUS_MAGIC	 UINT64_C(0x5355544154534652) /* "RFSTATUS" */
#define RF_STATUS_FORMAT 2

/* Of the recovery ladder. */
enum rf_rung {
	RF_RUNG_NONE,
	RF_RUNG_ROLL_BACK,  /* roll back, go on, retry the request once */
	RF_RUNG_QUARANTINE, /* skip the request */
	RF_RUNG_VERIFY,	    /* walk everything before serving */
	RF_RUNG_RESTORE,    /* from a durable copy, when there is one */
	RF_RUNG_COLD,	    /* empty state (on_limit = cold) */
	RF_RUNG_HOLD,	    /* parked until an operator acts */
	RF_RUNG_EXIT,	    /* the service manager is to act */
	RF_RUNG_COUNT
};

/* What a child has given up: worker/confine/. */
#define RF_CONFINED_RIGHTS 1u /* root's powers */
#define RF_CONFINED_FILES  2u /* files, TCP, signals: landlock */
#define RF_CONFINED_CALLS  4u /* system calls: seccomp */
#define RF_CONFINED_ALL	   7u

struct rf_status_supervisor { /* writer: the supervisor */
	int64_t started_at_ms;
	uint64_t crashes; /* unplanned ends of business children */
	uint64_t network_crashes;
	uint64_t standby_crashes;
	uint64_t vault_crashes;
	uint64_t hangs;	  /* children ended by the watchdog */
	uint64_t planned; /* planned re-forks of the business child */
	uint64_t upgrades;
	uint64_t rollbacks;	       /* of upgrades */
	uint64_t rungs[RF_RUNG_COUNT]; /* times each was stood on */
	uint64_t conf_serial;	 /* grows with each reload that was applied */
	uint64_t release_id;	 /* quarantined request to be run again */
	uint64_t release_serial; /* grows with each such order */
	int32_t pid;
	int32_t network_pid;
	int32_t business_pid; /* 0: none */
	int32_t standby_pid;
	int32_t vault_pid;
	/* The business child of this pid is to give the lease and end as soon
	 * as it is between two messages. 0: nobody. */
	int32_t leave_pid;
	uint32_t rung; /* enum rf_rung: where the recovery stands now */
	/* An order to stand still between two messages, for a reader of the
	 * arena: worker/business/hold.c. The serial is stored last. */
	uint64_t hold_serial;	/* grows with each order */
	uint64_t hold_ended;	/* orders up to this one are over */
	int64_t hold_until_us;	/* CLOCK_MONOTONIC: void if not begun by then */
	int64_t hold_length_us; /* at most */
	int64_t verified_at_ms; /* Unix time; 0: never */
	uint64_t verify_problems; /* found then */
	/* The business child of this pid was ended for another's sake: what it
	 * was at is not to blame. */
	int32_t spent_pid;
	/* The child of this pid is being ended because it hung or overran. */
	int32_t hung_pid;
};

struct rf_status_network {    /* writer: the network child */
	int64_t heartbeat_ms; /* CLOCK_MONOTONIC */
	uint64_t ready;	      /* its pid, once it serves */
	uint64_t clients;
	uint64_t clients_total;
	uint64_t clients_refused;
	uint64_t clients_banned;  /* refused: their requests kept killing */
	uint64_t clients_resumed; /* taken over from a dead predecessor */
	uint64_t closed_output_limit;
	uint64_t bytes_in;
	uint64_t bytes_out;
};

struct rf_status_vault {      /* writer: the vault */
	int64_t heartbeat_ms; /* CLOCK_MONOTONIC */
	uint64_t ready;	      /* its pid, once it takes orders */
	uint64_t confined;    /* RF_CONFINED_*: network children inherit it */
};

struct rf_status_business {   /* writer: the holder of the lease */
	int64_t heartbeat_ms; /* CLOCK_MONOTONIC, at least every 100 ms when it
				 is not busy */
	/* Grows whenever it turns around: per round of its loop. */
	uint64_t rounds;
	/* Odd while a message or a tick is worked on; grows by two with each
	 * one, and while it waits for the reader of its reply. Unchanged and
	 * odd: the same one, still. */
	uint64_t work;
	uint64_t serving;    /* its generation, once it serves */
	int32_t serving_pid; /* its pid, stored after `serving` */
	int32_t mm_holder_pid;
	uint32_t phase;	  /* enum rf_phase */
	uint32_t threads; /* of its process, after `start`; 1: only its own */
	uint64_t requests;
	uint64_t quarantined;
	uint64_t recoveries;  /* takeovers after a death */
	uint64_t rolled_back; /* takeovers that had something to undo */
	uint64_t recovery_us; /* last: lease taken to serving */
	uint64_t arena_used_bytes;
	uint64_t arena_size_bytes;
	uint64_t arena_max_bytes;
	/* The last order to stand still: stored in this order, held_over before
	 * it changes anything. Begun by whoever took over before held_at. */
	int64_t held_at_us;   /* CLOCK_MONOTONIC */
	uint64_t held_serial; /* of the order */
	int64_t held_us;      /* how long it was */
	uint64_t held_over;   /* as held_serial: it goes on */
	uint64_t holds;	      /* that were begun */
	/* Planned hand-over, CLOCK_MONOTONIC: the lease given at. */
	int64_t left_at_us;
	/* The last order to run a quarantined request again. */
	uint64_t release_serial; /* as in the order: it is done */
	int64_t release_result;	 /* 0: run; -ECANCELED: undone; -errno */
	uint64_t release_reply_bytes;
	char release_reply[256]; /* its first bytes */
	/* Why this code does not run this state (RF_CHILD_EXIT_CODE,
	 * RF_CHILD_EXIT_DAMAGED), said by the one that took over last. */
	char refusal[256];
	struct rf_takeover takeover;
	uint64_t confined; /* RF_CONFINED_* */
};

struct rf_status_standby { /* writer: the standby, until it has the lease */
	int64_t heartbeat_ms;
	int32_t ready_pid; /* its pid, once it waits for the lease */
	uint32_t reserved;
	uint64_t prefaulted_bytes;
	uint64_t prefault_complete; /* 1: all that is backed */
};

struct rf_status_shm {
	uint64_t magic; /* stored last */
	uint32_t format;
	uint32_t bytes;
	uint32_t confine_told; /* RF_CONFINED_*: said to be missing */
	_Alignas(64) struct rf_status_supervisor supervisor;
	_Alignas(64) struct rf_status_network network;
	_Alignas(64) struct rf_status_vault vault;
	_Alignas(64) struct rf_status_business business;
	_Alignas(64) struct rf_status_standby standby;
	_Alignas(64) struct rf_crash_scene scenes[RF_CRASH_SCENES];
	_Alignas(64) struct rf_crash_ring crashes;
};

#define rf_status_set(field, value)                                            \
	__atomic_store_n(&(field), (value), __ATOMIC_RELAXED)
#define rf_status_get(field)	__atomic_load_n(&(field), __ATOMIC_RELAXED)
#define rf_status_add(field, n) rf_status_set(field, (field) + (n))

/* Make the status segment of a service, or adopt the one that an earlier
 * daemon left behind: what that one's processes said of themselves is zeroed,
 * its crash records are kept. One that does not fit is made anew: nothing in
 * it is a client's. A memfd is not found so: rf_status_adopt(); without it, of
 * its records those that were complete are in state_dir.
 *
 * seg      backend set by the caller; filled in
 * Returns  0; -EWOULDBLOCK another daemon has it, for `wait_ms` already (the
 *          name is in seg); -ENOSPC, -errno
 * Locking  as rf_segment_create(): whoever has it mapped keeps the lock */
int rf_status_open(struct rf_segment *seg, const char *service, int wait_ms,
	struct rf_status_shm **status);
/* The same of a memfd that somebody has kept (rf_segment_share()).
 *
 * fd       stays the caller's
 * Returns  0; -EBADMSG it is none, or of another build; as rf_segment_adopt().
 *          After an error seg is not open */
int rf_status_adopt(struct rf_segment *seg, const char *service, int fd,
	int wait_ms, struct rf_status_shm **status);
/* `keep`: the name stays for the next daemon. */
void rf_status_close(struct rf_segment *seg, bool keep);

/* One that nobody can find: zeroed, inherited by fork. NULL with errno. */
struct rf_status_shm *rf_status_create(void);
void rf_status_destroy(struct rf_status_shm *status);

int64_t rf_now_ms(void); /* Unix time */
int64_t rf_monotonic_ms(void);
int64_t rf_monotonic_us(void);

#endif
