/* SPDX-License-Identifier: MIT */
/* kv.c -- the kv worker: redis's data, surviving a crash.
 *
 * Read next: kv.h (what the files share), commands.def (every command),
 * keys/keys.h (where the keys are), client/dispatch.c (the way of a request),
 * string/string.c (GET and SET).
 *
 * Each request is one transaction of the framework: a handler looks up,
 * changes and replies in a straight line. When memory ends, the error sticks
 * to the transaction and the framework drops change and reply alike.
 */
#include "worker/kv/client/client.h"
#include "worker/kv/keys/root.h"
#include "worker/kv/walk.h"
#include <errno.h>
#include <refork/log.h>
#include <refork/slot.h>
#include <strings.h>
#include <time.h>

#define TICK_MS	      100
#define TICK_MS_MIN   10
#define BURY_BUDGET   1000 /* keys or elements per tick, ~0.3 ms */
#define EXPIRE_BUDGET 1000 /* timers per tick, ~0.3 ms */

const struct rf_env *kv_env;

static int build(const struct rf_env *env)
{
	bool created;
	void *root;
	int error;

	kv_env = env;
	error = rf_slot_open("kv", "kv_root", KV_STATE_VERSION,
		sizeof(struct kv_root), &root, &created);
	if (error != 0)
		return error;
	kv_root = root;
	kv_settings = &kv_root->settings;
	kv_keys_build(created);
	if (created)
		kv_server_create();
	error = kv_client_build();
	if (error == 0)
		error = kv_auth_build();
	return error != 0 ? error : rf_tx_error();
}

static int migrate(uint32_t from)
{
	rf_log(RF_LOG_ERROR,
		"kv: the state is of version %u, this worker's is %u and "
		"cannot be made from it; start cold, or with the worker that "
		"made it",
		from, KV_STATE_VERSION);
	return -ENOTSUP;
}

static int start(const struct rf_env *env)
{
	kv_env = env;
	kv_table_init();
	kv_settings_apply();
	kv_auth_start();
	return 0;
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* The end of one command is the beginning of the next: the clock is read once
 * for each, but where the process may have slept between them. */
static uint64_t last_us; /* 0: so it was */

static uint32_t last_db;

void kv_run(struct kv_call *call)
{
	uint64_t errors = rf_resp_errors();
	uint64_t began_us = last_us != 0 ? last_us : now_us();

	last_us = began_us;
	call->command->run(call);
	last_us = now_us();
	kv_stats_add(call, last_us - began_us, rf_resp_errors() != errors);
}

static void run(const struct rf_request *req, struct rf_reply *reply)
{
	uint64_t state = kv_state(req->conn);
	struct kv_call call = {
		.req = req,
		.conn = req->conn,
		.argv = req->argv,
		.reply = reply,
		.keys = kv_database(kv_state_db(state)),
		.now_ms = req->now_ms,
		.argc = req->argc,
		.db = kv_state_db(state),
		.proto = kv_state_proto(state),
	};

	if (req->first)
		last_us = 0;
	last_db = call.db;
	kv_dispatch(&call);
}

static void request(const struct rf_request *req, struct rf_reply *reply)
{
	if (rf_likely(!req->released) || kv_client_released(req, reply))
		run(req, reply);
}

/* Which database they will run in is not known yet: that of the last request
 * is as good a guess as any. */
static void ahead(const struct rf_bytes *arguments, uint32_t count)
{
	rf_dict_prefetch(&kv_database(last_db)->dict, arguments, count);
}

static uint32_t tick(int64_t now_ms)
{
	struct kv_call call = {.now_ms = now_ms, .keys = kv_database(0)};
	bool more = kv_bury_step(BURY_BUDGET);
	int64_t next_ms, client_ms;

	last_us = 0;
	more |= kv_expire_step(&call, EXPIRE_BUDGET);
	kv_make_room(&call); /* maxmemory may have been made smaller */
	client_ms = kv_client_tick(&call);
	if (more || client_ms <= now_ms)
		return 0;
	next_ms = kv_expire_next_ms(); /* INT64_MAX: there is none */
	if (next_ms > now_ms + TICK_MS - 1)
		next_ms = now_ms + TICK_MS - 1;
	next_ms++;
	if (next_ms < now_ms + TICK_MS_MIN)
		next_ms = now_ms + TICK_MS_MIN;
	if (next_ms > client_ms)
		next_ms = client_ms;
	return (uint32_t)(next_ms - now_ms);
}

static void closed(struct rf_conn *conn)
{
	kv_client_closed(conn);
}

bool kv_is(struct rf_bytes arg, const char *word)
{
	return strlen(word) == arg.bytes &&
	       strncasecmp(arg.at, word, arg.bytes) == 0;
}

__attribute__((visibility("default"))) const struct rf_worker refork_worker = {
	.magic = RF_WORKER_MAGIC,
	.struct_size = sizeof(struct rf_worker),
	.abi = RF_WORKER_ABI,
	.name = "kv",
	.version = KV_VERSION,
	.state_version = KV_STATE_VERSION,
	.build = build,
	.start = start,
	.request = request,
	.tick = tick,
	.verify = kv_verify,
	.migrate = migrate,
	.closed = closed,
	.ahead = ahead,
	.skipped = kv_client_skipped,
	.walk = kv_walk,
};
