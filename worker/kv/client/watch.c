/* SPDX-License-Identifier: MIT */
/* watch.c -- WATCH: an EXEC that fails when a key has changed since.
 *
 * Whoever changes a key marks the connections that watch it; EXEC looks at its
 * mark. A key that has expired but was not removed yet counts as changed too,
 * unless it had expired when it was watched: its removal is no change then.
 */
#include "worker/kv/client/clients.h"

static const struct rf_dict_entry *find_in(
	const struct kv_keys *keys, struct rf_bytes key)
{
	return rf_dict_find(&keys->dict, key.at, key.bytes);
}

static bool has_expired(
	const struct kv_keys *keys, struct rf_bytes key, int64_t now_ms)
{
	const struct rf_dict_entry *entry = find_in(keys, key);

	return entry != NULL && kv_expired(entry, now_ms);
}

static bool watches(const struct kv_client *client, const struct kv_spot *spot)
{
	const struct kv_watch *watch = client->watches;

	while (watch != NULL && watch->spot != spot)
		watch = watch->more;
	return watch != NULL;
}

static void watch(
	struct kv_call *call, struct kv_client *client, struct rf_bytes key)
{
	struct kv_spot *spot = kv_spot_make(call->db, key);
	struct kv_watch *node;

	if (spot == NULL || watches(client, spot))
		return;
	node = rf_alloc(sizeof *node);
	if (node == NULL)
		return;
	*node = (struct kv_watch){
		.spot = spot,
		.client = client,
		.next = spot->watches,
		.link = &spot->watches,
		.more = client->watches,
		.was_expired = has_expired(call->keys, key, call->now_ms),
	};
	if (node->next != NULL)
		RF_SET(node->next->link, &node->next);
	RF_SET(spot->watches, node);
	RF_SET(client->watches, node);
	RF_SET(kv_clients->watch_count, kv_clients->watch_count + 1);
}

void kv_unwatch(struct kv_client *client)
{
	struct kv_watch *next;

	for (struct kv_watch *at = client->watches; at != NULL; at = next) {
		next = at->more;
		RF_SET(*at->link, at->next);
		if (at->next != NULL)
			RF_SET(at->next->link, at->link);
		kv_spot_drop_if_idle(at->spot);
		rf_free(at);
		RF_SET(kv_clients->watch_count, kv_clients->watch_count - 1);
	}
	if (client->watches != NULL)
		RF_SET(client->watches, NULL);
}

bool kv_watch_expired(struct kv_client *client, int64_t now_ms)
{
	for (struct kv_watch *at = client->watches; at != NULL; at = at->more)
		if (!at->was_expired &&
			has_expired(kv_database(kv_spot_db(at->spot)),
				kv_spot_key(at->spot), now_ms))
			return true;
	return false;
}

void kv_watch_touch(struct kv_call *call, struct rf_bytes key)
{
	struct kv_spot *spot;

	if (rf_likely(kv_clients->watch_count == 0))
		return;
	spot = kv_spot_find((uint32_t)call->keys->db, key);
	if (spot == NULL)
		return;
	for (struct kv_watch *at = spot->watches; at != NULL; at = at->next) {
		if (at->was_expired && find_in(call->keys, key) == NULL)
			RF_SET(at->was_expired, 0);
		else
			kv_state_add(at->client->conn, KV_STATE_TOUCHED);
	}
}

/* ---- a database as a whole ---- */

struct exchange {
	struct kv_keys *keys, *with; /* with: NULL when flushed */
	int64_t now_ms;
};

static void touch_watch(struct kv_watch *at, const struct exchange *exchange)
{
	struct rf_bytes key = kv_spot_key(at->spot);
	bool was = find_in(exchange->keys, key) != NULL;
	bool is =
		exchange->with != NULL && find_in(exchange->with, key) != NULL;
	bool is_expired =
		is && has_expired(exchange->with, key, exchange->now_ms);

	if (!was && !is)
		return;
	if (at->was_expired && !is)
		RF_SET(at->was_expired, 0);
	else if (!was && is_expired)
		RF_SET(at->was_expired, 1);
	else if (!at->was_expired || !is_expired)
		kv_state_add(at->client->conn, KV_STATE_TOUCHED);
}

static void touch_spot(struct rf_dict_entry *entry, void *context)
{
	const struct exchange *exchange = context;
	struct kv_spot *spot = entry->value;

	if (kv_spot_db(spot) != exchange->keys->db)
		return;
	for (struct kv_watch *at = spot->watches; at != NULL; at = at->next)
		touch_watch(at, exchange);
	if (exchange->with != NULL)
		kv_block_ready(spot);
}

void kv_watch_touch_all(
	struct kv_call *call, struct kv_keys *keys, struct kv_keys *with)
{
	struct exchange exchange = {keys, with, call->now_ms};
	uint64_t cursor = 0;

	do
		cursor = rf_dict_scan(
			&kv_clients->spots, cursor, touch_spot, &exchange);
	while (cursor != 0);
}

/* ---- commands ---- */

void kv_cmd_watch(struct kv_call *call)
{
	struct kv_client *client;

	if (kv_state(call->conn) & KV_STATE_MULTI) {
		rf_resp_error(
			call->reply, "ERR WATCH inside MULTI is not allowed");
		return;
	}
	client = kv_client_need(call);
	if (client == NULL)
		return;
	if (!(kv_state(call->conn) & KV_STATE_TOUCHED))
		for (uint32_t i = 1; i < call->argc; i++)
			watch(call, client, call->argv[i]);
	kv_reply_ok(call);
}

void kv_cmd_unwatch(struct kv_call *call)
{
	struct kv_client *client = kv_client_of(call->conn);

	if (client != NULL)
		kv_unwatch(client);
	kv_state_drop(call->conn, KV_STATE_TOUCHED);
	kv_reply_ok(call);
}
