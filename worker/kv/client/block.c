/* SPDX-License-Identifier: MIT */
/* block.c -- commands that wait for a key.
 *
 * A command that finds nothing is parked by the framework; a kv_wait for each
 * of its keys hangs in the key's spot, first come, first served. All of it
 * stands in the arena: whoever waits does not notice a death.
 *
 *   kv_block --> waiting --- its key has something --> resumed --> run again
 *                  ^  |                                   |          |
 *                  |  +-- timeout, CLIENT UNBLOCK --------+          |
 *                  +------------ another one was faster -------------+
 *
 * Rules:
 *   B1  what a request (an EXEC) leaves behind counts, not what it did on the
 *       way: keys are looked at when it is over       kv_block_serve()
 *   B2  as many are resumed as a key has elements, in the order in which they
 *       came; the framework runs them before any other request
 *   B3  one key wakes, and that key is what the command gets to see: the others
 *       among its arguments are replaced by it        kv_block_again()
 *   B4  who was served looks whether there is more, for the next one
 */
#include "worker/kv/client/clients.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* ---- waiting ---- */

bool kv_arg_timeout(struct kv_call *call, uint32_t index, int64_t *until_ms)
{
	struct rf_bytes arg = call->argv[index];
	long double seconds;
	int64_t ms;

	if (!kv_parse_float(arg.at, arg.bytes, &seconds)) {
		rf_resp_error(call->reply,
			"ERR timeout is not a float or out of range");
		return false;
	}
	seconds = ceill(seconds * 1000);
	/* Redis casts to 64 bits what may not fit. */
	if (seconds < 0 || seconds >= 0x1p63L) {
		rf_resp_error(call->reply, "ERR timeout is negative");
		return false;
	}
	ms = (int64_t)seconds;
	if (ms == 0 || ms > INT64_MAX - call->now_ms)
		*until_ms = 0;
	else
		*until_ms = call->now_ms + ms;
	return true;
}

static void wait_for(struct kv_client *client, uint32_t db, struct rf_bytes key)
{
	struct kv_spot *spot = kv_spot_make(db, key);
	struct kv_wait *node;

	/* The same key once more. */
	if (spot == NULL || (spot->last && spot->last->client == client))
		return;
	node = rf_alloc(sizeof *node);
	if (node == NULL)
		return;
	*node = (struct kv_wait){
		.spot = spot,
		.client = client,
		.prev = spot->last,
		.more = client->waits,
	};
	if (spot->last != NULL)
		RF_SET(spot->last->next, node);
	else
		RF_SET(spot->first, node);
	RF_SET(spot->last, node);
	RF_SET(client->waits, node);
	RF_SET(kv_clients->wait_count, kv_clients->wait_count + 1);
}

static bool moves_one(const struct kv_call *call)
{
	return call->command->run == kv_cmd_blmove ||
	       call->command->run == kv_cmd_brpoplpush;
}

/* Where the keys stand among the arguments; 0: elsewhere. */
static uint32_t place_of(
	const struct kv_call *call, const struct rf_bytes *keys, uint32_t count)
{
	uintptr_t off = (uintptr_t)keys - (uintptr_t)call->argv;
	size_t index = off / sizeof *keys;

	if ((uintptr_t)keys < (uintptr_t)call->argv || index >= call->argc ||
		count > call->argc - index)
		return 0;
	return (uint32_t)index;
}

void kv_block(struct kv_call *call, const struct rf_bytes *keys, uint32_t count,
	enum kv_kind kind, uint32_t timeout_index)
{
	struct kv_client *client;
	int64_t until_ms;

	if (!call->in_exec && kv_state(call->conn) & KV_STATE_BLOCKED) {
		kv_park(call);
		return;
	}
	if (!kv_arg_timeout(call, timeout_index, &until_ms))
		return;
	if (call->in_exec) {
		if (moves_one(call))
			rf_resp_null(call->reply, call->proto);
		else
			rf_resp_null_array(call->reply, call->proto);
		return;
	}
	client = kv_client_need(call);
	if (client == NULL)
		return;
	for (uint32_t i = 0; i < count; i++)
		wait_for(client, call->db, keys[i]);
	RF_SET(client->wait_kind, kind);
	RF_SET(client->wait_end, WAIT_GOES_ON);
	RF_SET(client->wait_first, place_of(call, keys, count));
	RF_SET(client->wait_count, count);
	RF_SET(client->wait_spot, NULL);
	if (until_ms != 0) {
		rf_timers_arm(&kv_clients->timeouts, &client->timeout, until_ms,
			call->now_ms);
		rf_tick_by(until_ms);
	}
	RF_SET(kv_clients->blocked_count, kv_clients->blocked_count + 1);
	kv_state_add(call->conn, KV_STATE_BLOCKED);
	kv_park(call);
}

void kv_block_end(struct kv_client *client)
{
	struct kv_wait *more;

	if (!(kv_state(client->conn) & KV_STATE_BLOCKED))
		return;
	for (struct kv_wait *at = client->waits; at != NULL; at = more) {
		struct kv_spot *spot = at->spot;

		more = at->more;
		if (at->prev != NULL)
			RF_SET(at->prev->next, at->next);
		else
			RF_SET(spot->first, at->next);
		if (at->next != NULL)
			RF_SET(at->next->prev, at->prev);
		else
			RF_SET(spot->last, at->prev);
		kv_spot_drop_if_idle(spot);
		rf_free(at);
		RF_SET(kv_clients->wait_count, kv_clients->wait_count - 1);
	}
	RF_SET(client->waits, NULL);
	RF_SET(client->wait_spot, NULL);
	rf_timers_disarm(&kv_clients->timeouts, &client->timeout);
	RF_SET(kv_clients->blocked_count, kv_clients->blocked_count - 1);
	kv_state_drop(client->conn, KV_STATE_BLOCKED);
}

/* ---- being woken ---- */

void kv_block_ready(struct kv_spot *spot)
{
	if (spot->is_ready || spot->first == NULL)
		return;
	RF_SET(spot->is_ready, 1);
	if (kv_clients->ready_last != NULL)
		RF_SET(kv_clients->ready_last->next_ready, spot);
	else
		RF_SET(kv_clients->ready, spot);
	RF_SET(kv_clients->ready_last, spot);
	kv_leftover.any = true;
}

void kv_block_wake(struct kv_call *call, struct rf_bytes key)
{
	struct kv_spot *spot;

	if (rf_likely(kv_clients->wait_count == 0))
		return;
	spot = kv_spot_find((uint32_t)call->keys->db, key);
	if (spot != NULL)
		kv_block_ready(spot);
}

/* What stands there, or NULL. */
static const struct kv_value *value_at(const struct kv_spot *spot)
{
	struct rf_bytes key = kv_spot_key(spot);
	const struct rf_dict_entry *entry = rf_dict_find(
		&kv_database(kv_spot_db(spot))->dict, key.at, key.bytes);

	return entry != NULL ? kv_value_of(entry) : NULL;
}

static void resume_waiters(struct kv_spot *spot)
{
	const struct kv_value *value = value_at(spot);
	uint64_t left = value != NULL ? kv_value_count(value) : 0;

	for (struct kv_wait *at = spot->first; at != NULL && left > 0;
		at = at->next) {
		struct kv_client *client = at->client;

		if (client->wait_kind != kv_kind_of(value) ||
			client->wait_end != WAIT_GOES_ON)
			continue;
		if (client->wait_spot == NULL) {
			RF_SET(client->wait_spot, spot);
			rf_conn_resume(client->conn);
		}
		if (client->wait_spot == spot)
			left--;
	}
}

void kv_block_serve(void)
{
	struct kv_spot *spot = kv_clients->ready, *next;

	for (; spot != NULL; spot = next) {
		next = spot->next_ready;
		resume_waiters(spot);
		RF_SET(spot->is_ready, 0);
		RF_SET(spot->next_ready, NULL);
		kv_spot_drop_if_idle(spot);
	}
	RF_SET(kv_clients->ready, NULL);
	RF_SET(kv_clients->ready_last, NULL);
}

/* ---- running again ---- */

static bool has_some(const struct kv_client *client, const struct kv_spot *spot)
{
	const struct kv_value *value = value_at(spot);

	return value != NULL && client->wait_kind == kv_kind_of(value);
}

/* The key that woke the client, or another one of its; NULL: none. */
static struct kv_spot *spot_to_serve(const struct kv_client *client)
{
	struct kv_spot *found = NULL;

	if (client->wait_spot != NULL && has_some(client, client->wait_spot))
		return client->wait_spot;
	/* The last in this list is the first of the arguments. */
	for (const struct kv_wait *at = client->waits; at != NULL;
		at = at->more)
		if (has_some(client, at->spot))
			found = at->spot;
	return found;
}

/* Arguments that name the one key only. */
static void see_only(struct kv_call *call, const struct kv_client *client,
	const struct kv_spot *spot)
{
	static struct rf_bytes *argv;
	static uint32_t room;

	if (client->wait_first == 0 || client->wait_count < 2)
		return;
	if (call->argc > room) {
		struct rf_bytes *wider =
			realloc(argv, call->argc * sizeof *argv);

		if (wider == NULL) {
			rf_tx_fail(-ENOMEM);
			return;
		}
		argv = wider;
		room = call->argc;
	}
	memcpy(argv, call->argv, call->argc * sizeof *argv);
	for (uint32_t i = 0; i < client->wait_count; i++)
		argv[client->wait_first + i] = kv_spot_key(spot);
	call->argv = argv;
}

static void serve(
	struct kv_call *call, struct kv_client *client, struct kv_spot *spot)
{
	see_only(call, client, spot);
	if (kv_table_find(call) != NULL)
		kv_run(call);
	if (kv_leftover.parked) {
		RF_SET(client->wait_spot, NULL);
	} else {
		kv_block_ready(spot);
		kv_block_end(client);
	}
}

void kv_block_again(struct kv_call *call)
{
	struct kv_client *client = kv_client_of(call->conn);
	enum kv_wait_end end = client->wait_end;
	struct kv_spot *spot;

	if (end != WAIT_GOES_ON) {
		if (end == WAIT_UNBLOCKED)
			rf_resp_error(call->reply,
				"UNBLOCKED client unblocked via CLIENT "
				"UNBLOCK");
		else
			rf_resp_null_array(call->reply, call->proto);
		if (client->wait_spot != NULL)
			kv_block_ready(client->wait_spot);
		kv_block_end(client);
		return;
	}
	spot = spot_to_serve(client);
	if (spot != NULL) {
		serve(call, client, spot);
	} else {
		RF_SET(client->wait_spot, NULL);
		kv_park(call);
	}
}

/* ---- other ends ---- */

bool kv_block_unblock(struct kv_client *client, enum kv_wait_end how)
{
	if (!(kv_state(client->conn) & KV_STATE_BLOCKED) ||
		client->wait_end != WAIT_GOES_ON)
		return false;
	RF_SET(client->wait_end, how);
	rf_conn_resume(client->conn);
	return true;
}

static void on_timeout(struct rf_timer *timer, void *context)
{
	struct kv_client *client =
		(struct kv_client *)((char *)timer -
				     offsetof(struct kv_client, timeout));

	(void)context;
	kv_block_unblock(client, WAIT_TIMED_OUT);
}

#define TIMEOUT_BUDGET 1000

void kv_block_tick(int64_t now_ms)
{
	rf_timers_run(&kv_clients->timeouts, now_ms, TIMEOUT_BUDGET, on_timeout,
		NULL);
}
