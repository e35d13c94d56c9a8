/* SPDX-License-Identifier: MIT */
/* worker.h -- what a worker (a shared object run by reforkd) is.
 *
 * A worker exports one data symbol, `refork_worker`. Its state lives in the
 * arena (heap.h, dict.h), under named slots (slot.h). It may die at any
 * instruction of any hook: whatever it had changed in the arena since the
 * hook began is then as if it had never been, and a new process calls the
 * hooks again. Anything outside the arena dies with the process.
 */
#ifndef REFORK_WORKER_H
#define REFORK_WORKER_H

#include <refork/bytes.h>
#include <refork/check.h>
#include <refork/reply.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RF_WORKER_MAGIC	  UINT32_C(0x72664b57)
#define RF_WORKER_ABI	  3
#define RF_WORKER_ABI_MIN 2 /* older ones, without `walk`, are loaded, too */
#define RF_WORKER_SYMBOL  "refork_worker"
#define RF_AHEAD_MAX	  8

struct rf_walk;

/* A client connection, as the business side knows it. Lives in the arena; its
 * place is another one's after `closed`, so keep the id, not the pointer. */
struct rf_conn {
	uint64_t id;	      /* never used twice in the life of the daemon */
	int64_t opened_at_ms; /* Unix time */
	char peer[64];	      /* "127.0.0.1:51234", "unix:/run/kv.sock" */
	uint64_t user[6];     /* the worker's; zero at open; RF_SET to change */
	uint64_t own[6];      /* the framework's */
};

/* id is serial << RF_CONN_SLOT_BITS | slot: the serial alone is unique. */
#define RF_CONN_SLOT_BITS  16
#define rf_conn_serial(id) ((id) >> RF_CONN_SLOT_BITS)

struct rf_request {
	struct rf_conn *conn;
	const struct rf_bytes
		*argv;	  /* argv[i].at is valid for this call only */
	uint32_t argc;	  /* >= 1 */
	uint32_t attempt; /* 1; more when it killed processes before */
	bool again;	  /* it was parked and its connection resumed */
	bool first; /* the process may have waited since the one before it */
	/* Told to by `reforkctl quarantine release`: the client has had its
	 * -CRASHED. conn is made for this run; of the one that had sent the
	 * request its user[0] is left, as it was then; 0: not known. A reply
	 * that begins with '-' is an error: nothing of the run takes effect,
	 * and the request stays in quarantine. */
	bool released;
	int64_t now_ms; /* Unix time */
};

/* What the daemon tells its worker. It stays where it is, its strings too, as
 * long as the process lives. */
struct rf_env {
	uint32_t struct_size;
	bool allow_crash_test;	 /* [business] allow_crash_test */
	const char *service;	 /* [refork] name */
	const char *worker_args; /* [refork] worker_args */
	/* The value of an ini key ("network.max_clients") as text; NULL when
	 * there is no such key. */
	const char *(*setting)(const char *section_key);
};

/* Every hook may be NULL but `request`. Those marked (tx) run inside a
 * transaction that the framework commits when the hook returns. */
struct rf_worker {
	uint32_t magic;	      /* RF_WORKER_MAGIC */
	uint32_t struct_size; /* sizeof(struct rf_worker) */
	uint32_t abi;	      /* RF_WORKER_ABI */
	const char *name;     /* "kv"; an arena belongs to one name */
	const char *version;  /* "1.2.0" */
	uint32_t state_version;

	/* (tx) In the supervisor, before the first fork; after an upgrade, in
	 * each business child that runs the new code, clients waiting. Find
	 * or create the managers. Must not start threads. 0 or -errno: the
	 * start (the upgrade) fails, and nothing has changed. */
	int (*build)(const struct rf_env *env);

	/* In each new business child, after recovery, before it serves:
	 * threads, descriptors, caches. Clients are waiting, also when a
	 * standby takes over. The arena is read-only here. Other threads may
	 * write what an rf_lock guards, and begin no transaction (lock.h). With
	 * threads of its own a process keeps the arena until it is dead and has
	 * dumped its core; without, its successor need not wait for that. */
	int (*start)(const struct rf_env *env);

	/* (tx) One request, one reply. An error stuck to the transaction
	 * (rf_tx_fail, a full arena) discards change and reply, and the
	 * client gets an error instead. */
	void (*request)(const struct rf_request *req, struct rf_reply *reply);

	/* (tx) About every 100 ms, sooner when it returned a smaller number:
	 * expiry, incremental work. Returns the ms until it wants to run
	 * again, 0 for "at once, after waiting requests". */
	uint32_t (*tick)(int64_t now_ms);

	/* Walk all managers (their _check). 0, or -EBADMSG after logging. Runs
	 * after `build`, in the process that ran it or one forked from that. */
	int (*verify)(void);

	/* (tx) Where `build` runs, before it and in the same transaction, when
	 * the arena holds another state_version. 0 or -errno: refused. */
	int (*migrate)(uint32_t from_state_version);

	/* In the business child, before a planned end. Not after a crash. The
	 * successor waits for it. */
	void (*stop)(void);

	/* (tx) A connection has ended: free what conn->user refers to. */
	void (*closed)(struct rf_conn *conn);

	/* For speed only: requests with these first arguments (argv[1]) wait
	 * and will run next. Have what they need brought into the cache
	 * (rf_dict_prefetch). Must read only, and never fault: it runs before
	 * a request's attempts are counted. At least 2, at most
	 * RF_AHEAD_MAX. */
	void (*ahead)(const struct rf_bytes *arguments, uint32_t count);

	/* (tx) This request, which may have been parked, is over and has
	 * changed nothing; the framework answers it: it has killed
	 * (-CRASHED), or its transaction failed (rf_tx_fail, a full arena).
	 * Undo what earlier requests of the connection had prepared for it.
	 * Should this kill or fail as well, it is left out. */
	void (*skipped)(const struct rf_request *req);

	/* Name every block that the state reaches, and check it on the way
	 * (walk.h): for `reforkctl arena verify`, which calls this instead of
	 * `verify` and finds what has leaked. In a process of its own, where
	 * neither `build` nor `start` has run: the roots are those of
	 * rf_walk_slot(), the arena can only be read. */
	void (*walk)(struct rf_walk *walk);
};

/* ---- connections; in hooks marked (tx) only ---- */

/* Keep this request unanswered: it will be run again, whole, once its
 * connection is resumed, and what the connection sends meanwhile waits behind
 * it, in order. All of that stands in the arena: a death changes nothing.
 * Nothing may be written as its reply. It may be parked again when it is run
 * again. One that has no client (`reforkctl quarantine release`) cannot wait:
 * its transaction fails. What waits for one connection is limited to
 * network.max_request; beyond that the connection is closed. Cost: one copy of
 * the request. */
RF_API void rf_request_park(const struct rf_request *req);
/* Run what the connection has parked, after this transaction and before any
 * other request; in the order of these calls. No effect on one that has
 * nothing parked or has been resumed already. O(1). */
RF_API void rf_conn_resume(struct rf_conn *conn);
/* It has parked a request and was not resumed since. */
RF_API bool rf_conn_is_parked(const struct rf_conn *conn);

/* NULL: no such connection is open. O(1). */
RF_API struct rf_conn *rf_conn_find(uint64_t id);
/* The open connections one after the other, in no order that means anything,
 * NULL at both ends. `after` may have been closed in this transaction. O(1). */
RF_API struct rf_conn *rf_conn_next(const struct rf_conn *after);
/* End a connection once what was pushed to it has been sent. Nothing that it
 * has sent is run any more; `closed` is called with this transaction. To end
 * the connection of the request itself after its reply: rf_reply_close. */
RF_API void rf_conn_close(struct rf_conn *conn);
/* Whether network.client_idle_timeout leaves it alone: it waits for pushes. One
 * that has parked a request is left alone without. */
RF_API void rf_conn_set_patient(struct rf_conn *conn, bool patient);

/* Have `tick` called at that instant (Unix ms), or sooner. A successor calls it
 * as soon as it serves: what is due stands in the arena. */
RF_API void rf_tick_by(int64_t at_ms);

/* After this transaction this process ends as if told to by `reforkctl restart
 * business`: a successor goes on; not a crash. */
RF_API void rf_leave(void);

/* Facts about the running service, for INFO and the like. Cost: ~100 ns. */
struct rf_stats {
	uint64_t generation; /* of business children; the first is 1 */
	uint64_t crashes;    /* unplanned ends of business children */
	uint64_t requests;   /* run since the daemon started */
	uint64_t clients;    /* connected now */
	uint64_t clients_total;
	uint64_t quarantined; /* requests answered with -CRASHED */
	int64_t started_at_ms;
	int supervisor_pid;
	int network_pid;
	size_t arena_used_bytes;
	size_t arena_size_bytes;
	size_t arena_max_bytes;
};
RF_API void rf_stats(struct rf_stats *out);

/* Random per arena, fixed for its life: seed hashes with it. 16 bytes. */
RF_API const uint8_t *rf_arena_seed(void);

#endif
