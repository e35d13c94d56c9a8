/* SPDX-License-Identifier: MIT */
/* multi.c -- MULTI, EXEC, DISCARD.
 *
 * Queued commands stand in the arena, so they outlive the process. EXEC runs
 * them one after the other within its own request: the framework's one
 * transaction holds them all, and a death in their midst is a death before
 * the first.
 */
#include "worker/kv/client/clients.h"

/* The command and copies of its arguments, in one block. NULL: no memory. */
static struct kv_queued *queued_create(const struct kv_call *call)
{
	size_t head =
		sizeof(struct kv_queued) + call->argc * sizeof(struct rf_bytes);
	size_t bytes = head;
	struct kv_queued *queued;
	char *to;

	for (uint32_t i = 0; i < call->argc; i++)
		bytes += call->argv[i].bytes;
	queued = rf_try_alloc(bytes);
	if (queued == NULL)
		return NULL;
	queued->next = NULL;
	queued->argc = call->argc;
	to = (char *)queued + head;
	for (uint32_t i = 0; i < call->argc; i++) {
		size_t length = call->argv[i].bytes;

		queued->argv[i] = (struct rf_bytes){to, length};
		if (length > 0)
			memcpy(to, call->argv[i].at, length);
		to += length;
	}
	return queued;
}

/* What CLIENT PAUSE WRITE holds back besides writes. */
static uint64_t flags_of(const struct kv_command *command)
{
	if (command->run == kv_cmd_publish || command->run == kv_cmd_spublish)
		return command->flags | WRITE;
	return command->flags;
}

void kv_multi_queue(struct kv_call *call)
{
	struct kv_client *client = kv_client_of(call->conn);
	struct kv_queued *queued;

	/* What will not run needs no room. */
	if (!(kv_state(call->conn) & (KV_STATE_BAD | KV_STATE_TOUCHED))) {
		queued = queued_create(call);
		if (queued == NULL) {
			kv_state_add(call->conn, KV_STATE_BAD);
			rf_resp_error(call->reply, KV_ERR_OOM);
			return;
		}
		if (client->queue_last != NULL)
			RF_SET(client->queue_last->next, queued);
		else
			RF_SET(client->queue, queued);
		RF_SET(client->queue_last, queued);
		RF_SET(client->queue_bytes,
			client->queue_bytes + rf_usable(queued));
		RF_SET(client->queue_count, client->queue_count + 1);
		RF_SET(client->queue_flags,
			client->queue_flags | flags_of(call->command));
	}
	rf_resp_simple(call->reply, "QUEUED");
}

static void queue_free(struct kv_queued *queued)
{
	while (queued != NULL) {
		struct kv_queued *next = queued->next;

		rf_free(queued);
		queued = next;
	}
}

/* The client has no queue any more; the blocks are the caller's. */
static struct kv_queued *queue_take(struct kv_client *client)
{
	struct kv_queued *queue = client->queue;

	if (queue != NULL) {
		RF_SET(client->queue, NULL);
		RF_SET(client->queue_last, NULL);
		RF_SET(client->queue_count, 0);
		RF_SET(client->queue_flags, 0);
		RF_SET(client->queue_bytes, 0);
	}
	return queue;
}

void kv_multi_discard(struct rf_conn *conn)
{
	struct kv_client *client = kv_client_of(conn);

	if (client != NULL) {
		queue_free(queue_take(client));
		kv_unwatch(client);
	}
	kv_state_drop(conn, KV_STATE_MULTI | KV_STATE_BAD | KV_STATE_TOUCHED);
}

void kv_cmd_multi(struct kv_call *call)
{
	if (kv_state(call->conn) & KV_STATE_MULTI) {
		rf_resp_error(call->reply, "ERR MULTI calls can not be nested");
		return;
	}
	if (kv_client_need(call) == NULL)
		return;
	kv_state_add(call->conn, KV_STATE_MULTI);
	kv_reply_ok(call);
}

void kv_cmd_discard(struct kv_call *call)
{
	if (!(kv_state(call->conn) & KV_STATE_MULTI)) {
		rf_resp_error(call->reply, "ERR DISCARD without MULTI");
		return;
	}
	kv_multi_discard(call->conn);
	kv_reply_ok(call);
}

/* Each may select another database and speak another RESP. */
static void run_queue(struct kv_call *call, const struct kv_queued *queue)
{
	for (; queue != NULL && rf_tx_error() == 0; queue = queue->next) {
		struct kv_call one = *call;

		one.argv = queue->argv;
		one.argc = (uint32_t)queue->argc;
		one.in_exec = true;
		kv_call_bind(&one);
		if (kv_table_find(&one) != NULL)
			kv_run(&one);
	}
}

void kv_cmd_exec(struct kv_call *call)
{
	struct kv_client *client = kv_client_of(call->conn);
	uint64_t state = kv_state(call->conn);
	struct kv_queued *queue;
	size_t count;

	if (!(state & KV_STATE_MULTI)) {
		rf_resp_error(call->reply, "ERR EXEC without MULTI");
		return;
	}
	if (state & KV_STATE_BAD)
		rf_resp_error(call->reply,
			"EXECABORT Transaction discarded because of previous "
			"errors.");
	else if (state & KV_STATE_TOUCHED ||
		 kv_watch_expired(client, call->now_ms))
		rf_resp_null_array(call->reply, call->proto);
	else
		state = 0;
	count = client->queue_count;
	queue = queue_take(client);
	kv_multi_discard(call->conn);
	if (state == 0) {
		rf_resp_array(call->reply, count);
		run_queue(call, queue);
	}
	queue_free(queue);
}
