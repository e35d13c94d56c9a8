/* SPDX-License-Identifier: MIT */
/* build_fails.c -- a worker that cannot build its managers. */
#include <errno.h>
#include <refork/worker.h>

static int build(const struct rf_env *env)
{
	(void)env;
	return -ENODATA;
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
	.name = "build_fails",
	.version = "1",
	.state_version = 1,
	.build = build,
	.request = request,
};
