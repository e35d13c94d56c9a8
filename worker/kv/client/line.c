/* SPDX-License-Identifier: MIT */
/* line.c -- CLIENT LIST and CLIENT INFO: a line for a connection.
 *
 * The fields are those of redis 7.0 in its order. What is kept for a client
 * outside of the worker (its buffers) is not known here and shown as 0.
 */
#include "worker/kv/client/line.h"
#include <stdio.h>
#include <strings.h>

static const char *const type_names[] = {
	[TYPE_NORMAL] = "normal",
	[TYPE_MASTER] = "master",
	[TYPE_REPLICA] = "replica",
	[TYPE_PUBSUB] = "pubsub",
};

bool kv_type_parse(
	struct kv_call *call, struct rf_bytes name, enum kv_client_type *type)
{
	for (int i = TYPE_NORMAL; i <= TYPE_PUBSUB; i++)
		if (kv_is(name, type_names[i])) {
			*type = (enum kv_client_type)i;
			return true;
		}
	if (kv_is(name, "slave")) {
		*type = TYPE_REPLICA;
		return true;
	}
	rf_resp_error(call->reply, "ERR Unknown client type '%.*s'",
		(int)name.bytes, name.at);
	return false;
}

enum kv_client_type kv_type_of(const struct rf_conn *conn)
{
	return kv_state(conn) & KV_STATE_SUBSCRIBED ? TYPE_PUBSUB : TYPE_NORMAL;
}

struct rf_conn *kv_conn_by_serial(int64_t serial)
{
	struct rf_conn *conn = rf_conn_next(NULL);

	while (conn != NULL && (int64_t)rf_conn_serial(conn->id) != serial)
		conn = rf_conn_next(conn);
	return conn;
}

static bool is_unix(const char *address)
{
	return strncmp(address, "unix:", 5) == 0;
}

struct rf_bytes kv_local_address(const struct rf_conn *conn)
{
	const char *listen = kv_env->setting("network.listen");

	if (is_unix(conn->peer))
		return (struct rf_bytes){conn->peer, strlen(conn->peer)};
	while (listen != NULL && is_unix(listen)) {
		listen = strpbrk(listen, " ,");
		if (listen != NULL)
			listen += strspn(listen, " ,");
	}
	if (listen == NULL)
		listen = "";
	return (struct rf_bytes){listen, strcspn(listen, " ,")};
}

/* ---- a line ---- */

static void flag_letters(const struct rf_conn *conn, char *to)
{
	static const struct {
		uint64_t flags;
		char letter;
	} table[] = {
		{KV_STATE_SUBSCRIBED, 'P'},
		{KV_STATE_MULTI, 'x'},
		{KV_STATE_BLOCKED | KV_STATE_PAUSED, 'b'},
		{KV_STATE_TOUCHED, 'd'},
		{KV_STATE_NO_EVICT, 'e'},
	};
	char *at = to;

	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (kv_state(conn) & table[i].flags)
			*at++ = table[i].letter;
	if (is_unix(conn->peer))
		*at++ = 'U';
	if (at == to)
		*at++ = 'N';
	*at = '\0';
}

static const char *last_command(const struct rf_conn *conn)
{
	uint64_t last = conn->user[KV_CONN_LAST];
	size_t index = last & ((1 << KV_LAST_SHIFT) - 1);

	if (last == 0)
		return "NULL";
	if (index < kv_command_count)
		return kv_commands[index].name;
	index -= kv_command_count;
	return index < kv_subcommand_count ? kv_subcommands[index].name
					   : "NULL";
}

static int64_t seconds(int64_t ms)
{
	return ms > 0 ? ms / 1000 : 0;
}

/* Bytes of the request as it was sent. */
static size_t request_bytes(const struct kv_call *call)
{
	char digits[RF_DECIMAL_MAX];
	size_t bytes = rf_resp_decimal(digits, call->argc) + 3;

	for (uint32_t i = 0; i < call->argc; i++)
		bytes += rf_resp_decimal(digits, (int64_t)call->argv[i].bytes) +
			 call->argv[i].bytes + 5;
	return bytes;
}

static size_t argument_bytes(const struct kv_call *call)
{
	size_t bytes = 0;

	for (uint32_t i = 0; i < call->argc; i++)
		bytes += call->argv[i].bytes;
	return bytes;
}

static const char *text_of(
	const struct kv_client *client, enum kv_client_text which)
{
	if (client == NULL || client->texts[which] == NULL)
		return "";
	return client->texts[which];
}

/* The parts of a line, each with its numbers. */
static size_t put_who(const struct kv_call *call, const struct rf_conn *conn,
	char *to, size_t room)
{
	struct rf_bytes local = kv_local_address(conn);
	int64_t last_ms = (int64_t)(conn->user[KV_CONN_LAST] >> KV_LAST_SHIFT);
	char flags[16];

	flag_letters(conn, flags);
	return (size_t)snprintf(to, room,
		"id=%llu addr=%s laddr=%.*s fd=%u name=%.256s age=%lld "
		"idle=%lld flags=%s db=%u",
		(unsigned long long)rf_conn_serial(conn->id), conn->peer,
		(int)local.bytes, local.at,
		(unsigned)(conn->id & ((1 << RF_CONN_SLOT_BITS) - 1)),
		text_of(kv_client_of(conn), CLIENT_NAME),
		(long long)seconds(call->now_ms - conn->opened_at_ms),
		(long long)seconds(last_ms == 0 ? 0 : call->now_ms - last_ms),
		flags, kv_state_db(kv_state(conn)));
}

static size_t put_what(const struct kv_call *call, const struct rf_conn *conn,
	char *to, size_t room)
{
	static const struct kv_client none;
	const struct kv_client *client = kv_client_of(conn);
	bool own = conn == call->conn;
	size_t memory = sizeof *conn + (client != NULL ? sizeof *client : 0);

	if (client == NULL)
		client = &none;
	return (size_t)snprintf(to, room,
		" sub=%llu psub=%llu ssub=%llu multi=%lld qbuf=%zu qbuf-free=0 "
		"argv-mem=%zu multi-mem=%llu rbs=0 rbp=0 obl=0 oll=0 omem=0 "
		"tot-mem=%llu events=r cmd=%s user=default redir=-1 resp=%d "
		"lib-name=%.256s lib-ver=%.256s\n",
		(unsigned long long)rf_dict_count(&client->subs[KV_CHANNEL]),
		(unsigned long long)rf_dict_count(&client->subs[KV_PATTERN]),
		(unsigned long long)rf_dict_count(&client->subs[KV_SHARD]),
		kv_state(conn) & KV_STATE_MULTI ? (long long)client->queue_count
						: -1,
		own ? request_bytes(call) : 0, own ? argument_bytes(call) : 0,
		(unsigned long long)client->queue_bytes,
		(unsigned long long)(memory + client->queue_bytes),
		last_command(conn), kv_state_proto(kv_state(conn)),
		text_of(client, CLIENT_LIB_NAME),
		text_of(client, CLIENT_LIB_VER));
}

#define LINE_BYTES_MAX 2048

/* Lines become one text, whose header is slipped in at the end. */
static void put_line(struct kv_call *call, const struct rf_conn *conn)
{
	char line[LINE_BYTES_MAX];
	size_t bytes = put_who(call, conn, line, sizeof line);

	bytes += put_what(call, conn, line + bytes, sizeof line - bytes);
	rf_reply_bytes(call->reply, line, bytes);
}

static void end_text(struct kv_call *call, size_t mark)
{
	size_t bytes = rf_reply_size(call->reply) - mark;
	char head[48];
	int head_bytes;

	if (call->proto >= 3)
		head_bytes =
			snprintf(head, sizeof head, "=%zu\r\ntxt:", bytes + 4);
	else
		head_bytes = snprintf(head, sizeof head, "$%zu\r\n", bytes);
	rf_reply_insert(call->reply, mark, head, (size_t)head_bytes);
	rf_reply_bytes(call->reply, "\r\n", 2);
}

/* ---- commands ---- */

void kv_cmd_client_info(struct kv_call *call)
{
	size_t mark = rf_reply_size(call->reply);

	put_line(call, call->conn);
	end_text(call, mark);
}

static void list_ids(struct kv_call *call)
{
	size_t mark = rf_reply_size(call->reply);

	for (uint32_t i = 3; i < call->argc; i++) {
		struct rf_conn *conn;
		int64_t id;

		if (!kv_parse_int(call->argv[i].at, call->argv[i].bytes, &id)) {
			rf_reply_truncate(call->reply, mark);
			rf_resp_error(call->reply, "ERR Invalid client ID");
			return;
		}
		conn = kv_conn_by_serial(id);
		if (conn != NULL)
			put_line(call, conn);
	}
	end_text(call, mark);
}

static void list_type(struct kv_call *call, int type)
{
	size_t mark = rf_reply_size(call->reply);

	for (struct rf_conn *conn = rf_conn_next(NULL); conn != NULL;
		conn = rf_conn_next(conn))
		if (type < 0 || (int)kv_type_of(conn) == type)
			put_line(call, conn);
	end_text(call, mark);
}

void kv_cmd_client_list(struct kv_call *call)
{
	enum kv_client_type type;

	if (call->argc == 2) {
		list_type(call, -1);
	} else if (call->argc == 4 && kv_is(call->argv[2], "TYPE")) {
		if (kv_type_parse(call, call->argv[3], &type))
			list_type(call, (int)type);
	} else if (call->argc > 3 && kv_is(call->argv[2], "ID")) {
		list_ids(call);
	} else {
		kv_reply_syntax(call);
	}
}
