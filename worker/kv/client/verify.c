/* SPDX-License-Identifier: MIT */
/* verify.c -- walks all that this room keeps, and believes no pointer. */
#include "worker/kv/client/clients.h"
#include <errno.h>
#include <refork/log.h>

static struct {
	int error;
	uint64_t watches, waits, blocked, paused, subs[KV_CHANNEL_KIND_COUNT];
} seen;

static void complain(const char *what, const void *at)
{
	rf_log(RF_LOG_ERROR, "kv: clients: %s at %p", what, at);
	seen.error = -EBADMSG;
}

static bool expect(bool cond, const char *what, const void *at)
{
	if (!cond)
		complain(what, at);
	return cond;
}

/* ---- from the side of the keys and channels ---- */

static bool is_client(const struct kv_client *client)
{
	return rf_is_block(client, sizeof *client) &&
	       rf_conn_find(client->conn->id) == client->conn &&
	       kv_client_of(client->conn) == client;
}

static void check_spot(struct rf_dict_entry *entry, void *context)
{
	const struct kv_spot *spot = entry->value;
	const struct kv_wait *prev = NULL;
	struct kv_watch *const *link;

	(void)context;
	if (!expect(rf_is_block(spot, sizeof *spot) && spot->entry == entry &&
			    entry->key_bytes >= sizeof(uint32_t),
		    "no spot stands", entry))
		return;
	expect(spot->watches != NULL || spot->first != NULL, "a spot of nobody",
		spot);
	expect(!spot->is_ready, "a spot still ready", spot);
	link = &spot->watches;
	for (const struct kv_watch *at = *link; at != NULL; at = at->next) {
		if (!expect(rf_is_block(at, sizeof *at) && at->spot == spot &&
				    at->link == link && is_client(at->client),
			    "a bad watch", at))
			return;
		link = (struct kv_watch *const *)&at->next;
		seen.watches++;
	}
	for (const struct kv_wait *at = spot->first; at != NULL;
		at = at->next) {
		if (!expect(rf_is_block(at, sizeof *at) && at->spot == spot &&
				    at->prev == prev && is_client(at->client),
			    "a bad wait", at))
			return;
		prev = at;
		seen.waits++;
	}
	expect(spot->last == prev, "waits end elsewhere", spot);
}

static void check_channel(struct rf_dict_entry *entry, void *context)
{
	const struct kv_channel *channel = entry->value;
	const struct kv_sub *prev = NULL;
	uint64_t *total = context, count = 0;

	if (!expect(rf_is_block(channel, sizeof *channel) &&
			    channel->entry == entry,
		    "no channel stands", entry))
		return;
	for (const struct kv_sub *at = channel->first; at != NULL;
		at = at->next) {
		if (!expect(rf_is_block(at, sizeof *at) &&
				    at->channel == channel &&
				    at->prev == prev && is_client(at->client),
			    "a bad subscription", at))
			return;
		prev = at;
		count++;
	}
	expect(channel->last == prev && channel->count == count && count > 0,
		"a channel has another number of subscribers", channel);
	*total += count;
}

/* ---- from the side of the clients ---- */

static void check_queue(const struct kv_client *client)
{
	const struct kv_queued *last = NULL;
	uint64_t count = 0;

	for (const struct kv_queued *at = client->queue; at != NULL;
		at = at->next) {
		if (!expect(rf_is_block(at, sizeof *at), "a bad queue", client))
			return;
		last = at;
		count++;
	}
	expect(count == client->queue_count && client->queue_last == last,
		"a queue of another length", client);
	expect(count == 0 || kv_state(client->conn) & KV_STATE_MULTI,
		"a queue without MULTI", client);
}

static void check_client(const struct kv_client *client)
{
	uint64_t state = kv_state(client->conn);

	for (int i = 0; i < TEXT_COUNT; i++)
		expect(client->texts[i] == NULL ||
				rf_is_block(client->texts[i], 1),
			"a bad name", client);
	check_queue(client);
	for (const struct kv_watch *at = client->watches; at != NULL;
		at = at->more)
		if (!expect(rf_is_block(at, sizeof *at) &&
				    at->client == client && seen.watches-- > 0,
			    "a bad watch", client))
			return;
	for (const struct kv_wait *at = client->waits; at != NULL;
		at = at->more)
		if (!expect(rf_is_block(at, sizeof *at) &&
				    at->client == client && seen.waits-- > 0,
			    "a bad wait", client))
			return;
	for (int i = 0; i < KV_CHANNEL_KIND_COUNT; i++) {
		if (rf_dict_check(&client->subs[i], "subscriptions") != 0)
			seen.error = -EBADMSG;
		seen.subs[i] -= rf_dict_count(&client->subs[i]);
	}
	expect((client->waits != NULL) == ((state & KV_STATE_BLOCKED) != 0),
		"blocked without a key, or the reverse", client);
	expect((kv_sub_count(client) > 0) ==
			((state & KV_STATE_SUBSCRIBED) != 0),
		"subscribed to nothing, or the reverse", client);
	seen.blocked += (state & KV_STATE_BLOCKED) != 0;
}

static void check_conn(const struct rf_conn *conn)
{
	const struct kv_client *client = kv_client_of(conn);

	seen.paused += (kv_state(conn) & KV_STATE_PAUSED) != 0;
	if (client == NULL)
		expect(!(kv_state(conn) &
			       (KV_STATE_MULTI | KV_STATE_SUBSCRIBED |
				       KV_STATE_BLOCKED)),
			"no block beside a connection", conn);
	else if (expect(rf_is_block(client, sizeof *client) &&
				 client->conn == conn,
			 "a bad block beside a connection", conn))
		check_client(client);
}

static bool is_timer(const struct rf_timer *timer)
{
	const struct kv_client *client =
		(const struct kv_client *)((const char *)timer -
					   offsetof(struct kv_client, timeout));

	return rf_is_block(client, sizeof *client);
}

static void walk(const struct rf_dict *dict, const char *name,
	void (*visit)(struct rf_dict_entry *entry, void *context),
	void *context)
{
	uint64_t cursor = 0;

	if (rf_dict_check(dict, name) != 0) {
		seen.error = -EBADMSG;
		return;
	}
	do
		cursor = rf_dict_scan(dict, cursor, visit, context);
	while (cursor != 0);
}

int kv_client_verify(void)
{
	memset(&seen, 0, sizeof seen);
	walk(&kv_clients->spots, "watched keys", check_spot, NULL);
	expect(seen.watches == kv_clients->watch_count, "watches miscounted",
		kv_clients);
	expect(seen.waits == kv_clients->wait_count, "waits miscounted",
		kv_clients);
	for (int i = 0; i < KV_CHANNEL_KIND_COUNT; i++)
		walk(&kv_clients->channels[i], "channels", check_channel,
			&seen.subs[i]);
	for (const struct rf_conn *conn = rf_conn_next(NULL);
		conn != NULL && seen.error == 0; conn = rf_conn_next(conn))
		check_conn(conn);
	if (rf_timers_check(&kv_clients->timeouts, is_timer, "timeouts") != 0)
		seen.error = -EBADMSG;
	if (seen.error != 0)
		return seen.error;
	expect(seen.watches == 0 && seen.waits == 0, "a node of no client",
		kv_clients);
	for (int i = 0; i < KV_CHANNEL_KIND_COUNT; i++)
		expect(seen.subs[i] == 0, "a subscription of no client",
			kv_clients);
	expect(seen.blocked == kv_clients->blocked_count &&
			seen.paused == kv_clients->paused_count,
		"blocked miscounted", kv_clients);
	expect(kv_clients->ready == NULL, "keys still ready", kv_clients);
	return seen.error;
}
