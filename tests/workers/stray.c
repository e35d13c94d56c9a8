/* SPDX-License-Identifier: MIT */
/* stray.c -- a worker that writes where, or when, it must not.
 *
 * WHERE            the address of its root
 * COUNT            counts, as it should
 * POKE WHO ADDRESS have WHO (thread, ahead, start) write one byte there; start
 *                  does so in the next process
 * FORGET           a change that is not logged
 */
#include <fcntl.h>
#include <pthread.h>
#include <refork/slot.h>
#include <refork/tx.h>
#include <refork/worker.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct stray { /* the root, in the arena */
	uint64_t count;
	uint64_t start_pokes; /* address; 0: no */
	uint64_t room[6];
} * stray;

static volatile uint64_t thread_pokes, ahead_pokes; /* addresses */

static __attribute__((noinline)) void poke(uint64_t address)
{
	if (address != 0)
		*(volatile uint8_t *)address ^= 1;
}

static void *run_thread(void *arg)
{
	const struct timespec nap = {0, 1000000};

	while (thread_pokes == 0)
		nanosleep(&nap, NULL);
	poke(thread_pokes);
	thread_pokes = 0;
	return arg;
}

static int stray_build(const struct rf_env *env)
{
	(void)env;
	return rf_slot_open(
		"stray", "stray", 1, sizeof(*stray), (void **)&stray, NULL);
}

/* Only where an empty file tells it to: clients wait for this. */
static int stray_start(const struct rf_env *env)
{
	char path[512];
	pthread_t thread;

	snprintf(path, sizeof(path), "%s/start", env->worker_args);
	if (unlink(path) == 0)
		poke(stray->start_pokes);
	snprintf(path, sizeof(path), "%s/thread", env->worker_args);
	if (access(path, F_OK) != 0)
		return 0;
	return -pthread_create(&thread, NULL, run_thread, NULL);
}

static void stray_ahead(const struct rf_bytes *arguments, uint32_t count)
{
	(void)arguments;
	(void)count;
	poke(ahead_pokes);
}

static bool is(struct rf_bytes given, const char *word)
{
	return given.bytes == strlen(word) &&
	       memcmp(given.at, word, given.bytes) == 0;
}

static void order(const struct rf_request *req)
{
	char text[32] = "";
	uint64_t address;

	if (req->argv[2].bytes < sizeof(text))
		memcpy(text, req->argv[2].at, req->argv[2].bytes);
	address = strtoull(text, NULL, 0);
	if (is(req->argv[1], "thread"))
		thread_pokes = address;
	else if (is(req->argv[1], "ahead"))
		ahead_pokes = address;
	else
		RF_SET(stray->start_pokes, address);
}

static void stray_request(const struct rf_request *req, struct rf_reply *reply)
{
	uint64_t number = (uint64_t)stray;
	char text[32];

	if (is(req->argv[0], "FORGET"))
		stray->room[2] = 0x4142;
	if (is(req->argv[0], "POKE") && req->argc == 3)
		order(req);
	if (is(req->argv[0], "COUNT")) {
		RF_SET(stray->count, stray->count + 1);
		number = stray->count;
	}
	rf_reply_bytes(reply, text,
		(size_t)snprintf(text, sizeof(text), ":%llu\r\n",
			(unsigned long long)number));
}

RF_API const struct rf_worker refork_worker = {
	.magic = RF_WORKER_MAGIC,
	.struct_size = sizeof(struct rf_worker),
	.abi = RF_WORKER_ABI,
	.name = "stray",
	.version = "1",
	.state_version = 1,
	.build = stray_build,
	.start = stray_start,
	.request = stray_request,
	.ahead = stray_ahead,
};
