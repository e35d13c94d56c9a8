/* SPDX-License-Identifier: MIT */
/* connection.c -- commands on the connection itself. */
#include "kv.h"
#include <stdio.h>

void kv_cmd_ping(struct kv_call *call)
{
	if (call->argc > 2)
		kv_wrong_arity(call);
	else if (call->argc == 2)
		rf_resp_bulk(
			call->reply, call->argv[1].at, call->argv[1].bytes);
	else
		rf_resp_simple(call->reply, "PONG");
}

void kv_cmd_echo(struct kv_call *call)
{
	rf_resp_bulk(call->reply, call->argv[1].at, call->argv[1].bytes);
}

void kv_cmd_quit(struct kv_call *call)
{
	rf_resp_simple(call->reply, "OK");
	rf_reply_close(call->reply);
}

void kv_cmd_select(struct kv_call *call)
{
	int64_t db;

	if (!kv_arg_int(call, 1, &db))
		return;
	if (db != 0)
		rf_resp_error(call->reply, "ERR DB index is out of range");
	else
		rf_resp_simple(call->reply, "OK");
}

/* ---- what a client says of itself ---- */

static const char *field(const struct kv_call *call, enum kv_conn_field which)
{
	return (const char *)call->req->conn->user[which];
}

static bool printable(struct rf_bytes text)
{
	for (size_t i = 0; i < text.bytes; i++)
		if (text.at[i] < '!' || text.at[i] > '~')
			return false;
	return true;
}

/* An empty text is none. */
static bool set_field(struct kv_call *call, enum kv_conn_field which,
	const char *what, struct rf_bytes text)
{
	uint64_t *slot = &call->req->conn->user[which];
	char *block = NULL;

	if (!printable(text)) {
		rf_resp_error(call->reply,
			"ERR %s cannot contain spaces, newlines or special "
			"characters.",
			what);
		return false;
	}
	if (text.bytes > 0) {
		block = rf_alloc_uninit(text.bytes + 1);
		if (block == NULL)
			return false;
		memcpy(block, text.at, text.bytes);
		block[text.bytes] = '\0';
	}
	rf_free((void *)*slot);
	RF_SET(*slot, (uint64_t)block);
	return true;
}

static bool set_name(struct kv_call *call, struct rf_bytes name)
{
	return set_field(call, KV_CONN_NAME, "Client names", name);
}

void kv_cmd_client_setname(struct kv_call *call)
{
	if (set_name(call, call->argv[2]))
		rf_resp_simple(call->reply, "OK");
}

void kv_cmd_client_getname(struct kv_call *call)
{
	const char *name = field(call, KV_CONN_NAME);

	if (name != NULL)
		rf_resp_bulk_text(call->reply, name);
	else
		rf_resp_null(call->reply, call->proto);
}

void kv_cmd_client_setinfo(struct kv_call *call)
{
	bool done;

	if (kv_is(call->argv[2], "LIB-NAME")) {
		done = set_field(
			call, KV_CONN_LIB_NAME, "lib-name", call->argv[3]);
	} else if (kv_is(call->argv[2], "LIB-VER")) {
		done = set_field(
			call, KV_CONN_LIB_VER, "lib-ver", call->argv[3]);
	} else {
		rf_resp_error(call->reply, "ERR Unrecognized option '%.*s'",
			(int)call->argv[2].bytes, call->argv[2].at);
		return;
	}
	if (done)
		rf_resp_simple(call->reply, "OK");
}

void kv_cmd_client_id(struct kv_call *call)
{
	rf_resp_int(call->reply, (int64_t)rf_conn_serial(call->req->conn->id));
}

void kv_cmd_client_info(struct kv_call *call)
{
	const struct rf_conn *conn = call->req->conn;
	const char *name = field(call, KV_CONN_NAME);
	const char *lib_name = field(call, KV_CONN_LIB_NAME);
	const char *lib_ver = field(call, KV_CONN_LIB_VER);
	char text[1024];
	int bytes = snprintf(text, sizeof text,
		"id=%llu addr=%s name=%.255s age=%lld flags=N db=0 "
		"cmd=client|info user=default lib-name=%.255s lib-ver=%.255s "
		"resp=%d\n",
		(unsigned long long)rf_conn_serial(conn->id), conn->peer,
		name != NULL ? name : "",
		(long long)(call->now_ms - conn->opened_at_ms) / 1000,
		lib_name != NULL ? lib_name : "",
		lib_ver != NULL ? lib_ver : "", call->proto);

	rf_resp_verbatim(call->reply, call->proto, text, (size_t)bytes);
}

void kv_cmd_client_help(struct kv_call *call)
{
	kv_help(call);
}

/* ---- HELLO ---- */

/* [AUTH user password] [SETNAME name]. There are no passwords: as in redis
 * without one, the user "default" may give any, and there are no others. */
static bool hello_options(struct kv_call *call)
{
	for (uint32_t i = 2; i < call->argc; i++) {
		uint32_t more = call->argc - 1 - i;

		if (kv_is(call->argv[i], "AUTH") && more >= 2) {
			if (!kv_is(call->argv[i + 1], "default")) {
				rf_resp_error(call->reply,
					"WRONGPASS invalid username-password "
					"pair or user is disabled.");
				return false;
			}
			i += 2;
		} else if (kv_is(call->argv[i], "SETNAME") && more >= 1) {
			if (!set_name(call, call->argv[++i]))
				return false;
		} else {
			rf_resp_error(call->reply,
				"ERR Syntax error in HELLO option '%.*s'",
				(int)call->argv[i].bytes, call->argv[i].at);
			return false;
		}
	}
	return true;
}

/* false: the error has been replied. */
static bool hello_version(struct kv_call *call, int64_t *proto)
{
	if (!kv_parse_int(call->argv[1].at, call->argv[1].bytes, proto)) {
		rf_resp_error(call->reply,
			"ERR Protocol version is not an integer or out of "
			"range");
		return false;
	}
	if (*proto < 2 || *proto > 3) {
		rf_resp_error(
			call->reply, "NOPROTO unsupported protocol version");
		return false;
	}
	return true;
}

void kv_cmd_hello(struct kv_call *call)
{
	int64_t proto = call->proto;
	struct rf_reply *reply = call->reply;

	if ((call->argc > 1 && !hello_version(call, &proto)) ||
		!hello_options(call))
		return;
	RF_SET(call->req->conn->user[KV_CONN_PROTO], (uint64_t)proto);
	rf_resp_map(reply, (int)proto, 7);
	rf_resp_bulk_text(reply, "server");
	rf_resp_bulk_text(reply, "redis");
	rf_resp_bulk_text(reply, "version");
	rf_resp_bulk_text(reply, KV_REDIS_VERSION);
	rf_resp_bulk_text(reply, "proto");
	rf_resp_int(reply, proto);
	rf_resp_bulk_text(reply, "id");
	rf_resp_int(reply, (int64_t)rf_conn_serial(call->req->conn->id));
	rf_resp_bulk_text(reply, "mode");
	rf_resp_bulk_text(reply, "standalone");
	rf_resp_bulk_text(reply, "role");
	rf_resp_bulk_text(reply, "master");
	rf_resp_bulk_text(reply, "modules");
	rf_resp_array(reply, 0);
}
