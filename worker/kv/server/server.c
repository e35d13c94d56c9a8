/* SPDX-License-Identifier: MIT */
/* server.c -- commands on the server as a whole: the time, saving. */
#include "worker/kv/server/records.h"
#include <time.h>

/* ---- time ---- */

void kv_cmd_time(struct kv_call *call)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	rf_resp_array(call->reply, 2);
	rf_resp_bulk_int(call->reply, now.tv_sec);
	rf_resp_bulk_int(call->reply, now.tv_nsec / 1000);
}

/* ---- saving: every change is kept when it is made, and outlives the process;
 * no file is written, and nothing more can be done ---- */

static void saved(void)
{
	uint64_t *changes = &kv_root->counters[KV_COUNT_CHANGES];

	rf_tx_unlogged(changes, sizeof *changes);
	*changes = 0;
}

void kv_cmd_save(struct kv_call *call)
{
	saved();
	kv_reply_ok(call);
}

void kv_cmd_bgsave(struct kv_call *call)
{
	if (call->argc > 2 ||
		(call->argc == 2 && !kv_is(call->argv[1], "SCHEDULE"))) {
		kv_reply_syntax(call);
		return;
	}
	saved();
	rf_resp_simple(call->reply,
		"Background saving not needed: changes are kept when they are "
		"made");
}

void kv_cmd_bgrewriteaof(struct kv_call *call)
{
	rf_resp_simple(call->reply,
		"Background append only file rewriting not needed: there is "
		"no such file");
}

void kv_cmd_lastsave(struct kv_call *call)
{
	rf_resp_int(call->reply, call->now_ms / 1000);
}
