/* SPDX-License-Identifier: MIT */
/* reply.c -- replies, written where the network child will read them.
 *
 * The idea. The bytes of the reply ring behind the last committed reply belong
 * to nobody but us, and so does the large area while it is free: a reply is
 * written there at once, unlogged, invisible. What makes it real are three
 * words in the arena (request_pos, reply_pos, reply_large_pos), changed under
 * the same undo log as the state. The commit therefore decides over state,
 * reply and "this request is done" with its one store. A death before it leaves
 * scratch, a death after it leaves a reply that the successor publishes.
 *
 * Pushes are gathered in private memory and follow the reply. Those that are
 * too many for the ring stand in the large area, behind the reply if that is
 * there as well, as one message. So a transaction needs the area once, and the
 * reader, who has to read what came before, is waited for once.
 */
#include "common/super.h"
#include "desk.h"
#include <errno.h>
#include <refork/tx.h>
#include <stdlib.h>

#define ROOM_NEEDED (rf_ring_need(RF_RING_PAYLOAD_MAX))
#define MINE	    (&RF_SUPER->desk)

/* Pushes of one transaction that go through the ring. */
#define RING_PUSHES_BYTES (RF_RING_BYTES / 2)

/* Memory of the large area that stays, and when the rest goes. */
#define LARGE_KEEP_BYTES ((size_t)1 << 20)
#define LARGE_IDLE_MS	 1000

/* Also how often the heartbeat is then heard. */
#define READER_WAIT_MS 100

static struct desk *desk;

void reply_init(struct desk *the_desk)
{
	desk = the_desk;
	desk->reply_max_bytes = desk->channel->reply.large_max_bytes;
	desk->large_is_backed = true;
}

static struct rf_ring *ring(void)
{
	return &desk->channel->reply.ring;
}

/* What was committed so far must be visible before we wait for the reader. */
static void show_committed(void)
{
	if (rf_ring_publish(ring(), MINE->reply_pos, true))
		rf_bell_ring(desk->channel->bell_network);
}

/* The time that the reader takes is not the request's: the watchdog is to see
 * another number. */
static void wait_for_reader(void)
{
	desk->wait(desk, READER_WAIT_MS);
	desk->has_waited = true;
	rf_status_add(desk->status->business.work, 2);
}

/* Until `need` bytes of the ring are free. */
static int wait_room(size_t need)
{
	while (rf_ring_room(ring(), MINE->reply_pos) < need) {
		show_committed();
		if (rf_ring_wait_room(ring(), MINE->reply_pos, need))
			wait_for_reader();
		if (desk_must_end(desk))
			return -EINTR;
	}
	return 0;
}

int reply_wait_room(void)
{
	return wait_room(ROOM_NEEDED);
}

static bool large_is_free(void)
{
	uint64_t tail = __atomic_load_n(&ring()->shm->tail, __ATOMIC_ACQUIRE);

	return tail >= MINE->reply_large_pos;
}

/* Until the last large reply has been read. The reader tells of room, so ask
 * for more than there can be while it has not read that far. */
static int wait_large(void)
{
	while (!large_is_free()) {
		show_committed();
		if (rf_ring_wait_room(ring(), MINE->reply_pos, SIZE_MAX) &&
			!large_is_free())
			wait_for_reader();
		if (desk_must_end(desk))
			return -EINTR;
	}
	return 0;
}

void reply_begin(uint64_t conn_id)
{
	struct rf_msg *msg = rf_ring_slot(ring(), MINE->reply_pos);

	desk->reply = (struct rf_reply){
		.at = (char *)(msg + 1),
		.room = RF_RING_PAYLOAD_MAX,
		.conn_id = conn_id,
	};
	desk->pushes_bytes = 0;
	desk->running = NULL;
	desk->asked = 0;
}

/* Go on in the large area, with room for `need` bytes. */
static int outgrow(struct rf_reply *reply, size_t need)
{
	struct rf_lane *lane = &desk->channel->reply;
	size_t room = need * 2;
	int error;

	if (need > desk->reply_max_bytes)
		return -EMSGSIZE;
	if (room > lane->large_max_bytes)
		room = lane->large_max_bytes;
	error = reply->large ? 0 : wait_large();
	if (error == 0 && rf_lane_back(desk->channel, lane, room) != 0)
		error = -ENOMEM;
	if (error != 0)
		return error;
	desk->large_is_backed = true;
	desk->large_used_at_ms = desk->now_ms;
	if (!reply->large)
		memcpy(lane->large, reply->at, reply->bytes);
	reply->at = (char *)lane->large;
	reply->room = room;
	reply->large = true;
	return 0;
}

static void trim_pushes(void)
{
	if (desk->pushes_room <= LARGE_KEEP_BYTES)
		return;
	free(desk->pushes);
	desk->pushes = NULL;
	desk->pushes_room = 0;
}

void reply_trim(void)
{
	if (!desk->large_is_backed || !large_is_free() ||
		desk->now_ms - desk->large_used_at_ms < LARGE_IDLE_MS)
		return;
	rf_lane_trim(desk->channel, &desk->channel->reply, LARGE_KEEP_BYTES);
	trim_pushes();
	desk->large_is_backed = false;
}

char *rf_reply_room(struct rf_reply *reply, size_t bytes)
{
	if (rf_unlikely(rf_tx_error() != 0))
		return NULL;
	if (rf_unlikely(bytes > reply->room - reply->bytes)) {
		int error = bytes > desk->reply_max_bytes
				    ? -EMSGSIZE
				    : outgrow(reply, reply->bytes + bytes);

		if (error != 0) {
			rf_tx_fail(error);
			return NULL;
		}
	}
	return reply->at + reply->bytes;
}

void rf_reply_took(struct rf_reply *reply, size_t bytes)
{
	if (rf_tx_error() != 0)
		return;
	RF_CHECK(bytes <= reply->room - reply->bytes);
	reply->bytes += bytes;
}

void rf_reply_bytes(struct rf_reply *reply, const void *from, size_t bytes)
{
	char *to = rf_reply_room(reply, bytes);

	if (to == NULL)
		return;
	memcpy(to, from, bytes);
	reply->bytes += bytes;
}

size_t rf_reply_size(const struct rf_reply *reply)
{
	return reply->bytes;
}

void rf_reply_truncate(struct rf_reply *reply, size_t mark)
{
	RF_CHECK(mark <= reply->bytes);
	reply->bytes = mark;
}

void rf_reply_insert(
	struct rf_reply *reply, size_t mark, const void *from, size_t bytes)
{
	char *end = rf_reply_room(reply, bytes);
	char *to;

	if (end == NULL)
		return;
	RF_CHECK(mark <= reply->bytes);
	to = reply->at + mark;
	memmove(to + bytes, to, reply->bytes - mark);
	memcpy(to, from, bytes);
	reply->bytes += bytes;
}

void rf_reply_nothing(struct rf_reply *reply)
{
	reply->nothing = true;
}

void rf_reply_close(struct rf_reply *reply)
{
	reply->flags |= RF_MSG_LAST_WORD;
}

/* ---- pushes ---- */

static bool pushes_make_room(size_t need)
{
	size_t room =
		desk->pushes_room * 2 > need ? desk->pushes_room * 2 : need;
	char *pushes = realloc(desk->pushes, room);

	if (pushes == NULL)
		return false;
	desk->pushes = pushes;
	desk->pushes_room = room;
	return true;
}

static void add_push(
	uint64_t conn_id, uint16_t flags, const void *from, size_t bytes)
{
	size_t limit = desk->reply_max_bytes - desk->pushes_bytes;
	size_t need = rf_ring_need(bytes);
	struct rf_msg msg = {
		.ring_bytes = (uint32_t)need,
		.type = RF_MSG_PUSH,
		.flags = flags,
		.conn_id = conn_id,
		.payload_bytes = bytes,
	};
	char *to;

	if (bytes > limit || need > limit) {
		rf_tx_fail(-EMSGSIZE);
		return;
	}
	if (need > desk->pushes_room - desk->pushes_bytes &&
		!pushes_make_room(desk->pushes_bytes + need)) {
		rf_tx_fail(-ENOMEM);
		return;
	}
	to = desk->pushes + desk->pushes_bytes;
	memcpy(to, &msg, sizeof msg);
	memcpy(to + sizeof msg, from, bytes);
	desk->pushes_bytes += need;
}

void rf_push(uint64_t conn_id, const void *from, size_t bytes)
{
	if (rf_tx_error() == 0 && rf_conn_find(conn_id) != NULL)
		add_push(conn_id, 0, from, bytes);
}

void reply_push_flags(uint64_t conn_id, uint16_t flags)
{
	if (rf_tx_error() == 0)
		add_push(conn_id, flags, "", 0);
}

/* ---- the end of a transaction ---- */

/* Into the large area, behind what the reply has there. */
static int put_in_area(size_t off)
{
	struct rf_lane *lane = &desk->channel->reply;
	size_t bytes = desk->pushes_bytes;
	int error;

	if (bytes > lane->large_max_bytes - off)
		return -EMSGSIZE;
	error = desk->reply.large ? 0 : wait_large();
	if (error == 0 && rf_lane_back(desk->channel, lane, off + bytes) != 0)
		error = -ENOMEM;
	if (error != 0)
		return error;
	memcpy(lane->large + off, desk->pushes, bytes);
	desk->large_is_backed = true;
	desk->large_used_at_ms = desk->now_ms;
	return 0;
}

/* Behind `pos`; where they end. `area`: where they stand in the large area;
 * SIZE_MAX: they are formed as the ring wants them. */
static uint64_t put_pushes(uint64_t pos, size_t area)
{
	struct rf_msg *msg = rf_ring_slot(ring(), pos);

	if (area == SIZE_MAX) {
		memcpy(msg, desk->pushes, desk->pushes_bytes);
		return pos + desk->pushes_bytes;
	}
	*msg = (struct rf_msg){
		.ring_bytes = (uint32_t)rf_ring_need(0),
		.type = RF_MSG_PUSHES,
		.flags = RF_MSG_LARGE,
		.conn_id = area,
		.payload_bytes = desk->pushes_bytes,
	};
	return pos + msg->ring_bytes;
}

/* Behind `pos`, with room for them. An error sticks. */
static uint64_t end_pushes(uint64_t pos)
{
	bool many = desk->pushes_bytes > RING_PUSHES_BYTES;
	size_t need = many ? rf_ring_need(0) : desk->pushes_bytes;
	size_t area = SIZE_MAX;
	int error;

	if (rf_likely(need == 0) || rf_tx_error() != 0)
		return pos;
	error = wait_room((size_t)(pos - MINE->reply_pos) + need);
	if (error == 0 && many) {
		area = desk->reply.large ? (desk->reply.bytes + 7) & ~(size_t)7
					 : 0;
		error = put_in_area(area);
	}
	if (error != 0) {
		rf_tx_fail(error);
		return pos;
	}
	pos = put_pushes(pos, area);
	if (many)
		RF_SET(MINE->reply_large_pos, pos);
	return pos;
}

/* What ends no request is a push. */
static void put_reply(struct rf_msg *msg, enum rf_msg_type type)
{
	const struct rf_reply *reply = &desk->reply;
	size_t in_ring = reply->large ? 0 : reply->bytes;
	uint16_t flags = reply->flags;

	if (reply->large)
		flags |= RF_MSG_LARGE;
	if (rf_unlikely(reply->unasked) && type == RF_MSG_ERROR)
		flags |= RF_MSG_UNASKED;
	else if (rf_unlikely(reply->unasked))
		type = RF_MSG_PUSH;
	*msg = (struct rf_msg){
		.ring_bytes = (uint32_t)rf_ring_need(in_ring),
		.type = (uint16_t)type,
		.flags = flags,
		.conn_id = reply->conn_id,
		.payload_bytes = reply->bytes,
	};
}

void reply_end(enum rf_msg_type type)
{
	uint64_t pos = MINE->reply_pos;
	struct rf_msg *msg = rf_ring_slot(ring(), pos);

	if (rf_tx_error() != 0)
		return;
	put_reply(msg, type);
	pos += msg->ring_bytes;
	if (desk->reply.large)
		RF_SET(MINE->reply_large_pos, pos);
	RF_SET(MINE->reply_pos, end_pushes(pos));
}

void reply_end_pushes(void)
{
	if (desk->pushes_bytes != 0)
		RF_SET(MINE->reply_pos, end_pushes(MINE->reply_pos));
}
