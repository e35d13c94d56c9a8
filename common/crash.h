/* SPDX-License-Identifier: MIT */
/* crash.h -- what is known of a crash, in the status segment.
 *
 *   struct rf_crash_scene   written by the dying process (its signal handler)
 *   struct rf_takeover      written by the business child that took over
 *   struct rf_crash         the record: composed by the supervisor from both
 *                           and from what waitid(2) says; its backtrace is
 *                           filled in by a process made for that
 *
 * Plain bytes of other processes: whoever reads them believes nothing.
 */
#ifndef RF_CRASH_H
#define RF_CRASH_H

#include <stddef.h>
#include <stdint.h>

#define RF_CRASH_REGISTERS   34 /* x86-64 uses 23, aarch64 34 */
#define RF_CRASH_STACK_BYTES ((size_t)32 << 10)
#define RF_CRASH_HEAD_BYTES  256
#define RF_CRASH_SCENES	     8	 /* children alive or dying at a time */
#define RF_CRASH_KEEP_MAX    256 /* records */
#define RF_CRASH_TEXT_BYTES  6144
#define RF_STRAY_BYTES	     16
#define RF_STRAY_FRAMES	     16

/* Which hook or step a business child was in. */
enum rf_phase {
	RF_PHASE_NONE,
	RF_PHASE_LEASE,	     /* takes the lease, rolls back */
	RF_PHASE_VERIFY,     /* walks the arena */
	RF_PHASE_MIGRATE,    /* the worker's migrate and build, new code */
	RF_PHASE_BIND,	     /* goes on with the channel */
	RF_PHASE_START,	     /* the worker's start */
	RF_PHASE_IDLE,	     /* serves, between two messages */
	RF_PHASE_REQUEST,    /* the worker's request */
	RF_PHASE_CONNECTION, /* opens or closes a connection (closed) */
	RF_PHASE_TICK,	     /* the worker's tick */
	RF_PHASE_STOP,	     /* the worker's stop */
	RF_PHASE_COUNT
};

/* In a position: it is the serial of a request that was parked. */
#define RF_PARKED_POS (UINT64_C(1) << 55)

/* The request in work. */
struct rf_crash_request {
	uint32_t present;
	uint32_t attempt;  /* 1, 2, ... */
	uint64_t position; /* in the request ring; or RF_PARKED_POS | serial */
	uint64_t channel_epoch;
	uint64_t conn_id;
	uint64_t bytes; /* of its payload (struct rf_msg_args form) */
	uint32_t head_bytes;
	uint32_t reserved;
	char peer[64];
	uint8_t head[RF_CRASH_HEAD_BYTES]; /* first bytes of its payload */
};

/* An access to the arena that must not be. */
enum rf_stray {
	RF_STRAY_NONE,
	RF_STRAY_OUTSIDE,  /* written outside of a transaction */
	RF_STRAY_NO_RIGHT, /* read where nothing may be: in a handler */
	RF_STRAY_UNLOGGED, /* changed in a transaction, not logged first */
	RF_STRAY_COUNT
};

/* What stands at an address. */
enum rf_spot {
	RF_SPOT_NONE, /* not of the arena */
	RF_SPOT_SUPER,
	RF_SPOT_SLOTS,
	RF_SPOT_HEAP, /* its metadata */
	RF_SPOT_LOG,
	RF_SPOT_BLOCK,
	RF_SPOT_FREE, /* memory of the heap that is no block */
	RF_SPOT_COUNT
};

struct rf_crash_stray {
	uint32_t kind; /* enum rf_stray */
	uint32_t spot; /* enum rf_spot */
	uint64_t address;
	uint64_t block, block_bytes; /* SPOT_BLOCK */
	char slot[32];	  /* whose root it is, or that leads to it; or "" */
	uint32_t is_root; /* the block is that slot's root */
	uint32_t bytes;	  /* UNLOGGED: that differ in a row */
	uint32_t kept;	  /* of them: here before and after */
	uint32_t frame_count;
	uint8_t before[RF_STRAY_BYTES], after[RF_STRAY_BYTES];
	/* UNLOGGED: return addresses of the first write to that page. */
	uint64_t frames[RF_STRAY_FRAMES];
};

struct rf_crash_scene {
	/* The writer's pid, stored last: the rest is complete. 0: nothing. */
	int32_t complete;
	int32_t tid;
	int32_t signal;
	int32_t code; /* si_code */
	uint64_t address;
	int64_t at_us; /* CLOCK_MONOTONIC */
	uint64_t generation;
	uint32_t phase;
	uint32_t handed_over; /* the lease was given by the handler */
	/* As in ucontext: x86-64 its gregs, aarch64 x0 .. x30, sp, pc, pstate.
	 * All zero when only pc and sp are known. */
	uint64_t registers[RF_CRASH_REGISTERS];
	uint64_t pc, sp, fp;
	uint64_t stack_at; /* address of stack[0] */
	uint32_t stack_bytes;
	int32_t sender_pid; /* of a signal that was sent; 0: it was not */
	struct rf_crash_request request;
	struct rf_crash_stray stray;
	uint8_t stack[RF_CRASH_STACK_BYTES];
};

/* The last takeover of the lease. Written by its new holder, piece by piece;
 * complete once serving_at_us is set. */
struct rf_takeover {
	int32_t pid;
	int32_t after_death; /* enum rf_lease */
	uint64_t generation;
	uint64_t undone; /* undo log entries rolled back */
	uint32_t was_standby;
	uint32_t verified;   /* 1: walked and whole */
	int64_t lease_at_us; /* CLOCK_MONOTONIC */
	int64_t rolled_back_at_us;
	int64_t serving_at_us;
	struct rf_crash_request request; /* that the dead one had in work */
};

enum rf_crash_role {
	RF_CRASH_BUSINESS,
	RF_CRASH_STANDBY,
	RF_CRASH_NETWORK,
	RF_CRASH_VAULT,
	RF_CRASH_ROLE_COUNT
};

enum rf_crash_cause {
	RF_CRASH_ITSELF,  /* died of a signal or exited unasked */
	RF_CRASH_HANG,	  /* no heartbeat: ended by the watchdog */
	RF_CRASH_TIMEOUT, /* a request exceeded request_timeout: ended */
	RF_CRASH_LATE,	  /* did not become ready in time: ended */
	RF_CRASH_CAUSE_COUNT
};

struct rf_crash {
	uint64_t id;	/* 1, 2, ...; 0: no record */
	int64_t at_ms;	/* Unix time at which the supervisor heard of it */
	uint32_t role;	/* enum rf_crash_role */
	uint32_t cause; /* enum rf_crash_cause */
	int32_t pid;
	int32_t how;	/* CLD_EXITED, CLD_KILLED, CLD_DUMPED */
	int32_t status; /* exit code or signal */
	int32_t code;	/* si_code of the signal, when a scene is there */
	uint64_t generation;
	uint64_t address;
	int32_t sender_pid; /* of the scene */
	uint32_t reserved;
	uint32_t has_scene;
	uint32_t phase;
	uint32_t rung; /* of the recovery ladder that answered it */
	/* 0: not known yet, or there is none to come; 1: text is complete */
	uint32_t text_complete;
	uint64_t registers[RF_CRASH_REGISTERS];
	uint64_t pc, sp;
	struct rf_crash_request request;
	struct rf_crash_stray stray;
	/* The successor; zero when none took over. */
	uint64_t successor_generation;
	uint64_t undone;
	uint32_t by_standby;
	uint32_t verified;
	int64_t to_lease_us; /* from the handler's stamp, or from the
				supervisor's knowledge of the death; -1: not
				known */
	int64_t rollback_us;
	int64_t to_serving_us; /* from the same instant to serving, or, when
				  that is not known, from the lease */
	/* Written by the reporting process: one frame a line,
	 * "#0 0x00007f.. kv_set+0x1c4 (string.c:88) in kv.so". */
	char text[RF_CRASH_TEXT_BYTES];
};

struct rf_crash_ring { /* writer: the supervisor; texts: its reporter */
	uint64_t last_id;
	uint64_t reserved[7];
	struct rf_crash records[RF_CRASH_KEEP_MAX]; /* id modulo its size */
};

#endif
