/* SPDX-License-Identifier: MIT */
/* build_thread.c -- a worker that starts a thread in the supervisor. */
#include <pthread.h>
#include <refork/worker.h>
#include <unistd.h>

static void *sleeper(void *nothing)
{
	for (;;)
		pause();
	return nothing;
}

static int build(const struct rf_env *env)
{
	pthread_t thread;

	(void)env;
	return -pthread_create(&thread, NULL, sleeper, NULL);
}

static void request(const struct rf_request *req, struct rf_reply *reply)
{
	(void)req;
	(void)reply;
}

RF_API const struct rf_worker refork_worker = {
	.magic = RF_WORKER_MAGIC,
	.struct_size = sizeof(struct rf_worker),
	.abi = RF_WORKER_ABI,
	.name = "build_thread",
	.version = "1",
	.state_version = 1,
	.build = build,
	.request = request,
};
