/* SPDX-License-Identifier: MIT */
/* walk.c -- what clients have beside their connections.
 *
 * A node of two lists is its client's: that side walks its block. Seen from the
 * other side, it need only be one of them, and know what points to it.
 */
#include "worker/kv/walk.h"
#include "worker/kv/client/clients.h"

struct room {
	const struct kv_clients *clients;
	/* from the side of the clients */
	uint64_t watches, waits, blocked, paused, subs[KV_CHANNEL_KIND_COUNT];
	/* from that of the keys and channels */
	uint64_t key_watches, key_waits, channel_subs[KV_CHANNEL_KIND_COUNT];
};

static bool expect(
	struct rf_walk *walk, bool cond, const char *what, const void *at)
{
	if (!cond)
		rf_walk_problem(walk, at, "%s", what);
	return cond;
}

static bool is_client(struct rf_walk *walk, const struct kv_client *client)
{
	return rf_walk_holds(walk, client, sizeof *client) &&
	       rf_walk_is_conn(walk, client->conn) &&
	       kv_client_of(client->conn) == client;
}

/* ---- from the side of the keys and channels ---- */

static void walk_spot_lists(
	struct rf_walk *walk, const struct kv_spot *spot, struct room *room)
{
	struct kv_watch *const *link = &spot->watches;
	const struct kv_wait *prev = NULL;

	for (const struct kv_watch *at = *link; at != NULL; at = at->next) {
		if (!expect(walk,
			    rf_walk_holds(walk, at, sizeof *at) &&
				    at->spot == spot && at->link == link &&
				    is_client(walk, at->client),
			    "a bad watch of a key", at))
			return;
		link = (struct kv_watch *const *)&at->next;
		room->key_watches++;
	}
	for (const struct kv_wait *at = spot->first; at != NULL;
		at = at->next) {
		if (!expect(walk,
			    rf_walk_holds(walk, at, sizeof *at) &&
				    at->spot == spot && at->prev == prev &&
				    is_client(walk, at->client),
			    "a bad wait for a key", at))
			return;
		prev = at;
		room->key_waits++;
	}
	expect(walk, spot->last == prev, "waits end elsewhere", spot);
}

static void walk_spot(
	struct rf_walk *walk, const struct rf_dict_entry *entry, void *context)
{
	const struct kv_spot *spot = entry->value;

	if (!rf_walk_block(walk, spot, sizeof *spot, "watched key"))
		return;
	expect(walk,
		spot->entry == entry && entry->key_bytes >= sizeof(uint32_t),
		"a watched key of another name", spot);
	expect(walk, spot->watches != NULL || spot->first != NULL,
		"a key that nobody watches", spot);
	expect(walk, !spot->is_ready && spot->next_ready == NULL,
		"a watched key still ready", spot);
	walk_spot_lists(walk, spot, context);
}

static void walk_channel(
	struct rf_walk *walk, const struct rf_dict_entry *entry, void *context)
{
	const struct kv_channel *channel = entry->value;
	const struct kv_sub *prev = NULL;
	uint64_t *total = context, count = 0;

	if (!rf_walk_block(walk, channel, sizeof *channel, "channel"))
		return;
	expect(walk, channel->entry == entry, "a channel of another name",
		channel);
	for (const struct kv_sub *at = channel->first; at != NULL;
		at = at->next) {
		if (!expect(walk,
			    rf_walk_holds(walk, at, sizeof *at) &&
				    at->channel == channel &&
				    at->prev == prev &&
				    is_client(walk, at->client),
			    "a bad subscription", at))
			return;
		prev = at;
		count++;
	}
	expect(walk,
		channel->last == prev && channel->count == count && count > 0,
		"a channel has another number of subscribers", channel);
	*total += count;
}

/* ---- from the side of the clients ---- */

static void walk_text(struct rf_walk *walk, const char *text)
{
	if (text == NULL || !rf_walk_block(walk, text, 1, "client's name"))
		return;
	expect(walk, memchr(text, 0, rf_walk_usable(walk, text)) != NULL,
		"a name without an end", text);
}

/* The arguments stand behind the head, one after the other. */
static const char *queued_fault(
	struct rf_walk *walk, const struct kv_queued *queued)
{
	size_t room = rf_walk_usable(walk, queued) - sizeof *queued;
	const char *to;

	if (queued->argc == 0 || queued->argc > room / sizeof *queued->argv)
		return "a queued command does not fit its block";
	room -= queued->argc * sizeof *queued->argv;
	to = (const char *)&queued->argv[queued->argc];
	for (uint64_t i = 0; i < queued->argc; i++) {
		if (queued->argv[i].at != to || queued->argv[i].bytes > room)
			return "a queued command with arguments elsewhere";
		to += queued->argv[i].bytes;
		room -= queued->argv[i].bytes;
	}
	return NULL;
}

static void walk_queue(struct rf_walk *walk, const struct kv_client *client)
{
	const struct kv_queued *last = NULL;
	uint64_t count = 0, bytes = 0;

	for (const struct kv_queued *at = client->queue; at != NULL;
		at = at->next) {
		const char *fault;

		if (!rf_walk_block(walk, at, sizeof *at, "queued command"))
			return;
		fault = queued_fault(walk, at);
		expect(walk, fault == NULL, fault, at);
		bytes += rf_walk_usable(walk, at);
		last = at;
		count++;
	}
	expect(walk,
		count == client->queue_count && client->queue_last == last &&
			bytes == client->queue_bytes,
		"a queue of another length", client);
	expect(walk, count == 0 || kv_state(client->conn) & KV_STATE_MULTI,
		"a queue without MULTI", client);
}

static bool is_spot(struct rf_walk *walk, const struct kv_spot *spot)
{
	return rf_walk_holds(walk, spot, sizeof *spot);
}

static void walk_nodes(
	struct rf_walk *walk, const struct kv_client *client, struct room *room)
{
	for (const struct kv_watch *at = client->watches; at != NULL;
		at = at->more, room->watches++) {
		if (!rf_walk_block(walk, at, sizeof *at, "watch"))
			break;
		expect(walk,
			at->client == client && is_spot(walk, at->spot) &&
				at->was_expired <= 1,
			"the watch of another client", at);
	}
	for (const struct kv_wait *at = client->waits; at != NULL;
		at = at->more, room->waits++) {
		if (!rf_walk_block(walk, at, sizeof *at, "wait"))
			break;
		expect(walk, at->client == client && is_spot(walk, at->spot),
			"the wait of another client", at);
	}
}

static void walk_sub(
	struct rf_walk *walk, const struct rf_dict_entry *entry, void *context)
{
	const struct kv_sub *sub = entry->value;

	if (rf_walk_block(walk, sub, sizeof *sub, "subscription"))
		expect(walk,
			sub->client == context &&
				rf_walk_holds(walk, sub->channel,
					sizeof *sub->channel),
			"the subscription of another client", sub);
}

static void walk_client(
	struct rf_walk *walk, struct kv_client *client, struct room *room)
{
	uint64_t state = kv_state(client->conn), subs = 0;

	for (int i = 0; i < TEXT_COUNT; i++)
		walk_text(walk, client->texts[i]);
	walk_queue(walk, client);
	walk_nodes(walk, client, room);
	for (int i = 0; i < KV_CHANNEL_KIND_COUNT; i++) {
		rf_walk_dict(walk, &client->subs[i], walk_sub, client);
		room->subs[i] += rf_dict_count(&client->subs[i]);
		subs += rf_dict_count(&client->subs[i]);
	}
	expect(walk,
		(client->waits != NULL) == ((state & KV_STATE_BLOCKED) != 0),
		"blocked without a key, or the reverse", client);
	expect(walk, (subs > 0) == ((state & KV_STATE_SUBSCRIBED) != 0),
		"subscribed to nothing, or the reverse", client);
	room->blocked += (state & KV_STATE_BLOCKED) != 0;
}

static void walk_conn(
	struct rf_walk *walk, const struct rf_conn *conn, struct room *room)
{
	struct kv_client *client = kv_client_of(conn);
	struct rf_walk_scope scope;

	rf_walk_enter(walk, &scope, "client", conn->peer,
		strnlen(conn->peer, sizeof conn->peer));
	room->paused += (kv_state(conn) & KV_STATE_PAUSED) != 0;
	if (client == NULL)
		expect(walk,
			!(kv_state(conn) &
				(KV_STATE_MULTI | KV_STATE_SUBSCRIBED |
					KV_STATE_BLOCKED)),
			"no block beside a connection", conn);
	else if (rf_walk_block(walk, client, sizeof *client, "client") &&
		 expect(walk, client->conn == conn,
			 "a connection has the block of another one", client))
		walk_client(walk, client, room);
	rf_walk_leave(walk);
}

/* ---- the whole ---- */

static bool is_timer(
	struct rf_walk *walk, const struct rf_timer *timer, void *context)
{
	uint64_t client = (uint64_t)timer - offsetof(struct kv_client, timeout);

	(void)context;
	return rf_walk_holds(
		walk, (const void *)client, sizeof(struct kv_client));
}

static void compare(struct rf_walk *walk, const struct room *room)
{
	const struct kv_clients *clients = room->clients;

	expect(walk,
		room->watches == clients->watch_count &&
			room->key_watches == clients->watch_count,
		"watches miscounted", clients);
	expect(walk,
		room->waits == clients->wait_count &&
			room->key_waits == clients->wait_count,
		"waits miscounted", clients);
	for (int i = 0; i < KV_CHANNEL_KIND_COUNT; i++)
		expect(walk, room->subs[i] == room->channel_subs[i],
			"a subscription of no client", clients);
	expect(walk,
		room->blocked == clients->blocked_count &&
			room->paused == clients->paused_count,
		"blocked miscounted", clients);
	expect(walk, clients->ready == NULL && clients->ready_last == NULL,
		"keys still ready", clients);
	expect(walk, clients->pause <= PAUSE_ALL, "a pause of no kind",
		clients);
}

static void walk_password(
	struct rf_walk *walk, const struct kv_clients *clients)
{
	if (clients->password != NULL)
		rf_walk_block(walk, clients->password, clients->password_bytes,
			"password");
	expect(walk,
		(clients->password != NULL) == (clients->password_bytes > 0) &&
			clients->password_is_set <= 1,
		"a password of another length", clients);
}

void kv_client_walk(struct rf_walk *walk, const struct kv_clients *clients)
{
	static const char *const kinds[KV_CHANNEL_KIND_COUNT] = {
		"channels", "patterns", "shard channels"};
	struct room room = {.clients = clients};
	struct rf_walk_scope scope;

	rf_walk_thing(walk, &clients->spots, "dict of watched keys",
		rf_dict_count(&clients->spots));
	rf_walk_dict(walk, &clients->spots, walk_spot, &room);
	for (int i = 0; i < KV_CHANNEL_KIND_COUNT; i++) {
		rf_walk_enter(walk, &scope, "", kinds[i], strlen(kinds[i]));
		rf_walk_thing(walk, &clients->channels[i], "dict",
			rf_dict_count(&clients->channels[i]));
		rf_walk_dict(walk, &clients->channels[i], walk_channel,
			&room.channel_subs[i]);
		rf_walk_leave(walk);
	}
	for (const struct rf_conn *conn = rf_walk_conn(walk, NULL);
		conn != NULL; conn = rf_walk_conn(walk, conn))
		walk_conn(walk, conn, &room);
	rf_walk_timers(walk, &clients->timeouts, is_timer, NULL);
	walk_password(walk, clients);
	compare(walk, &room);
}
