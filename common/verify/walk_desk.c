/* SPDX-License-Identifier: MIT */
/* walk_desk.c -- connections, and the requests of theirs that wait.
 *
 * What the framework itself keeps in the heap; see struct rf_desk in super.h
 * and worker/business/parked.c, whose rules these are.
 */
#include "walk_form.h"
#include <errno.h>

#define CHUNK_BYTES (RF_CONN_CHUNK * sizeof(struct rf_conn))
#define FLAGS_ALL   (RF_CONN_READY | RF_CONN_PATIENT | RF_CONN_CLOSING)
#define SLOT_COUNT  ((size_t)RF_CONN_CHUNK * RF_CONN_CHUNK_COUNT)

static const struct rf_conn *at_slot(struct rf_walk *walk, size_t slot)
{
	const struct rf_conn *chunk =
		RF_SUPER->desk.conns[slot / RF_CONN_CHUNK];

	return chunk != NULL && rf_walk_holds(walk, chunk, CHUNK_BYTES)
		       ? &chunk[slot % RF_CONN_CHUNK]
		       : NULL;
}

static size_t slot_of(uint64_t id)
{
	return id & (SLOT_COUNT - 1);
}

/* ---- for workers ---- */

bool rf_walk_is_conn(struct rf_walk *walk, const struct rf_conn *conn)
{
	for (size_t slot = 0; slot < SLOT_COUNT; slot += RF_CONN_CHUNK) {
		const struct rf_conn *chunk = at_slot(walk, slot);
		uint64_t off = (uint64_t)conn - (uint64_t)chunk;

		if (chunk == NULL || off >= CHUNK_BYTES)
			continue;
		return off % sizeof *conn == 0 && conn->id != 0 &&
		       slot_of(conn->id) == slot + off / sizeof *conn;
	}
	return false;
}

const struct rf_conn *rf_walk_conn(
	struct rf_walk *walk, const struct rf_conn *after)
{
	size_t slot = after != NULL ? slot_of(after->id) + 1 : 0;

	for (; slot < SLOT_COUNT; slot++) {
		const struct rf_conn *conn = at_slot(walk, slot);

		if (conn == NULL)
			slot |= RF_CONN_CHUNK - 1; /* skip the chunk */
		else if (conn->id != 0 && slot_of(conn->id) == slot)
			return conn;
	}
	return NULL;
}

/* ---- one connection ---- */

static bool has_flag(const struct rf_conn *conn, enum rf_conn_flag flag)
{
	return (conn->own[RF_OWN_FLAGS] & flag) != 0;
}

static bool walk_parked(struct rf_walk *walk, const struct rf_parked *block)
{
	if (!rf_walk_block(walk, block, sizeof *block, "parked request"))
		return false;
	if (block->bytes > rf_walk_usable(walk, block) - sizeof *block) {
		rf_walk_problem(
			walk, block, "a parked request longer than its block");
		return false;
	}
	return true;
}

/* What waits for one connection; where no block is marked the sum, and what the
 * heap holds, bound a ring. */
static const char *parked_fault(
	struct rf_walk *walk, const struct rf_conn *conn)
{
	const struct rf_parked *first =
		(const struct rf_parked *)conn->own[RF_OWN_FIRST];
	const struct rf_parked *last = NULL;
	uint64_t bytes = 0;

	for (const struct rf_parked *at = first; at != NULL; at = at->next) {
		if (bytes > conn->own[RF_OWN_BYTES] ||
			bytes > rf_walk_bytes_max(walk) ||
			!walk_parked(walk, at))
			return "its parked requests end too early";
		if (at->again > 1 ||
			at->serial > RF_SUPER->desk.parked_serial ||
			(last != NULL && last != first &&
				last->serial >= at->serial))
			return "its parked requests are not in order";
		bytes += sizeof *at + at->bytes;
		last = at;
	}
	if ((uint64_t)last != conn->own[RF_OWN_LAST])
		return "its last parked request is not the last";
	if (bytes != conn->own[RF_OWN_BYTES])
		return "its parked requests have another sum of bytes";
	if (last == NULL && has_flag(conn, RF_CONN_READY))
		return "is ready, and none of its requests is parked";
	return NULL;
}

static const char *conn_fault(
	struct rf_walk *walk, const struct rf_conn *conn, size_t slot)
{
	if (conn->id == 0)
		return conn->own[RF_OWN_FIRST] != 0 ||
				       conn->own[RF_OWN_LAST] != 0
			       ? "has ended, and requests of it wait"
			       : NULL;
	if (slot_of(conn->id) != slot || rf_conn_serial(conn->id) == 0)
		return "has the number of another place";
	if (conn->own[RF_OWN_FLAGS] & ~(uint64_t)FLAGS_ALL)
		return "has flags that mean nothing";
	return parked_fault(walk, conn);
}

static uint64_t walk_chunk(
	struct rf_walk *walk, size_t first, const struct rf_conn *chunk)
{
	uint64_t ready = 0;

	if (!rf_walk_block(walk, chunk, CHUNK_BYTES, "connections"))
		return 0;
	for (size_t i = 0; i < RF_CONN_CHUNK; i++) {
		const char *fault = conn_fault(walk, &chunk[i], first + i);

		if (fault != NULL)
			rf_walk_problem(walk, &chunk[i], "connection %llu %s",
				(unsigned long long)rf_conn_serial(chunk[i].id),
				fault);
		ready += chunk[i].id != 0 && has_flag(&chunk[i], RF_CONN_READY);
	}
	return ready;
}

/* ---- the lists of the desk ---- */

/* One is in the list once, or `ready` would not be as many. */
static void walk_ready(struct rf_walk *walk, uint64_t ready)
{
	const struct rf_desk *desk = &RF_SUPER->desk;
	const struct rf_conn *prev = NULL, *at = desk->ready_first;

	for (; at != NULL && ready > 0; ready--) {
		if (!rf_walk_is_conn(walk, at) ||
			!has_flag(at, RF_CONN_READY) ||
			at->own[RF_OWN_PREV] != (uint64_t)prev)
			break;
		prev = at;
		at = (const struct rf_conn *)at->own[RF_OWN_NEXT];
	}
	if (at != NULL || ready != 0 || desk->ready_last != prev)
		rf_walk_problem(walk, at,
			"the list of connections that are ready is broken");
}

/* Nobody has counted those: no more than the heap holds. */
static void walk_dropped(struct rf_walk *walk)
{
	uint64_t left = rf_walk_bytes_max(walk) / sizeof(struct rf_parked);
	const struct rf_parked *at = RF_SUPER->desk.dropped;

	for (; at != NULL && left > 0; left--) {
		if (!walk_parked(walk, at))
			return;
		at = at->next;
	}
	if (at != NULL)
		rf_walk_problem(
			walk, at, "the list of dropped requests is a ring");
}

void rf_walk_desk(struct rf_walk *walk)
{
	uint64_t ready = 0;

	for (size_t i = 0; i < RF_CONN_CHUNK_COUNT; i++)
		if (RF_SUPER->desk.conns[i] != NULL)
			ready += walk_chunk(walk, i * RF_CONN_CHUNK,
				RF_SUPER->desk.conns[i]);
	walk_ready(walk, ready);
	walk_dropped(walk);
}

int rf_desk_check(void)
{
	struct rf_walk_alone alone;
	struct rf_walk *walk = rf_walk_alone(&alone, "desk");

	rf_walk_desk(walk);
	return rf_walk_problems(walk) == 0 ? 0 : -EBADMSG;
}
