/* SPDX-License-Identifier: MIT */
/* ailing.c -- a worker that falls ill where and when it is told to.
 *
 * worker_args is a directory. A file in it called HOOK.DEED makes that hook do
 * that deed: "start.abort", "tick.spin". Each time the file gets one byte
 * shorter, and is removed with its last byte: "xxx" in start.abort lets three
 * processes die. A file that is empty works for as long as it stands there.
 *
 * COUNT is answered with the number of COUNTs so far: a client sees every loss
 * and every repetition. Anything else is answered with +PONG, in good health.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <refork/slot.h>
#include <refork/tx.h>
#include <refork/worker.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifndef AILING_STATE_VERSION
#define AILING_STATE_VERSION 1
#endif

#define THREADS	   3
#define COPY_S	   3
#define LEAK_BYTES ((size_t)1 << 20)

struct ailing { /* the root, in the arena */
	uint64_t count;
	char directory[256]; /* for `migrate`, which comes before `build` */
};

static struct ailing *ailing;
static const char *directory;

static void nap(void)
{
	const struct timespec pause = {0, 5000000};

	nanosleep(&pause, NULL);
}

/* ---- deeds ---- */

static int do_abort(const char *path)
{
	(void)path;
	abort();
}

static int do_segv(const char *path)
{
	volatile int *volatile nowhere = (volatile int *)64;

	(void)path;
	*nowhere = 0;
	return 0;
}

static int do_exit(const char *path)
{
	(void)path;
	_exit(0);
}

static int do_fail(const char *path)
{
	(void)path;
	return -EIO;
}

/* Asleep until the file is gone. */
static int do_block(const char *path)
{
	while (access(path, F_OK) == 0)
		nap();
	return 0;
}

/* Busy until the file is gone. */
static int do_spin(const char *path)
{
	while (access(path, F_OK) == 0)
		for (volatile int i = 0; i < 1000000; i++)
			;
	return 0;
}

/* Take memory until there is no more. */
static int do_leak(const char *path)
{
	void *taken;

	(void)path;
	while ((taken = malloc(LEAK_BYTES)) != NULL)
		memset(taken, 1, LEAK_BYTES);
	abort();
}

/* The copy stays for a while. */
static int do_fork(const char *path)
{
	pid_t copy = fork();

	(void)path;
	if (copy == 0) {
		sleep(COPY_S);
		_exit(0);
	}
	return copy < 0 ? -errno : 0;
}

static void *sleeper(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static int do_thread(const char *path)
{
	pthread_t thread;
	int error = 0;

	(void)path;
	for (int i = 0; i < THREADS && error == 0; i++)
		error = pthread_create(&thread, NULL, sleeper, NULL);
	return -error;
}

static const struct deed {
	const char *name;
	int (*run)(const char *path);
} deeds[] = {
	{"abort", do_abort},
	{"segv", do_segv},
	{"exit", do_exit},
	{"fail", do_fail},
	{"block", do_block},
	{"spin", do_spin},
	{"leak", do_leak},
	{"fork", do_fork},
	{"thread", do_thread},
};

/* True when the file says so; one byte of it is used up. */
static bool is_wanted(const char *path)
{
	struct stat seen;

	if (stat(path, &seen) != 0)
		return false;
	if (seen.st_size == 1)
		unlink(path);
	else if (seen.st_size > 1 && truncate(path, seen.st_size - 1) != 0)
		return false;
	return true;
}

static int suffer(const char *hook)
{
	int error = 0;

	for (size_t i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++) {
		char path[512];

		snprintf(path, sizeof(path), "%s/%s.%s", directory, hook,
			deeds[i].name);
		if (error == 0 && is_wanted(path))
			error = deeds[i].run(path);
	}
	return error;
}

/* ---- hooks ---- */

static int open_root(void)
{
	return rf_slot_open(
		"ailing", "ailing", 1, sizeof(*ailing), (void **)&ailing, NULL);
}

static int ailing_build(const struct rf_env *env)
{
	int error;

	directory = env->worker_args;
	error = suffer("build");
	if (error == 0)
		error = open_root();
	if (error == 0)
		rf_tx_write(ailing->directory, directory,
			strnlen(directory, sizeof(ailing->directory) - 1) + 1);
	return error;
}

static int ailing_start(const struct rf_env *env)
{
	(void)env;
	return suffer("start");
}

static void ailing_request(const struct rf_request *req, struct rf_reply *reply)
{
	char text[32];

	if (req->argv[0].bytes != 5 || memcmp(req->argv[0].at, "COUNT", 5)) {
		rf_reply_bytes(reply, "+PONG\r\n", 7);
		return;
	}
	RF_SET(ailing->count, ailing->count + 1);
	suffer("request");
	rf_reply_bytes(reply, text,
		(size_t)snprintf(text, sizeof(text), ":%llu\r\n",
			(unsigned long long)ailing->count));
}

static uint32_t ailing_tick(int64_t now_ms)
{
	(void)now_ms;
	suffer("tick");
	return 20;
}

static int ailing_verify(void)
{
	return suffer("verify") == 0 ? 0 : -EBADMSG;
}

static int ailing_migrate(uint32_t from_state_version)
{
	int error = open_root();

	(void)from_state_version;
	if (error != 0)
		return error;
	directory = ailing->directory;
	return suffer("migrate");
}

static void ailing_stop(void)
{
	suffer("stop");
}

RF_API const struct rf_worker refork_worker = {
	.magic = RF_WORKER_MAGIC,
	.struct_size = sizeof(struct rf_worker),
	.abi = RF_WORKER_ABI,
	.name = "ailing",
	.version = "1",
	.state_version = AILING_STATE_VERSION,
	.build = ailing_build,
	.start = ailing_start,
	.request = ailing_request,
	.tick = ailing_tick,
	.verify = ailing_verify,
	.migrate = ailing_migrate,
	.stop = ailing_stop,
};
