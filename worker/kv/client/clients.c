/* SPDX-License-Identifier: MIT */
/* clients.c -- the root of this room, and the block beside a connection. */
#include "worker/kv/client/clients.h"
#include <errno.h>
#include <refork/log.h>
#include <refork/slot.h>

struct kv_clients *kv_clients;

int kv_client_build(void)
{
	void *root;
	int error = rf_slot_open("kv_clients", "kv_clients", KV_STATE_VERSION,
		sizeof(struct kv_clients), &root, NULL);

	if (error == 0)
		kv_clients = root;
	return error;
}

static struct kv_client *make(struct rf_conn *conn)
{
	struct kv_client *client = kv_client_of(conn);

	if (client != NULL)
		return client;
	client = rf_try_alloc(sizeof *client);
	if (client == NULL)
		return NULL;
	memset(client, 0, sizeof *client);
	client->conn = conn;
	RF_SET(conn->user[KV_CONN_CLIENT], (uint64_t)client);
	return client;
}

struct kv_client *kv_client_need(struct kv_call *call)
{
	struct kv_client *client = make(call->conn);

	if (client == NULL)
		rf_resp_error(call->reply, KV_ERR_OOM);
	return client;
}

void kv_client_closed(struct rf_conn *conn)
{
	struct kv_client *client = kv_client_of(conn);

	if (client != NULL) {
		kv_multi_discard(conn);
		kv_block_end(client);
		kv_unsubscribe_all(client);
		for (int i = 0; i < TEXT_COUNT; i++)
			rf_free(client->texts[i]);
		rf_free(client);
		RF_SET(conn->user[KV_CONN_CLIENT], 0);
	}
	kv_pause_end(conn);
	kv_state_set(conn, 0);
}

uint64_t kv_blocked_count(void)
{
	return kv_clients->blocked_count + kv_clients->paused_count;
}

int64_t kv_client_tick(struct kv_call *call)
{
	int64_t next_ms;

	kv_block_tick(call->now_ms);
	kv_pause_tick(call->now_ms);
	if (kv_clients->ready != NULL)
		kv_block_serve();
	next_ms = rf_timers_next_ms(&kv_clients->timeouts);
	if (kv_clients->pause != PAUSE_NONE &&
		kv_clients->pause_until_ms < next_ms)
		next_ms = kv_clients->pause_until_ms;
	return next_ms;
}
