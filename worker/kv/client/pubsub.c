/* SPDX-License-Identifier: MIT */
/* pubsub.c -- who has subscribed to what.
 *
 * Channels, patterns and shard channels each have a dict of their own, and
 * each client one of its subscriptions of that kind.
 */
#include "worker/kv/client/clients.h"

static const struct {
	const char *subscribe, *unsubscribe;
} words[KV_CHANNEL_KIND_COUNT] = {
	[KV_CHANNEL] = {"subscribe", "unsubscribe"},
	[KV_PATTERN] = {"psubscribe", "punsubscribe"},
	[KV_SHARD] = {"ssubscribe", "sunsubscribe"},
};

/* As clients are told it: shard channels are counted apart. */
static uint64_t count_like(
	const struct kv_client *client, enum kv_channel_kind kind)
{
	if (client == NULL)
		return 0;
	if (kind == KV_SHARD)
		return rf_dict_count(&client->subs[KV_SHARD]);
	return rf_dict_count(&client->subs[KV_CHANNEL]) +
	       rf_dict_count(&client->subs[KV_PATTERN]);
}

uint64_t kv_sub_count(const struct kv_client *client)
{
	return count_like(client, KV_CHANNEL) + count_like(client, KV_SHARD);
}

uint64_t kv_channel_count(enum kv_channel_kind kind)
{
	return rf_dict_count(&kv_clients->channels[kind]);
}

/* ---- joining and leaving ---- */

static struct kv_channel *channel_make(
	enum kv_channel_kind kind, struct rf_bytes name)
{
	bool created;
	struct kv_channel *channel;
	struct rf_dict_entry *entry = rf_dict_put(
		&kv_clients->channels[kind], name.at, name.bytes, &created);

	if (entry == NULL)
		return NULL;
	if (!created)
		return entry->value;
	channel = rf_alloc(sizeof *channel);
	if (channel == NULL)
		return NULL;
	channel->entry = entry;
	RF_SET(entry->value, channel);
	return channel;
}

static void join(struct kv_client *client, enum kv_channel_kind kind,
	struct rf_bytes name)
{
	bool created;
	struct rf_dict_entry *entry =
		rf_dict_put(&client->subs[kind], name.at, name.bytes, &created);
	struct kv_channel *channel;
	struct kv_sub *sub;

	if (entry == NULL || !created)
		return;
	channel = channel_make(kind, name);
	sub = rf_alloc(sizeof *sub);
	if (channel == NULL || sub == NULL)
		return;
	*sub = (struct kv_sub){
		.channel = channel,
		.client = client,
		.prev = channel->last,
	};
	if (channel->last != NULL)
		RF_SET(channel->last->next, sub);
	else
		RF_SET(channel->first, sub);
	RF_SET(channel->last, sub);
	RF_SET(channel->count, channel->count + 1);
	RF_SET(entry->value, sub);
}

/* The client's own entry for it is the caller's. */
static void leave(enum kv_channel_kind kind, struct kv_sub *sub)
{
	struct kv_channel *channel = sub->channel;

	if (sub->prev != NULL)
		RF_SET(sub->prev->next, sub->next);
	else
		RF_SET(channel->first, sub->next);
	if (sub->next != NULL)
		RF_SET(sub->next->prev, sub->prev);
	else
		RF_SET(channel->last, sub->prev);
	RF_SET(channel->count, channel->count - 1);
	rf_free(sub);
	if (channel->count == 0) {
		rf_dict_remove(&kv_clients->channels[kind], channel->entry);
		rf_free(channel);
	}
}

static void mark(struct kv_client *client)
{
	bool subscribed = kv_sub_count(client) > 0;

	if (subscribed)
		kv_state_add(client->conn, KV_STATE_SUBSCRIBED);
	else
		kv_state_drop(client->conn, KV_STATE_SUBSCRIBED);
	rf_conn_set_patient(client->conn, subscribed);
}

/* ---- commands ---- */

static void tell(struct kv_call *call, const char *word,
	const struct rf_bytes *name, uint64_t count)
{
	kv_leftover.told = !call->in_exec;
	rf_resp_push(call->reply, call->proto, 3);
	rf_resp_bulk_text(call->reply, word);
	if (name != NULL)
		rf_resp_bulk(call->reply, name->at, name->bytes);
	else
		rf_resp_null(call->reply, call->proto);
	rf_resp_int(call->reply, (int64_t)count);
}

static void subscribe(struct kv_call *call, enum kv_channel_kind kind)
{
	struct kv_client *client = kv_client_need(call);

	if (client == NULL)
		return;
	for (uint32_t i = 1; i < call->argc; i++) {
		join(client, kind, call->argv[i]);
		tell(call, words[kind].subscribe, &call->argv[i],
			count_like(client, kind));
	}
	mark(client);
}

/* All of a kind are left one by one; call: NULL when nobody is told. */
static struct {
	struct kv_call *call;
	enum kv_channel_kind kind;
	uint64_t count;
} leaving;

static void leave_entry(struct rf_dict_entry *entry)
{
	struct rf_bytes name = {entry->key, entry->key_bytes};

	leave(leaving.kind, entry->value);
	leaving.count--;
	if (leaving.call != NULL)
		tell(leaving.call, words[leaving.kind].unsubscribe, &name,
			leaving.count);
}

static void leave_all(struct kv_call *call, struct kv_client *client,
	enum kv_channel_kind kind)
{
	leaving.call = call;
	leaving.kind = kind;
	leaving.count = count_like(client, kind);
	rf_dict_fini(&client->subs[kind], leave_entry);
}

static void leave_one(struct kv_call *call, struct kv_client *client,
	enum kv_channel_kind kind, const struct rf_bytes *name)
{
	struct rf_dict_entry *entry = NULL;

	if (client != NULL)
		entry = rf_dict_find(
			&client->subs[kind], name->at, name->bytes);
	if (entry != NULL) {
		leave(kind, entry->value);
		rf_dict_remove(&client->subs[kind], entry);
	}
	tell(call, words[kind].unsubscribe, name, count_like(client, kind));
}

static void unsubscribe(struct kv_call *call, enum kv_channel_kind kind)
{
	struct kv_client *client = kv_client_of(call->conn);

	for (uint32_t i = 1; i < call->argc; i++)
		leave_one(call, client, kind, &call->argv[i]);
	if (call->argc == 1) {
		if (client != NULL && rf_dict_count(&client->subs[kind]) > 0)
			leave_all(call, client, kind);
		else
			tell(call, words[kind].unsubscribe, NULL,
				count_like(client, kind));
	}
	if (client != NULL)
		mark(client);
}

void kv_unsubscribe_all(struct kv_client *client)
{
	if (kv_sub_count(client) == 0)
		return;
	for (int kind = 0; kind < KV_CHANNEL_KIND_COUNT; kind++)
		leave_all(NULL, client, (enum kv_channel_kind)kind);
	mark(client);
}

void kv_cmd_subscribe(struct kv_call *call)
{
	subscribe(call, KV_CHANNEL);
}

void kv_cmd_psubscribe(struct kv_call *call)
{
	subscribe(call, KV_PATTERN);
}

void kv_cmd_ssubscribe(struct kv_call *call)
{
	subscribe(call, KV_SHARD);
}

void kv_cmd_unsubscribe(struct kv_call *call)
{
	unsubscribe(call, KV_CHANNEL);
}

void kv_cmd_punsubscribe(struct kv_call *call)
{
	unsubscribe(call, KV_PATTERN);
}

void kv_cmd_sunsubscribe(struct kv_call *call)
{
	unsubscribe(call, KV_SHARD);
}
