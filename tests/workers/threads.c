/* SPDX-License-Identifier: MIT */
/* threads.c -- a worker whose threads write to the arena at full speed.
 *
 * Two kinds of them: those that change two equal numbers under a lock, and
 * those that write without one, each to a cell of its own, so that the next
 * process sees whether any of them has outlived its own. worker_args
 * "threads=N" starts N of each in `start`; the request SPAWN starts them later.
 *
 * What the threads have made is handed over as any such worker would: they only
 * add to `made`, and the business thread remembers under the undo log how much
 * of that it has counted.
 */
#include <errno.h>
#include <pthread.h>
#include <refork/guard.h>
#include <refork/lock.h>
#include <refork/log.h>
#include <refork/slot.h>
#include <refork/tx.h>
#include <refork/worker.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CELL_COUNT  16
#define THREADS_MAX CELL_COUNT
#define LOOK_US	    2000

struct shop { /* the root, in the arena */
	struct rf_lock lock;
	struct rf_cond cond;
	uint64_t first, second;	    /* guarded by the lock, not under the log */
	uint64_t made;		    /* the same */
	uint64_t repairs;	    /* the same */
	uint64_t cells[CELL_COUNT]; /* each written by one thread */
	uint64_t meetings;	    /* cells that changed in `start` */
	uint64_t counted;	    /* (log) of made */
	uint64_t requests;	    /* (log) */
};

static struct shop *shop;

static int threads_build(const struct rf_env *env)
{
	bool created;
	int error = rf_slot_open(
		"shop", "shop", 1, sizeof(*shop), (void **)&shop, &created);

	(void)env;
	if (error != 0)
		return error;
	return created ? rf_lock_init(&shop->lock, "shop")
		       : rf_lock_renew(&shop->lock);
}

/* ---- the threads ---- */

static void repair(void)
{
	shop->second = shop->first;
	shop->repairs++;
	rf_lock_made_consistent(&shop->lock);
}

static bool take(void)
{
	int found = rf_lock_take(&shop->lock, RF_LOCK_FOREVER);

	if (found == RF_LOCK_OWNER_DIED)
		repair();
	else if (found == RF_LOCK_CLEAN && shop->first != shop->second)
		abort();
	return found >= 0;
}

/* Whether one of the threads is to write what none of them may. */
static bool stray_wanted;

static void *make(void *unused)
{
	while (take()) {
		__atomic_add_fetch(&shop->first, 1, __ATOMIC_SEQ_CST);
		shop->made++;
		__atomic_add_fetch(&shop->second, 1, __ATOMIC_SEQ_CST);
		rf_lock_give(&shop->lock);
		if (__atomic_load_n(&stray_wanted, __ATOMIC_SEQ_CST))
			shop->requests = 0;
	}
	return unused;
}

static void *scribble(void *cell)
{
	rf_unguarded_begin();
	for (;;)
		__atomic_add_fetch((uint64_t *)cell, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static void *begin_transaction(void *unused)
{
	rf_tx_begin();
	return unused;
}

static int spawn(int count)
{
	pthread_t thread;
	int error = 0;

	for (int i = 0; i < count && i < THREADS_MAX && error == 0; i++) {
		error = pthread_create(&thread, NULL, make, NULL);
		if (error == 0)
			error = pthread_create(
				&thread, NULL, scribble, &shop->cells[i]);
	}
	return -error;
}

/* ---- is anybody else here ---- */

static uint64_t sum_cells(void)
{
	uint64_t sum = 0;

	for (int i = 0; i < CELL_COUNT; i++)
		sum += __atomic_load_n(&shop->cells[i], __ATOMIC_SEQ_CST);
	return sum;
}

static int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void look_around(void)
{
	uint64_t before = sum_cells();
	int64_t until_us = now_us() + LOOK_US;

	while (now_us() < until_us)
		;
	if (sum_cells() == before)
		return;
	rf_log(RF_LOG_ERROR, "threads: somebody else's thread writes here");
	rf_unguarded_begin();
	shop->meetings++;
	rf_unguarded_end();
}

static int threads_start(const struct rf_env *env)
{
	int count = 0;

	look_around();
	sscanf(env->worker_args, "threads=%d", &count);
	return spawn(count);
}

/* ---- requests ---- */

static uint64_t on_count(const char *arg)
{
	(void)arg;
	RF_SET(shop->requests, shop->requests + 1);
	return shop->requests;
}

static uint64_t on_spawn(const char *arg)
{
	return (uint64_t)spawn(atoi(arg));
}

/* What has been made since the last time. */
static uint64_t on_collect(const char *arg)
{
	uint64_t made, fresh;

	(void)arg;
	if (!take())
		abort();
	made = shop->made;
	rf_lock_give(&shop->lock);
	fresh = made - shop->counted;
	RF_SET(shop->counted, made);
	return fresh;
}

static uint64_t on_counted(const char *arg)
{
	(void)arg;
	return shop->counted;
}

static uint64_t on_meetings(const char *arg)
{
	(void)arg;
	return shop->meetings;
}

static uint64_t on_repairs(const char *arg)
{
	(void)arg;
	return shop->repairs;
}

/* Crash at the first attempt, with the lock held. */
static uint64_t on_die_with_lock(const char *arg)
{
	(void)arg;
	if (!take())
		abort();
	shop->first++;
	abort();
}

static uint64_t on_transact(const char *arg)
{
	pthread_t thread;

	(void)arg;
	pthread_create(&thread, NULL, begin_transaction, NULL);
	pthread_join(thread, NULL);
	return 0;
}

static uint64_t on_stray(const char *arg)
{
	(void)arg;
	__atomic_store_n(&stray_wanted, true, __ATOMIC_SEQ_CST);
	while (pause() != 0)
		;
	return 0;
}

static const struct {
	const char *name;
	uint64_t (*run)(const char *arg);
	bool deadly; /* run at the first attempt only */
} commands[] = {
	{"COUNT", on_count, false},
	{"SPAWN", on_spawn, false},
	{"COLLECT", on_collect, false},
	{"COUNTED", on_counted, false},
	{"MEETINGS", on_meetings, false},
	{"REPAIRS", on_repairs, false},
	{"DIE-WITH-LOCK", on_die_with_lock, true},
	{"TRANSACT", on_transact, true},
	{"STRAY", on_stray, true},
};

static uint64_t run(const struct rf_request *req)
{
	char arg[32] = "";

	if (req->argc > 1)
		snprintf(arg, sizeof(arg), "%.*s", (int)req->argv[1].bytes,
			req->argv[1].at);
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (req->argv[0].bytes == strlen(commands[i].name) &&
			memcmp(req->argv[0].at, commands[i].name,
				req->argv[0].bytes) == 0)
			return commands[i].deadly && req->attempt > 1
				       ? 0
				       : commands[i].run(arg);
	return UINT32_MAX;
}

static void threads_request(
	const struct rf_request *req, struct rf_reply *reply)
{
	char text[32];

	rf_reply_bytes(reply, text,
		(size_t)snprintf(text, sizeof(text), ":%llu\r\n",
			(unsigned long long)run(req)));
}

RF_API const struct rf_worker refork_worker = {
	.magic = RF_WORKER_MAGIC,
	.struct_size = sizeof(struct rf_worker),
	.abi = RF_WORKER_ABI,
	.name = "threads",
	.version = "1",
	.state_version = 1,
	.build = threads_build,
	.start = threads_start,
	.request = threads_request,
};
