/* SPDX-License-Identifier: MIT */
/* hog.c -- a worker that takes what its unit may limit.
 *
 * INCR and GET serve one counter, whatever the key. MEMORY takes private memory
 * until something stops it, 1 GiB at most. THREADS N starts threads that sleep,
 * and says how many there are. While there is a file called worker_args, each
 * process dies of it soon.
 */
#include <pthread.h>
#include <refork/slot.h>
#include <refork/tx.h>
#include <refork/worker.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE_BYTES (1024 * 1024)
#define PIECES_MAX  1024

struct hog { /* in the arena */
	uint64_t count;
};

static struct hog *hog;
static const char *illness;
static unsigned thread_count;

static bool is_ill(void)
{
	return illness[0] != '\0' && access(illness, F_OK) == 0;
}

static int hog_build(const struct rf_env *env)
{
	illness = env->worker_args;
	return rf_slot_open("hog", "hog", 1, sizeof(*hog), (void **)&hog, NULL);
}

static uint32_t hog_tick(int64_t now_ms)
{
	(void)now_ms;
	if (is_ill())
		abort();
	return 20;
}

static void *sleeper(void *none)
{
	for (;;)
		pause();
	return none;
}

static void start_threads(unsigned wanted)
{
	pthread_t thread;

	while (thread_count < wanted &&
		pthread_create(&thread, NULL, sleeper, NULL) == 0) {
		pthread_detach(thread);
		thread_count++;
	}
}

static void take_memory(void)
{
	for (int i = 0; i < PIECES_MAX; i++) {
		char *piece = malloc(PIECE_BYTES);

		if (!piece)
			abort();
		memset(piece, 'x', PIECE_BYTES);
	}
}

static bool is_called(const struct rf_request *req, const char *name)
{
	return req->argv[0].bytes == strlen(name) &&
	       !memcmp(req->argv[0].at, name, req->argv[0].bytes);
}

static void hog_request(const struct rf_request *req, struct rf_reply *reply)
{
	char text[64], number[24];
	int bytes;

	if (is_called(req, "MEMORY"))
		take_memory();
	if (is_called(req, "INCR"))
		RF_SET(hog->count, hog->count + 1);
	bytes = snprintf(
		number, sizeof(number), "%llu", (unsigned long long)hog->count);
	if (is_called(req, "THREADS") && req->argc == 2) {
		start_threads((unsigned)atoi(req->argv[1].at));
		bytes = snprintf(number, sizeof(number), "%u", thread_count);
	}
	if (is_called(req, "GET"))
		bytes = snprintf(
			text, sizeof(text), "$%d\r\n%s\r\n", bytes, number);
	else
		bytes = snprintf(text, sizeof(text), ":%s\r\n", number);
	rf_reply_bytes(reply, text, (size_t)bytes);
}

RF_API const struct rf_worker refork_worker = {
	.magic = RF_WORKER_MAGIC,
	.struct_size = sizeof(struct rf_worker),
	.abi = RF_WORKER_ABI,
	.name = "hog",
	.version = "1",
	.state_version = 1,
	.build = hog_build,
	.request = hog_request,
	.tick = hog_tick,
};
