/* SPDX-License-Identifier: MIT */
/* conns.c -- the connections as the business side knows them, in the arena.
 *
 * A table of chunks, indexed by the slot number in the connection's id. Chunks
 * for max_clients are made at the start, so that an arena that is full still
 * lets an operator connect and delete something.
 */
#include "common/super.h"
#include "desk.h"
#include "parked.h"
#include <refork/heap.h>
#include <refork/tx.h>

#define SLOT_COUNT ((size_t)RF_CONN_CHUNK * RF_CONN_CHUNK_COUNT)
_Static_assert(SLOT_COUNT == (size_t)1 << RF_CONN_SLOT_BITS, "every slot");

static struct rf_conn *at_slot(size_t slot)
{
	struct rf_conn *chunk = RF_SUPER->desk.conns[slot / RF_CONN_CHUNK];

	return chunk != NULL ? &chunk[slot % RF_CONN_CHUNK] : NULL;
}

static size_t slot_of(uint64_t id)
{
	return id & (SLOT_COUNT - 1);
}

/* Needs a transaction; 0 when the chunk stands. */
static int make_chunk(size_t index)
{
	struct rf_conn *chunk;
	size_t bytes = RF_CONN_CHUNK * sizeof *chunk;

	if (RF_SUPER->desk.conns[index] != NULL)
		return 0;
	chunk = rf_try_alloc(bytes);
	if (chunk == NULL)
		return -1;
	memset(chunk, 0, bytes);
	RF_SET(RF_SUPER->desk.conns[index], chunk);
	return rf_tx_error();
}

void conns_reserve(size_t count)
{
	for (size_t i = 0; i * RF_CONN_CHUNK < count; i++) {
		rf_tx_begin();
		if (make_chunk(i) != 0) {
			rf_tx_abort();
			return;
		}
		rf_tx_commit();
	}
}

struct rf_conn *conns_find(uint64_t id)
{
	struct rf_conn *conn = at_slot(slot_of(id));

	return conn != NULL && conn->id == id && id != 0 ? conn : NULL;
}

bool conns_may_open(uint64_t id)
{
	const struct rf_conn *conn = at_slot(slot_of(id));

	return rf_conn_serial(id) != 0 && (conn == NULL || conn->id == 0);
}

struct rf_conn *conns_open(
	uint64_t id, const char *peer, size_t peer_bytes, int64_t now_ms)
{
	struct rf_conn fresh = {.id = id, .opened_at_ms = now_ms};
	struct rf_conn *conn;

	if (make_chunk(slot_of(id) / RF_CONN_CHUNK) != 0)
		return NULL;
	if (peer_bytes >= sizeof fresh.peer)
		peer_bytes = sizeof fresh.peer - 1;
	memcpy(fresh.peer, peer, peer_bytes);
	conn = at_slot(slot_of(id));
	rf_tx_write(conn, &fresh, sizeof fresh);
	return conn;
}

void conns_close(struct rf_conn *conn)
{
	parked_drop(conn);
	RF_SET(conn->id, 0);
}

struct rf_conn *conns_next(size_t *slot)
{
	for (; *slot < SLOT_COUNT; ++*slot) {
		struct rf_conn *conn = at_slot(*slot);

		if (conn == NULL) {
			*slot |= RF_CONN_CHUNK - 1; /* skip the chunk */
			continue;
		}
		if (conn->id != 0)
			return conn;
	}
	return NULL;
}

bool conns_is_patient(const struct rf_conn *conn)
{
	return conn->own[RF_OWN_FIRST] != 0 ||
	       (conn->own[RF_OWN_FLAGS] & RF_CONN_PATIENT);
}

/* ---- what workers call ---- */

static bool is_closing(const struct rf_conn *conn)
{
	return (conn->own[RF_OWN_FLAGS] & RF_CONN_CLOSING) != 0;
}

struct rf_conn *rf_conn_find(uint64_t id)
{
	struct rf_conn *conn = conns_find(id);

	return conn != NULL && !is_closing(conn) ? conn : NULL;
}

/* Also of one that has ended. */
static size_t slot_behind(const struct rf_conn *conn)
{
	size_t chunk = 0;

	while (conn < RF_SUPER->desk.conns[chunk] ||
		conn >= RF_SUPER->desk.conns[chunk] + RF_CONN_CHUNK)
		chunk++;
	return chunk * RF_CONN_CHUNK +
	       (size_t)(conn - RF_SUPER->desk.conns[chunk]) + 1;
}

struct rf_conn *rf_conn_next(const struct rf_conn *after)
{
	size_t slot = 0;
	struct rf_conn *conn;

	if (after != NULL)
		slot = after->id != 0 ? slot_of(after->id) + 1
				      : slot_behind(after);
	while ((conn = conns_next(&slot)) != NULL && is_closing(conn))
		slot++;
	return conn;
}
