/* SPDX-License-Identifier: MIT */
/* parked.c -- requests that wait in the arena.
 *
 * A handler that cannot answer yet parks its request. For the network child
 * that request is over: it gets an empty reply. What the client is told in the
 * end is a push.
 *
 *   ring --> run --park--> first of its connection <--park-- run again
 *    |                        |        ^                        ^
 *    |                        |        |                        |
 *    +-- others of it --> behind it    +--- next ---+           |
 *                             |                     |           |
 *                             +--resume--> ready ---+-----------+
 *
 * Rules, and the function that keeps each:
 *   P1  what a connection has sent is run in order: while one of its requests
 *       waits, the others go behind it          on_request() in messages.c
 *   P2  what is ready is run before the ring    desk_round()
 *   P3  a request's position, by which its attempts are counted, is its own:
 *       a serial number in place of a ring's position, and a new one each time
 *       that it parks                           parked_add(), parked_keep()
 *   P4  no transaction frees more than PARKED_SWEEP of them: when a connection
 *       ends, its requests only change hands    parked_drop()
 */
#include "parked.h"
#include "common/scene.h"
#include "common/verify/walk_form.h"
#include <errno.h>
#include <refork/heap.h>
#include <refork/tx.h>

#define MINE (&RF_SUPER->desk)

/* In this process; it stays said when it is done. */
static struct {
	const struct rf_parked *block;
	uint64_t conn_id;
} running;

static uint64_t word(const void *at)
{
	return (uintptr_t)at;
}

static struct rf_conn *next_of(const struct rf_conn *conn)
{
	return (struct rf_conn *)conn->own[RF_OWN_NEXT];
}

static struct rf_conn *prev_of(const struct rf_conn *conn)
{
	return (struct rf_conn *)conn->own[RF_OWN_PREV];
}

static bool has_flag(const struct rf_conn *conn, enum rf_conn_flag flag)
{
	return (conn->own[RF_OWN_FLAGS] & flag) != 0;
}

/* ---- the connections that are ready ---- */

void parked_resume(struct rf_conn *conn)
{
	struct rf_conn *last = MINE->ready_last;

	if (parked_first(conn) == NULL || has_flag(conn, RF_CONN_READY))
		return;

	RF_SET(conn->own[RF_OWN_FLAGS],
		conn->own[RF_OWN_FLAGS] | RF_CONN_READY);
	RF_SET(conn->own[RF_OWN_NEXT], 0);
	RF_SET(conn->own[RF_OWN_PREV], word(last));
	if (last != NULL)
		RF_SET(last->own[RF_OWN_NEXT], word(conn));
	else
		RF_SET(MINE->ready_first, conn);
	RF_SET(MINE->ready_last, conn);
}

void parked_suspend(struct rf_conn *conn)
{
	struct rf_conn *next = next_of(conn), *prev = prev_of(conn);

	if (!has_flag(conn, RF_CONN_READY))
		return;
	RF_SET(conn->own[RF_OWN_FLAGS],
		conn->own[RF_OWN_FLAGS] & ~(uint64_t)RF_CONN_READY);
	if (prev != NULL)
		RF_SET(prev->own[RF_OWN_NEXT], word(next));
	else
		RF_SET(MINE->ready_first, next);
	if (next != NULL)
		RF_SET(next->own[RF_OWN_PREV], word(prev));
	else
		RF_SET(MINE->ready_last, prev);
}

/* ---- what waits for one connection ---- */

static uint64_t next_serial(void)
{
	RF_SET(MINE->parked_serial, MINE->parked_serial + 1);
	return MINE->parked_serial;
}

static size_t block_bytes(const struct rf_parked *block)
{
	return sizeof *block + block->bytes;
}

int parked_add(
	struct rf_conn *conn, const void *payload, size_t bytes, bool again)
{
	struct rf_parked *last = (struct rf_parked *)conn->own[RF_OWN_LAST];
	struct rf_parked *block = rf_try_alloc(sizeof *block + bytes);

	if (block == NULL)
		return -ENOMEM;
	*block = (struct rf_parked){
		.serial = next_serial(),
		.again = again,
		.bytes = bytes,
	};
	memcpy(block->payload, payload, bytes);
	if (last != NULL)
		RF_SET(last->next, block);
	else
		RF_SET(conn->own[RF_OWN_FIRST], word(block));
	RF_SET(conn->own[RF_OWN_LAST], word(block));
	RF_SET(conn->own[RF_OWN_BYTES],
		conn->own[RF_OWN_BYTES] + block_bytes(block));
	return 0;
}

void parked_done(struct rf_conn *conn)
{
	struct rf_parked *block = parked_first(conn);

	RF_SET(conn->own[RF_OWN_FIRST], word(block->next));
	RF_SET(conn->own[RF_OWN_BYTES],
		conn->own[RF_OWN_BYTES] - block_bytes(block));
	if (block->next == NULL) {
		RF_SET(conn->own[RF_OWN_LAST], 0);
		parked_suspend(conn);
	}
	rf_free(block);
}

void parked_keep(struct rf_conn *conn)
{
	struct rf_parked *block = parked_first(conn);

	RF_SET(block->serial, next_serial());
	RF_SET(block->again, 1);
	parked_suspend(conn);
}

void parked_drop(struct rf_conn *conn)
{
	struct rf_parked *last = (struct rf_parked *)conn->own[RF_OWN_LAST];

	if (rf_likely(last == NULL))
		return;
	parked_suspend(conn);
	RF_SET(last->next, MINE->dropped);
	RF_SET(MINE->dropped, parked_first(conn));
	RF_SET(conn->own[RF_OWN_FIRST], 0);
	RF_SET(conn->own[RF_OWN_LAST], 0);
	RF_SET(conn->own[RF_OWN_BYTES], 0);
}

bool parked_sweep(void)
{
	struct rf_parked *block = MINE->dropped, *next;

	if (rf_likely(block == NULL))
		return false;
	rf_tx_begin();
	for (int i = 0; block != NULL && i < PARKED_SWEEP; i++) {
		next = block->next;
		rf_free(block);
		block = next;
	}
	RF_SET(MINE->dropped, block);
	RF_CHECK(rf_tx_commit() == 0);
	return true;
}

/* ---- running them ---- */

void parked_take(struct desk *desk, struct job *job)
{
	struct rf_conn *conn = MINE->ready_first;
	struct rf_parked *block = parked_first(conn);

	running.block = block;
	running.conn_id = conn->id;
	*job = (struct job){
		.desk = desk,
		.msg = {.type = RF_MSG_REQUEST, .conn_id = conn->id},
		.position = RF_PARKED_POS | block->serial,
		.next = MINE->request_pos,
		.parked = block,
		.payload = block->payload,
		.bytes = block->bytes,
		.attempts_max = job->attempts_max,
	};
}

static bool is_at(const struct rf_parked *block, uint64_t position,
	struct rf_parked *head)
{
	return rf_scene_copy(head, (uint64_t)block, sizeof *head) ==
		       sizeof *head &&
	       position == (RF_PARKED_POS | head->serial);
}

/* Of the process that is dying it is `running`, and may have left the list
 * already; a successor finds it at the head of what is ready. */
const struct rf_parked *parked_in_work(
	uint64_t position, struct rf_parked *head, uint64_t *conn_id)
{
	struct rf_conn conn;

	if (is_at(running.block, position, head)) {
		*conn_id = running.conn_id;
		return running.block;
	}
	if (rf_scene_copy(&conn, (uint64_t)MINE->ready_first, sizeof conn) !=
			sizeof conn ||
		!is_at(parked_first(&conn), position, head))
		return NULL;
	*conn_id = conn.id;
	return parked_first(&conn);
}

/* ---- the walk ---- */

int parked_check(void)
{
	return rf_desk_check();
}
