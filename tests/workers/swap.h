/* SPDX-License-Identifier: MIT */
/* swap.h -- a worker that counts, in versions that take each other's place.
 *
 * Each swap_*.c defines what is special of it, and includes this.
 */
#include <errno.h>
#include <pthread.h>
#include <refork/slot.h>
#include <refork/tx.h>
#include <refork/worker.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef NAME
#define NAME "swap"
#endif
#ifndef STATE_VERSION
#define STATE_VERSION 1
#endif
#ifndef MIGRATE
#define MIGRATE NULL
#endif
#ifndef START
#define START NULL
#endif
#ifndef BEFORE_REQUEST
#define BEFORE_REQUEST(req)
#endif

struct swap { /* the root, in the arena */
	uint64_t count;
	uint64_t unit; /* so much each COUNT adds; of state version 2 */
};

static struct swap *swap;

static inline int open_root(void)
{
	return rf_slot_open(
		"swap", "swap", 1, sizeof(*swap), (void **)&swap, NULL);
}

static int swap_build(const struct rf_env *env)
{
	(void)env;
	return open_root();
}

static inline int dies(const struct rf_env *env)
{
	(void)env;
	abort();
}

static inline int migrate_dies(uint32_t from)
{
	(void)from;
	if (open_root() == 0)
		RF_SET(swap->count, 666);
	abort();
}

static inline int migrate_refuses(uint32_t from)
{
	(void)from;
	if (open_root() == 0)
		RF_SET(swap->count, 666);
	return -EPROTO;
}

/* To version 2, where a count is worth 1000. */
static inline int migrate_up(uint32_t from)
{
	int error = open_root();

	if (error == 0 && from == 1) {
		RF_SET(swap->count, swap->count * 1000);
		RF_SET(swap->unit, 1000);
	}
	return error;
}

static inline int migrate_down(uint32_t from)
{
	int error = open_root();

	if (error == 0 && from == 2) {
		RF_SET(swap->count, swap->count / 1000);
		RF_SET(swap->unit, 0);
	}
	return error;
}

static int is(const struct rf_request *req, const char *name)
{
	return req->argv[0].bytes == strlen(name) &&
	       !memcmp(req->argv[0].at, name, strlen(name));
}

/* COUNT counts, VERSION tells whose code this is. */
static void swap_request(const struct rf_request *req, struct rf_reply *reply)
{
	char text[64] = "+PONG\r\n";

	BEFORE_REQUEST(req);
	if (is(req, "VERSION"))
		snprintf(text, sizeof(text), "+%s\r\n", VERSION);
	if (is(req, "COUNT")) {
		RF_SET(swap->count,
			swap->count + (swap->unit ? swap->unit : 1));
		snprintf(text, sizeof(text), ":%llu\r\n",
			(unsigned long long)swap->count);
	}
	rf_reply_bytes(reply, text, strlen(text));
}

RF_API const struct rf_worker refork_worker = {
	.magic = RF_WORKER_MAGIC,
	.struct_size = sizeof(struct rf_worker),
	.abi = RF_WORKER_ABI,
	.name = NAME,
	.version = VERSION,
	.state_version = STATE_VERSION,
	.build = swap_build,
	.start = START,
	.request = swap_request,
	.migrate = MIGRATE,
};
