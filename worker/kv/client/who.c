/* SPDX-License-Identifier: MIT */
/* who.c -- what a client says of itself, and how it wants to be treated. */
#include "worker/kv/client/clients.h"

static bool is_printable(struct rf_bytes text)
{
	for (size_t i = 0; i < text.bytes; i++)
		if (text.at[i] < '!' || text.at[i] > '~')
			return false;
	return true;
}

bool kv_client_set_text(struct kv_call *call, enum kv_client_text which,
	const char *what, struct rf_bytes text)
{
	struct kv_client *client = kv_client_of(call->conn);
	char *block = NULL;

	if (!is_printable(text)) {
		rf_resp_error(call->reply,
			"ERR %s cannot contain spaces, newlines or special "
			"characters.",
			what);
		return false;
	}
	if (text.bytes > 0) {
		client = kv_client_need(call);
		if (client == NULL)
			return false;
		block = rf_try_alloc(text.bytes + 1);
		if (block == NULL) {
			rf_resp_error(call->reply, KV_ERR_OOM);
			return false;
		}
		memcpy(block, text.at, text.bytes);
		block[text.bytes] = '\0';
	}
	if (client != NULL) {
		rf_free(client->texts[which]);
		RF_SET(client->texts[which], block);
	}
	return true;
}

void kv_cmd_client_setname(struct kv_call *call)
{
	if (kv_client_set_text(
		    call, CLIENT_NAME, "Client names", call->argv[2]))
		kv_reply_ok(call);
}

void kv_cmd_client_getname(struct kv_call *call)
{
	const struct kv_client *client = kv_client_of(call->conn);

	if (client != NULL && client->texts[CLIENT_NAME] != NULL)
		rf_resp_bulk_text(call->reply, client->texts[CLIENT_NAME]);
	else
		rf_resp_null(call->reply, call->proto);
}

void kv_cmd_client_setinfo(struct kv_call *call)
{
	bool done;

	if (kv_is(call->argv[2], "LIB-NAME")) {
		done = kv_client_set_text(
			call, CLIENT_LIB_NAME, "lib-name", call->argv[3]);
	} else if (kv_is(call->argv[2], "LIB-VER")) {
		done = kv_client_set_text(
			call, CLIENT_LIB_VER, "lib-ver", call->argv[3]);
	} else {
		rf_resp_error(call->reply, "ERR Unrecognized option '%.*s'",
			(int)call->argv[2].bytes, call->argv[2].at);
		return;
	}
	if (done)
		kv_reply_ok(call);
}

void kv_cmd_client_id(struct kv_call *call)
{
	rf_resp_int(call->reply, (int64_t)rf_conn_serial(call->conn->id));
}

void kv_cmd_client_no_evict(struct kv_call *call)
{
	if (kv_is(call->argv[2], "ON")) {
		kv_state_add(call->conn, KV_STATE_NO_EVICT);
	} else if (kv_is(call->argv[2], "OFF")) {
		kv_state_drop(call->conn, KV_STATE_NO_EVICT);
	} else {
		kv_reply_syntax(call);
		return;
	}
	kv_reply_ok(call);
}

/* Who does not want replies gets none: see dispatch.c. */
void kv_cmd_client_reply(struct kv_call *call)
{
	if (kv_is(call->argv[2], "ON")) {
		kv_state_drop(call->conn, KV_STATE_REPLY_OFF);
		kv_leftover.silent = false;
		kv_reply_ok(call);
	} else if (kv_is(call->argv[2], "OFF")) {
		kv_state_add(call->conn, KV_STATE_REPLY_OFF);
		rf_reply_nothing(call->reply);
	} else if (kv_is(call->argv[2], "SKIP")) {
		if (!(kv_state(call->conn) & KV_STATE_REPLY_OFF))
			kv_state_add(call->conn, KV_STATE_REPLY_SKIP);
		rf_reply_nothing(call->reply);
	} else {
		kv_reply_syntax(call);
	}
}

void kv_cmd_client_help(struct kv_call *call)
{
	kv_help(call);
}
