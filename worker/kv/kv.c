/* SPDX-License-Identifier: MIT */
/* kv.c -- the kv worker: redis's strings, surviving a crash.
 *
 * Read next: kv.h (what the files share), commands.def (every command),
 * db.c (where the keys are), string.c (GET and SET).
 *
 * Each request is one transaction of the framework: a handler looks up,
 * changes and replies in a straight line. When memory ends, the error sticks
 * to the transaction and the framework drops change and reply alike.
 */
#include "kv.h"
#include <errno.h>
#include <refork/log.h>
#include <refork/slot.h>
#include <strings.h>

#define TICK_MS	      100
#define BURY_BUDGET   2000 /* entries of flushed dicts per tick, ~0.3 ms */
#define EXPIRE_BUDGET 1000 /* timers per tick, ~0.3 ms */

const struct rf_env *kv_env;

static int build(const struct rf_env *env)
{
	bool created;
	void *root;
	int error;

	kv_env = env;
	error = rf_slot_open("kv", "kv_db", KV_STATE_VERSION,
		sizeof(struct kv_db), &root, &created);
	if (error != 0) {
		rf_log(RF_LOG_ERROR, "kv: open slot \"kv\": %s",
			strerror(-error));
		return error;
	}
	kv_db = root;
	if (created)
		kv_db_create();
	return rf_tx_error();
}

static int start(const struct rf_env *env)
{
	kv_env = env;
	kv_table_init();
	kv_string_bytes_max = kv_setting_bytes_max();
	return 0;
}

static void request(const struct rf_request *req, struct rf_reply *reply)
{
	struct kv_call call = {
		.req = req,
		.argv = req->argv,
		.reply = reply,
		.now_ms = req->now_ms,
		.argc = req->argc,
		.proto = req->conn->user[KV_CONN_PROTO] == 3 ? 3 : 2,
	};
	const struct kv_command *command = kv_table_find(&call);

	if (rf_likely(command != NULL))
		command->run(&call);
}

static void ahead(const struct rf_bytes *arguments, uint32_t count)
{
	rf_dict_prefetch(&kv_db->keys->dict, arguments, count);
}

static uint32_t tick(int64_t now_ms)
{
	bool more = kv_bury_step(BURY_BUDGET);

	more |= kv_wheel_step(now_ms, EXPIRE_BUDGET);
	return more ? 0 : TICK_MS;
}

static void closed(struct rf_conn *conn)
{
	for (int i = KV_CONN_NAME; i < KV_CONN_FIELD_COUNT; i++)
		rf_free((void *)conn->user[i]);
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
	.closed = closed,
	.ahead = ahead,
};
