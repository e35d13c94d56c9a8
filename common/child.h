/* SPDX-License-Identifier: MIT */
/* child.h -- what the supervisor hands to the children it forks.
 *
 * daemon/ and worker/ do not know each other; they meet here.
 */
#ifndef RF_CHILD_H
#define RF_CHILD_H

#include "channel.h"
#include "status.h"
#include <refork/worker.h>

struct conf;

#define RF_LISTEN_MAX 16

/* The helper that holds a business child's memory map is called so: comm. */
#define RF_HOLDER_NAME "refork-mmhold"

/* How a child that ends by itself says why. */
enum rf_child_exit {
	RF_CHILD_EXIT_ASKED = 0,    /* it was asked to (SIGTERM) */
	RF_CHILD_EXIT_CHANNEL = 65, /* the ring holds bytes that are no message:
				       both children and the rings start anew */
	RF_CHILD_EXIT_DAMAGED = 66, /* verify found damage; it has logged it */
	RF_CHILD_EXIT_CODE = 67,    /* this code cannot run this state (migrate,
				       build); it has logged why */
	RF_CHILD_EXIT_LEFT = 68,    /* its worker wished for a successor: as if
				       it had been told to leave */
	RF_CHILD_EXIT_START = 69,   /* could not start; it has logged why */
};

/* Built by the supervisor before the first fork, inherited by value. */
struct rf_child {
	const struct conf *conf;
	const struct rf_worker *worker;
	const struct rf_env *env;
	struct rf_segment *arena;
	struct rf_channel *channel;
	struct rf_status_shm *status;
	int bell_supervisor; /* eventfd: "look at the status segment" */
	int listen_fds[RF_LISTEN_MAX];
	const char *listen_names[RF_LISTEN_MAX]; /* "127.0.0.1:6380" */
	int listen_count;
	/* Title, thread name and log identity: a process that was made by
	 * another child than the supervisor takes them itself, and so does one
	 * that gets another role. NULL: leave them. */
	void (*take_role)(const struct rf_child *self, const char *role);
	/* Where its signal handler describes a crash. Its own. */
	struct rf_crash_scene *scene;

	/* Network children and the vault: the serial of the descriptor table
	 * that they share; 0: it dies with this process. */
	uint64_t table;

	/* Business children: */
	bool lease_orphaned; /* the last holder has been reaped */
	bool standby;	     /* wait for the lease, however long */
	/* Of a standby: pidfd of the business child that it stands by for; -1:
	 * none. Readable once all of that process's threads are gone. */
	int predecessor;
	bool verify;	 /* walk the arena before serving (rung 3) */
	bool build_here; /* this code was not there when the arena was built:
			    migrate and build in this process */
};

/* All are entered right after fork, with default signal dispositions (SIGINT,
 * SIGPIPE and SIGXFSZ ignored), an empty signal mask, PDEATHSIG set, title and
 * log identity set, the supervisor's own descriptors closed. SIGTERM asks them
 * to drain and exit RF_CHILD_EXIT_ASKED. */
_Noreturn void network_main(const struct rf_child *self);
_Noreturn void business_main(const struct rf_child *self);
/* Keeps the network child's descriptors open, and makes network children that
 * go on with them. SIGTERM ends it. */
_Noreturn void vault_main(const struct rf_child *self);

#endif
