/* SPDX-License-Identifier: MIT */
/* aside.c -- requests that are put aside because they kill.
 *
 * Skipped, such a request is one that was refused: a MULTI it stood in will not
 * be carried out, and one that it was to end has ended. Released, it runs
 * without its client: with the database and the RESP version that were
 * selected then, and with the operator's word in place of the password. What
 * needs more of its connection than that is not run.
 */
#include "worker/kv/client/clients.h"

/* ---- skipped ---- */

static bool ends_multi(const struct kv_command *command)
{
	return command != NULL &&
	       (command->run == kv_cmd_exec || command->run == kv_cmd_discard ||
		       command->run == kv_cmd_reset);
}

/* What it would have been given is the next one's. */
static void stop_waiting(struct kv_client *client)
{
	if (client->wait_spot != NULL)
		kv_block_ready(client->wait_spot);
	kv_block_end(client);
	if (kv_clients->ready != NULL)
		kv_block_serve();
}

void kv_client_skipped(const struct rf_request *req)
{
	struct rf_conn *conn = req->conn;

	kv_state_drop(conn, KV_STATE_REPLY_SKIP);
	kv_pause_end(conn);
	if (kv_state(conn) & KV_STATE_BLOCKED)
		stop_waiting(kv_client_of(conn));
	if (!(kv_state(conn) & KV_STATE_MULTI))
		return;
	if (ends_multi(kv_table_lookup(req->argv, req->argc)))
		kv_multi_discard(conn);
	else
		kv_state_add(conn, KV_STATE_BAD);
}

/* ---- released ---- */

/* What a script, which has no connection, may not run either; but it may kill
 * those of others. */
static bool is_of_connection(const struct kv_command *command)
{
	if (command->flags & BLOCKING || command->run == kv_cmd_select)
		return true;
	return command->flags & NOSCRIPT &&
	       command->flags & (CONNECTION | PUBSUB | TRANSACTION) &&
	       !(command->flags & ADMIN);
}

bool kv_client_released(const struct rf_request *req, struct rf_reply *reply)
{
	const struct kv_command *command =
		kv_table_lookup(req->argv, req->argc);
	uint64_t then = kv_state(req->conn);
	uint64_t db = kv_state_db(then);

	if (then & KV_STATE_MULTI ||
		(command != NULL && is_of_connection(command))) {
		rf_resp_error(reply,
			"ERR this request needs the connection that sent it "
			"and cannot be run without");
		return false;
	}
	if (db >= kv_database_count()) {
		rf_resp_error(reply,
			"ERR the database of this request is out of range");
		return false;
	}
	kv_state_set(req->conn, (then & KV_STATE_RESP3) | KV_STATE_AUTH |
					db << KV_STATE_DB_SHIFT);
	return true;
}
