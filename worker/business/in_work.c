/* SPDX-License-Identifier: MIT */
/* in_work.c -- which request a process was at.
 *
 * The attempt word survives everything: it names the message that is being
 * worked on and how often that was begun. The message still stands in the
 * request ring then, because it is released only after its commit. (A word that
 * names what was released is about the last message, not this one.) Or it
 * stands in the arena, if it had been parked: parked_in_work(). What is not at
 * a constant address is copied by rf_scene_copy(), which does not fault.
 */
#include "in_work.h"
#include "common/scene.h"
#include "common/super.h"
#include "desk.h"
#include "parked.h"
#include <string.h>

#define SLOT_COUNT ((uint64_t)1 << RF_CONN_SLOT_BITS)

static void copy_peer(uint64_t conn_id, struct rf_crash_request *out)
{
	uint64_t slot = conn_id & (SLOT_COUNT - 1);
	uint64_t chunk = (uint64_t)RF_SUPER->desk.conns[slot / RF_CONN_CHUNK];
	struct rf_conn conn;

	if (chunk == 0 ||
		rf_scene_copy(&conn, chunk + slot % RF_CONN_CHUNK * sizeof conn,
			sizeof conn) != sizeof conn)
		return;
	if (conn.id != conn_id)
		return;
	memcpy(out->peer, conn.peer, sizeof out->peer);
	out->peer[sizeof out->peer - 1] = '\0';
}

/* Whose it is and how long, and where its bytes are; NULL: there is none. */
static const uint8_t *find_parked(
	uint64_t position, struct rf_crash_request *out)
{
	struct rf_parked head;
	const struct rf_parked *block =
		parked_in_work(position, &head, &out->conn_id);

	if (block == NULL)
		return NULL;
	out->bytes = head.bytes;
	return block->payload;
}

static const uint8_t *find_in_ring(const struct rf_lane *lane,
	uint64_t position, struct rf_crash_request *out)
{
	struct rf_msg msg;

	if (position < __atomic_load_n(
			       &lane->ring.shm->tail, __ATOMIC_RELAXED) ||
		rf_ring_peek(&lane->ring, position, &msg) != 1 ||
		msg.type != RF_MSG_REQUEST)
		return NULL;
	out->conn_id = msg.conn_id;
	out->bytes = msg.payload_bytes;
	return msg.flags & RF_MSG_LARGE
		       ? lane->large
		       : rf_ring_payload(&lane->ring, position);
}

void in_work_describe(
	const struct rf_channel *channel, struct rf_crash_request *out)
{
	uint64_t word = RF_SUPER->attempt;
	uint64_t position = word >> 8;
	const uint8_t *payload;

	if (RF_SUPER->desk.channel_epoch != channel->shm->epoch)
		return;
	payload = position & RF_PARKED_POS
			  ? find_parked(position, out)
			  : find_in_ring(&channel->request, position, out);
	if (payload == NULL)
		return;
	out->attempt = (uint32_t)(word & 255);
	out->position = position;
	out->channel_epoch = channel->shm->epoch;
	out->head_bytes = (uint32_t)rf_scene_copy(out->head, (uint64_t)payload,
		out->bytes < sizeof out->head ? out->bytes : sizeof out->head);
	copy_peer(out->conn_id, out);
	out->present = 1;
}

void in_work_describe_left(
	const struct rf_channel *channel, struct rf_crash_request *out)
{
	uint64_t word = RF_SUPER->attempt;

	if (word >> 8 == parked_next_pos() && (word & 255) != 0)
		in_work_describe(channel, out);
}
