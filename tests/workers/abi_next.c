/* SPDX-License-Identifier: MIT */
/* abi_next.c -- a worker for a daemon that does not exist yet. */
#include <refork/worker.h>

static void request(const struct rf_request *req, struct rf_reply *reply)
{
	(void)req;
	(void)reply;
}

RF_API const struct rf_worker refork_worker = {
	.magic = RF_WORKER_MAGIC,
	.struct_size = sizeof(struct rf_worker),
	.abi = RF_WORKER_ABI + 1,
	.name = "abi_next",
	.version = "1",
	.state_version = 1,
	.request = request,
};
