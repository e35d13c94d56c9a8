/* SPDX-License-Identifier: MIT */
/* connection.c -- commands on the connection itself. */
#include "worker/kv/client/clients.h"

void kv_cmd_ping(struct kv_call *call)
{
	bool subscribed = kv_state(call->conn) & KV_STATE_SUBSCRIBED;
	struct rf_bytes text = {"", 0};

	if (call->argc > 2) {
		kv_wrong_arity(call);
		return;
	}
	if (call->argc == 2)
		text = call->argv[1];
	if (subscribed && call->proto == 2) {
		rf_resp_array(call->reply, 2);
		rf_resp_bulk_text(call->reply, "pong");
		rf_resp_bulk(call->reply, text.at, text.bytes);
	} else if (call->argc == 2) {
		rf_resp_bulk(call->reply, text.at, text.bytes);
	} else {
		rf_resp_simple(call->reply, "PONG");
	}
}

void kv_cmd_echo(struct kv_call *call)
{
	rf_resp_bulk(call->reply, call->argv[1].at, call->argv[1].bytes);
}

void kv_cmd_quit(struct kv_call *call)
{
	kv_reply_ok(call);
	rf_reply_close(call->reply);
}

static void select_db(struct rf_conn *conn, uint64_t db)
{
	uint64_t flags =
		kv_state(conn) & (((uint64_t)1 << KV_STATE_DB_SHIFT) - 1);

	kv_state_set(conn, flags | db << KV_STATE_DB_SHIFT);
}

void kv_cmd_select(struct kv_call *call)
{
	int64_t db;

	if (!kv_arg_int(call, 1, &db))
		return;
	if (db != (int32_t)db) {
		rf_resp_error(call->reply,
			"ERR value is out of range, value must between "
			"-2147483648 and 2147483647");
		return;
	}
	if (db < 0 || db >= (int64_t)kv_database_count()) {
		rf_resp_error(call->reply, "ERR DB index is out of range");
		return;
	}
	select_db(call->conn, (uint64_t)db);
	kv_call_bind(call);
	kv_reply_ok(call);
}

/* As if it had just connected, but for its number and what it said of its
 * library. */
void kv_cmd_reset(struct kv_call *call)
{
	struct kv_client *client = kv_client_of(call->conn);
	uint64_t kept = kv_state(call->conn) & KV_STATE_NO_EVICT;

	if (client != NULL) {
		kv_multi_discard(call->conn);
		kv_unsubscribe_all(client);
		rf_free(client->texts[CLIENT_NAME]);
		RF_SET(client->texts[CLIENT_NAME], NULL);
	}
	if (kv_auth_password().bytes == 0)
		kept |= kv_state(call->conn) & KV_STATE_AUTH;
	kv_state_set(call->conn, kept);
	kv_call_bind(call);
	rf_resp_simple(call->reply, "RESET");
}

/* ---- HELLO ---- */

/* [AUTH user password] [SETNAME name] */
static bool hello_options(struct kv_call *call)
{
	for (uint32_t i = 2; i < call->argc; i++) {
		const struct rf_bytes *arg = &call->argv[i];
		uint32_t more = call->argc - 1 - i;

		if (kv_is(arg[0], "AUTH") && more >= 2) {
			if (!kv_auth_check(arg[1], arg[2])) {
				rf_resp_error(call->reply, KV_ERR_WRONGPASS);
				return false;
			}
			kv_state_add(call->conn, KV_STATE_AUTH);
			i += 2;
		} else if (kv_is(arg[0], "SETNAME") && more >= 1) {
			if (!kv_client_set_text(
				    call, CLIENT_NAME, "Client names", arg[1]))
				return false;
			i++;
		} else {
			rf_resp_error(call->reply,
				"ERR Syntax error in HELLO option '%.*s'",
				(int)arg->bytes, arg->at);
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

static bool hello_allowed(struct kv_call *call)
{
	if (kv_auth_password().bytes == 0 ||
		kv_state(call->conn) & KV_STATE_AUTH)
		return true;
	rf_resp_error(call->reply,
		"NOAUTH HELLO must be called with the client already "
		"authenticated, otherwise the HELLO <proto> AUTH <user> "
		"<pass> option can be used to authenticate the client and "
		"select the RESP protocol version at the same time");
	return false;
}

static void reply_pair(struct rf_reply *reply, const char *name, const char *is)
{
	rf_resp_bulk_text(reply, name);
	rf_resp_bulk_text(reply, is);
}

void kv_cmd_hello(struct kv_call *call)
{
	int64_t proto = call->proto;
	struct rf_reply *reply = call->reply;

	if ((call->argc > 1 && !hello_version(call, &proto)) ||
		!hello_options(call) || !hello_allowed(call))
		return;
	if (proto == 3)
		kv_state_add(call->conn, KV_STATE_RESP3);
	else
		kv_state_drop(call->conn, KV_STATE_RESP3);
	kv_call_bind(call);
	rf_resp_map(reply, call->proto, 7);
	reply_pair(reply, "server", "redis");
	reply_pair(reply, "version", KV_REDIS_VERSION);
	rf_resp_bulk_text(reply, "proto");
	rf_resp_int(reply, proto);
	rf_resp_bulk_text(reply, "id");
	rf_resp_int(reply, (int64_t)rf_conn_serial(call->conn->id));
	reply_pair(reply, "mode", "standalone");
	reply_pair(reply, "role", "master");
	rf_resp_bulk_text(reply, "modules");
	rf_resp_array(reply, 0);
}
