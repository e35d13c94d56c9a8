/* SPDX-License-Identifier: MIT */
/* dispatch.c -- the whole way of a request, in redis's order of checks.
 *
 * The idea. One word of the connection says whether anything but the command
 * itself matters: it is zero but for RESP version and database on nearly all
 * connections, and then the request is looked up and run. Everything else
 * takes the long way:
 *
 *   known? -> password -> allowed in MULTI? -> memory -> subscribed and RESP2?
 *          -> paused: parked, and comes here again
 *          -> MULTI: queued
 *          -> run; it may block: parked, and goes on in block.c
 *
 * A request that is refused on the way makes the EXEC that follows fail.
 */
#include "worker/kv/client/clients.h"
#include "worker/kv/server/server.h"
#include <stdlib.h>

/* What makes a request take the long way. */
#define LONG_WAY                                                               \
	(KV_STATE_MULTI | KV_STATE_SUBSCRIBED | KV_STATE_REPLY_OFF |           \
		KV_STATE_REPLY_SKIP | KV_STATE_PAUSED | KV_STATE_BLOCKED)

struct kv_leftover kv_leftover;

void kv_call_bind(struct kv_call *call)
{
	uint64_t state = kv_state(call->conn);

	call->db = kv_state_db(state);
	call->keys = kv_database(call->db);
	call->proto = kv_state_proto(state);
}

void kv_park(struct kv_call *call)
{
	rf_request_park(call->req);
	kv_leftover.parked = true;
}

/* For CLIENT LIST; not worth the log. */
static inline void remember(const struct kv_call *call)
{
	rf_tx_unlogged(&call->conn->user[KV_CONN_LAST], sizeof(uint64_t));
	call->conn->user[KV_CONN_LAST] = (uint64_t)call->now_ms
						 << KV_LAST_SHIFT |
					 kv_table_index(call->command);
}

/* ---- refusals ---- */

/* "-ERR text" from `mark` on becomes "-EXECABORT ...: text". */
static void tell_of_abort(struct rf_reply *reply, size_t mark)
{
	static const char text[] =
		"-EXECABORT Transaction discarded because of: ";
	size_t bytes = rf_reply_size(reply) - mark;
	char error[256];
	const char *end = rf_reply_room(reply, 0);
	size_t skip;

	if (end == NULL || bytes > sizeof error)
		return;
	memcpy(error, end - bytes, bytes);
	skip = bytes > 5 && memcmp(error, "-ERR ", 5) == 0 ? 5 : 1;
	rf_reply_truncate(reply, mark);
	rf_reply_bytes(reply, text, sizeof text - 1);
	rf_reply_bytes(reply, error + skip, bytes - skip);
}

/* The error has been replied; what it means for a MULTI. */
static void refused(struct kv_call *call, size_t mark)
{
	kv_stats_reject(call);
	if (call->command != NULL && call->command->run == kv_cmd_exec) {
		tell_of_abort(call->reply, mark);
		kv_multi_discard(call->conn);
	} else if (kv_state(call->conn) & KV_STATE_MULTI) {
		kv_state_add(call->conn, KV_STATE_BAD);
	}
}

static bool no_password(struct kv_call *call)
{
	if (kv_auth_password().bytes == 0 || call->command->flags & NO_AUTH ||
		kv_state(call->conn) & KV_STATE_AUTH)
		return false;
	rf_resp_error(call->reply, "NOAUTH Authentication required.");
	return true;
}

static bool not_in_multi(struct kv_call *call)
{
	if (!(kv_state(call->conn) & KV_STATE_MULTI) ||
		!(call->command->flags & NO_MULTI))
		return false;
	rf_resp_error(
		call->reply, "ERR Command not allowed inside a transaction");
	return true;
}

/* Those that are never queued. */
static bool is_immediate(const struct kv_command *command)
{
	return command->run == kv_cmd_exec || command->run == kv_cmd_discard ||
	       command->run == kv_cmd_multi || command->run == kv_cmd_watch ||
	       command->run == kv_cmd_quit || command->run == kv_cmd_reset;
}

static bool is_queued(const struct kv_call *call)
{
	return kv_state(call->conn) & KV_STATE_MULTI &&
	       !is_immediate(call->command);
}

/* The flags of what would run now: of an EXEC, those of its commands. */
static uint64_t flags_of(const struct kv_call *call)
{
	const struct kv_client *client = kv_client_of(call->conn);

	if (call->command->run == kv_cmd_exec && client != NULL)
		return call->command->flags | client->queue_flags;
	return call->command->flags;
}

static bool no_memory(struct kv_call *call)
{
	if (!(flags_of(call) & DENYOOM) && !is_queued(call))
		return false;
	if (kv_make_room(call))
		return false;
	rf_resp_error(call->reply, KV_ERR_OOM);
	return true;
}

static bool only_subscribed(struct kv_call *call)
{
	void (*run)(struct kv_call *) = call->command->run;

	if (!(kv_state(call->conn) & KV_STATE_SUBSCRIBED) || call->proto > 2)
		return false;
	if (run == kv_cmd_ping || run == kv_cmd_subscribe ||
		run == kv_cmd_ssubscribe || run == kv_cmd_psubscribe ||
		run == kv_cmd_unsubscribe || run == kv_cmd_sunsubscribe ||
		run == kv_cmd_punsubscribe || run == kv_cmd_quit ||
		run == kv_cmd_reset)
		return false;
	rf_resp_error(call->reply,
		"ERR Can't execute '%s': only (P|S)SUBSCRIBE / "
		"(P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this "
		"context",
		call->command->name);
	return true;
}

static bool (*const checks[])(struct kv_call *call) = {
	no_password,
	not_in_multi,
	no_memory,
	only_subscribed,
};

static bool is_refused(struct kv_call *call)
{
	size_t mark = rf_reply_size(call->reply);
	bool bad = kv_table_find(call) == NULL;

	if (!bad)
		remember(call);
	for (size_t i = 0; !bad && i < sizeof checks / sizeof *checks; i++)
		bad = checks[i](call);
	if (bad)
		refused(call, mark);
	return bad;
}

/* ---- the long way ---- */

static void run(struct kv_call *call)
{
	if (is_refused(call))
		return;
	if (kv_clients->pause != PAUSE_NONE && kv_pause_holds(call)) {
		kv_pause_wait(call);
	} else if (is_queued(call)) {
		kv_multi_queue(call);
	} else {
		kv_run(call);
	}
}

static void long_way(struct kv_call *call, uint64_t state)
{
	struct kv_leftover *left = &kv_leftover;

	left->silent = state & KV_STATE_REPLY_SKIP;
	kv_state_drop(call->conn, KV_STATE_REPLY_SKIP);
	kv_pause_end(call->conn);
	if (state & KV_STATE_BLOCKED)
		kv_block_again(call);
	else
		run(call);
	if (left->parked) {
		if (left->silent)
			kv_state_add(call->conn, KV_STATE_REPLY_SKIP);
	} else if (!left->told &&
		   (left->silent ||
			   kv_state(call->conn) & KV_STATE_REPLY_OFF)) {
		rf_reply_truncate(call->reply, 0);
		rf_reply_nothing(call->reply);
	}
}

static void finish(struct kv_call *call)
{
	if (kv_clients->ready != NULL)
		kv_block_serve();
	if (kv_leftover.own_bytes > 0 && kv_leftover.parked)
		rf_push(call->conn->id, kv_leftover.own, kv_leftover.own_bytes);
	else if (kv_leftover.own_bytes > 0)
		rf_reply_insert(
			call->reply, 0, kv_leftover.own, kv_leftover.own_bytes);
}

void kv_dispatch(struct kv_call *call)
{
	uint64_t state = kv_state(call->conn);

	kv_leftover.any = false;
	kv_leftover.parked = false;
	kv_leftover.told = false;
	kv_leftover.own_bytes = 0;
	if (rf_unlikely((state & LONG_WAY) | kv_clients->pause) ||
		rf_unlikely(kv_auth_has_password)) {
		long_way(call, state);
	} else if (rf_likely(kv_table_find(call) != NULL)) {
		remember(call);
		if (rf_unlikely(call->command->flags & DENYOOM &&
				!kv_make_room(call))) {
			rf_resp_error(call->reply, KV_ERR_OOM);
			refused(call, 0);
		} else {
			kv_run(call);
		}
	} else {
		refused(call, 0);
	}
	if (rf_unlikely(kv_leftover.any))
		finish(call);
}
