/* SPDX-License-Identifier: MIT */
/* pause.c -- CLIENT PAUSE: requests wait, parked, until an instant.
 *
 * Who waits is marked in its connection's word. When the pause ends all of
 * them are resumed, and their requests come through dispatch.c once more.
 */
#include "worker/kv/client/clients.h"

static bool changes_something(const struct kv_call *call)
{
	const struct kv_client *client = kv_client_of(call->conn);
	void (*run)(struct kv_call *) = call->command->run;

	if (run == kv_cmd_exec && client != NULL)
		return client->queue_flags & WRITE;
	return call->command->flags & WRITE || run == kv_cmd_publish ||
	       run == kv_cmd_spublish;
}

bool kv_pause_holds(const struct kv_call *call)
{
	if (kv_clients->pause == PAUSE_NONE ||
		call->now_ms >= kv_clients->pause_until_ms)
		return false;
	return kv_clients->pause == PAUSE_ALL || changes_something(call);
}

/* A write that runs all the same (in the EXEC of the pause) does as ever. */
bool kv_pause_keeps(const struct kv_call *call)
{
	return rf_unlikely(kv_clients->pause != PAUSE_NONE) &&
	       call->now_ms < kv_clients->pause_until_ms &&
	       (call->command == NULL || !(call->command->flags & WRITE));
}

void kv_pause_wait(struct kv_call *call)
{
	kv_state_add(call->conn, KV_STATE_PAUSED);
	RF_SET(kv_clients->paused_count, kv_clients->paused_count + 1);
	kv_park(call);
}

void kv_pause_end(struct rf_conn *conn)
{
	if (!(kv_state(conn) & KV_STATE_PAUSED))
		return;
	kv_state_drop(conn, KV_STATE_PAUSED);
	RF_SET(kv_clients->paused_count, kv_clients->paused_count - 1);
}

static void end_pause(void)
{
	RF_SET(kv_clients->pause, PAUSE_NONE);
	for (struct rf_conn *conn = rf_conn_next(NULL); conn != NULL;
		conn = rf_conn_next(conn))
		if (kv_state(conn) & KV_STATE_PAUSED)
			rf_conn_resume(conn);
}

void kv_pause_tick(int64_t now_ms)
{
	if (kv_clients->pause != PAUSE_NONE &&
		now_ms >= kv_clients->pause_until_ms)
		end_pause();
}

/* A pause that stands is only ever made longer and stricter. */
void kv_cmd_client_pause(struct kv_call *call)
{
	uint64_t pause = PAUSE_ALL;
	int64_t ms, until_ms;

	if (call->argc == 4 && kv_is(call->argv[3], "WRITE")) {
		pause = PAUSE_WRITE;
	} else if (call->argc > 4 ||
		   (call->argc == 4 && !kv_is(call->argv[3], "ALL"))) {
		rf_resp_error(call->reply,
			"ERR CLIENT PAUSE mode must be WRITE or ALL");
		return;
	}
	if (!kv_arg_range(call, 2, INT64_MIN, INT64_MAX, &ms,
		    "ERR timeout is not an integer or out of range"))
		return;
	if (ms < 0) {
		rf_resp_error(call->reply, "ERR timeout is negative");
		return;
	}
	if (__builtin_add_overflow(call->now_ms, ms, &until_ms)) {
		rf_resp_error(call->reply, "ERR timeout is out of range");
		return;
	}
	if (pause > kv_clients->pause)
		RF_SET(kv_clients->pause, pause);
	if (until_ms > kv_clients->pause_until_ms)
		RF_SET(kv_clients->pause_until_ms, until_ms);
	rf_tick_by(kv_clients->pause_until_ms);
	kv_reply_ok(call);
}

void kv_cmd_client_unpause(struct kv_call *call)
{
	if (kv_clients->pause != PAUSE_NONE)
		end_pause();
	RF_SET(kv_clients->pause_until_ms, 0);
	kv_reply_ok(call);
}
