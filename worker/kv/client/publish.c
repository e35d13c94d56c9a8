/* SPDX-License-Identifier: MIT */
/* publish.c -- messages to subscribers, and the PUBSUB command.
 *
 * What RESP 2 and 3 have a message look like differs in its first byte: it is
 * built once, and that byte set for each receiver.
 */
#include "worker/kv/client/clients.h"
#include <errno.h>
#include <stdlib.h>

#define KEEP_BYTES (1 << 20) /* of the buffer, between messages */

static struct {
	char *at;
	size_t bytes, room;
} message;

static bool grow(char **at, size_t *room, size_t need)
{
	size_t wide = need > *room * 2 ? need : *room * 2;
	char *wider;

	if (need <= *room)
		return true;
	wider = realloc(*at, wide);
	if (wider == NULL) {
		rf_tx_fail(-ENOMEM);
		return false;
	}
	*at = wider;
	*room = wide;
	return true;
}

static void put(const void *from, size_t bytes)
{
	if (bytes > 0)
		memcpy(message.at + message.bytes, from, bytes);
	message.bytes += bytes;
}

static void put_line(char type, size_t number)
{
	put(&type, 1);
	message.bytes +=
		rf_resp_decimal(message.at + message.bytes, (int64_t)number);
	put("\r\n", 2);
}

#define PART_BYTES_MORE (RF_DECIMAL_MAX + 5) /* around a bulk */

/* false: no memory. */
static bool build(const struct rf_bytes *parts, size_t count)
{
	size_t need = PART_BYTES_MORE;

	for (size_t i = 0; i < count; i++)
		need += parts[i].bytes + PART_BYTES_MORE;
	if (!grow(&message.at, &message.room, need))
		return false;
	message.bytes = 0;
	put_line('*', count);
	for (size_t i = 0; i < count; i++) {
		put_line('$', parts[i].bytes);
		put(parts[i].at, parts[i].bytes);
		put("\r\n", 2);
	}
	return true;
}

/* What the caller itself is sent goes before its reply. */
static void keep_own(void)
{
	struct kv_leftover *left = &kv_leftover;

	if (!grow(&left->own, &left->own_room, left->own_bytes + message.bytes))
		return;
	memcpy(left->own + left->own_bytes, message.at, message.bytes);
	left->own_bytes += message.bytes;
	left->any = true;
}

static void send_to(struct kv_call *call, const struct kv_channel *channel)
{
	for (struct kv_sub *at = channel->first; at != NULL; at = at->next) {
		struct rf_conn *conn = at->client->conn;

		message.at[0] = kv_state(conn) & KV_STATE_RESP3 ? '>' : '*';
		if (conn == call->conn)
			keep_own();
		else
			rf_push(conn->id, message.at, message.bytes);
	}
}

struct news {
	struct kv_call *call;
	struct rf_bytes channel, text;
	uint64_t receivers;
};

static void send_if_matches(struct rf_dict_entry *entry, void *context)
{
	struct news *news = context;
	const struct kv_channel *pattern = entry->value;
	struct rf_bytes parts[] = {{"pmessage", 8},
		{entry->key, entry->key_bytes}, news->channel, news->text};

	if (!kv_glob(parts[1], news->channel.at, news->channel.bytes, false))
		return;
	if (!build(parts, 4))
		return;
	send_to(news->call, pattern);
	news->receivers += pattern->count;
}

uint64_t kv_publish(struct kv_call *call, enum kv_channel_kind kind,
	struct rf_bytes channel, struct rf_bytes text)
{
	struct rf_bytes parts[] = {{kind == KV_SHARD ? "smessage" : "message",
					   kind == KV_SHARD ? 8 : 7},
		channel, text};
	struct news news = {call, channel, text, 0};
	const struct rf_dict_entry *entry = rf_dict_find(
		&kv_clients->channels[kind], channel.at, channel.bytes);
	uint64_t cursor = 0;

	if (entry != NULL && build(parts, 3)) {
		const struct kv_channel *found = entry->value;

		send_to(call, found);
		news.receivers = found->count;
	}
	if (kind == KV_CHANNEL &&
		rf_dict_count(&kv_clients->channels[KV_PATTERN]) > 0)
		do
			cursor = rf_dict_scan(&kv_clients->channels[KV_PATTERN],
				cursor, send_if_matches, &news);
		while (cursor != 0);
	if (message.room > KEEP_BYTES) {
		free(message.at);
		message.at = NULL;
		message.room = 0;
	}
	return news.receivers;
}

void kv_cmd_publish(struct kv_call *call)
{
	rf_resp_int(call->reply, (int64_t)kv_publish(call, KV_CHANNEL,
					 call->argv[1], call->argv[2]));
}

void kv_cmd_spublish(struct kv_call *call)
{
	rf_resp_int(call->reply, (int64_t)kv_publish(call, KV_SHARD,
					 call->argv[1], call->argv[2]));
}

/* ---- PUBSUB ---- */

struct listing {
	struct kv_call *call;
	struct rf_bytes pattern; /* at NULL: all */
	size_t count;
};

static void list_channel(struct rf_dict_entry *entry, void *context)
{
	struct listing *listing = context;

	if (listing->pattern.at != NULL &&
		!kv_glob(listing->pattern, entry->key, entry->key_bytes, false))
		return;
	rf_resp_bulk(listing->call->reply, entry->key, entry->key_bytes);
	listing->count++;
}

static void list_channels(struct kv_call *call, enum kv_channel_kind kind)
{
	struct listing listing = {.call = call};
	size_t mark = rf_reply_size(call->reply);
	uint64_t cursor = 0;

	if (call->argc > 3) {
		rf_resp_error(call->reply,
			"ERR unknown subcommand or wrong number of arguments "
			"for '%.*s'. Try PUBSUB HELP.",
			(int)call->argv[1].bytes, call->argv[1].at);
		return;
	}
	if (call->argc == 3)
		listing.pattern = call->argv[2];
	do
		cursor = rf_dict_scan(&kv_clients->channels[kind], cursor,
			list_channel, &listing);
	while (cursor != 0);
	rf_resp_array_at(call->reply, mark, listing.count);
}

static void count_subscribers(struct kv_call *call, enum kv_channel_kind kind)
{
	rf_resp_array(call->reply, (call->argc - 2) * 2);
	for (uint32_t i = 2; i < call->argc; i++) {
		struct rf_bytes name = call->argv[i];
		const struct rf_dict_entry *entry = rf_dict_find(
			&kv_clients->channels[kind], name.at, name.bytes);
		const struct kv_channel *channel =
			entry != NULL ? entry->value : NULL;

		rf_resp_bulk(call->reply, name.at, name.bytes);
		rf_resp_int(call->reply,
			channel != NULL ? (int64_t)channel->count : 0);
	}
}

void kv_cmd_pubsub_channels(struct kv_call *call)
{
	list_channels(call, KV_CHANNEL);
}

void kv_cmd_pubsub_shardchannels(struct kv_call *call)
{
	list_channels(call, KV_SHARD);
}

void kv_cmd_pubsub_numsub(struct kv_call *call)
{
	count_subscribers(call, KV_CHANNEL);
}

void kv_cmd_pubsub_shardnumsub(struct kv_call *call)
{
	count_subscribers(call, KV_SHARD);
}

void kv_cmd_pubsub_numpat(struct kv_call *call)
{
	rf_resp_int(call->reply,
		(int64_t)rf_dict_count(&kv_clients->channels[KV_PATTERN]));
}

void kv_cmd_pubsub_help(struct kv_call *call)
{
	kv_help(call);
}
