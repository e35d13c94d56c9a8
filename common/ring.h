/* SPDX-License-Identifier: MIT */
/* ring.h -- a one-way message ring between two processes.
 *
 * Positions count bytes since the ring was made and never wrap; a message
 * stands at position modulo size. The memory is mapped twice in a row, so
 * every message is contiguous. Producer and consumer each keep their own
 * private position and publish it when they choose: what is between the
 * published and the private position does not exist for the other side.
 *
 * Guarantee: single producer, single consumer; the consumer sees whole
 * messages, in order, up to the published head. Nothing is assumed of the
 * other side: rf_ring_peek() checks every bound.
 */
#ifndef RF_RING_H
#define RF_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rf_msg_type {
	/* network -> business */
	RF_MSG_RESET = 1, /* a new network child: all connections are gone */
	RF_MSG_OPEN,	  /* payload: peer name */
	RF_MSG_CLOSE,
	RF_MSG_REQUEST, /* payload: see rf_msg_args */
	/* business -> network */
	RF_MSG_REPLY,  /* payload: bytes for the socket; ends one request */
	RF_MSG_PUSH,   /* the same, unasked */
	RF_MSG_ERROR,  /* payload: "OOM ..." text; the codec gives it its form;
			 ends one request */
	RF_MSG_PUSHES, /* large: RF_MSG_PUSH messages, whole, one after the
			  other; conn_id: where in the large area they begin */
	RF_MSG_TYPE_COUNT
};

enum rf_msg_flag {
	RF_MSG_LARGE = 1,     /* payload stands in the channel's large area */
	RF_MSG_LAST_WORD = 2, /* close the connection once this is sent */
	/* RF_MSG_ERROR: its request killed and was given up */
	RF_MSG_CRASHED = 4,
	/* RF_MSG_ERROR: ends none; its request was ended when it was parked */
	RF_MSG_UNASKED = 8,
	/* From here on client_idle_timeout leaves the connection alone; no
	 * longer. */
	RF_MSG_PATIENT = 16,
	RF_MSG_IMPATIENT = 32
};

/* Every message starts with this; 8-aligned, payload follows, padded to 8. */
struct rf_msg {
	uint32_t ring_bytes; /* this header, the payload and the padding */
	uint16_t type;
	uint16_t flags;
	uint64_t conn_id;
	uint64_t payload_bytes; /* in the ring, or in the large area */
};
_Static_assert(sizeof(struct rf_msg) == 24, "format");

/* Payload of RF_MSG_REQUEST: argc, then argc lengths (uint32_t each), then the
 * arguments' bytes one after another. */

struct rf_ring_shm {
	_Alignas(64) uint64_t head; /* written by the producer */
	_Alignas(64) uint64_t tail; /* written by the consumer */
	/* Set by the side that goes to sleep, cleared by the side that rings
	 * its bell. */
	_Alignas(64) uint32_t consumer_sleeps;
	_Alignas(64) uint32_t producer_waits; /* for room */
};
_Static_assert(sizeof(struct rf_ring_shm) == 256, "format");

struct rf_ring { /* process-local */
	struct rf_ring_shm *shm;
	uint8_t *bytes;
	uint64_t size; /* power of two */
};

/* ---- producer ---- */
/* Bytes free behind `pos` (the private head), seen from the public tail. */
size_t rf_ring_room(const struct rf_ring *ring, uint64_t pos);
/* Where a message at `pos` is written. */
struct rf_msg *rf_ring_slot(const struct rf_ring *ring, uint64_t pos);
/* Ring bytes of a message with that much payload in the ring. */
static inline size_t rf_ring_need(size_t payload_bytes)
{
	return (sizeof(struct rf_msg) + payload_bytes + 7) & ~(size_t)7;
}
/* Show everything before `pos`. True: the consumer sleeps, ring its bell (it
 * is told so once). `bell` false: publish only, don't look. */
bool rf_ring_publish(struct rf_ring *ring, uint64_t pos, bool bell);
/* Before sleeping for room: true when sleeping is right (still no `need`). */
bool rf_ring_wait_room(struct rf_ring *ring, uint64_t pos, size_t need);

/* ---- consumer ---- */
/* 1 and a copy of the header when a message stands at `pos`; 0 when none is
 * published; -EBADMSG when the bytes there are no message. The copy is what was
 * checked: the producer may be writing nonsense at this moment. */
int rf_ring_peek(const struct rf_ring *ring, uint64_t pos, struct rf_msg *msg);
/* The bytes behind that header. */
static inline const uint8_t *rf_ring_payload(
	const struct rf_ring *ring, uint64_t pos)
{
	return ring->bytes + (pos & (ring->size - 1)) + sizeof(struct rf_msg);
}
/* Everything before `pos` may be overwritten. True: the producer waits for
 * room, ring its bell. */
bool rf_ring_release(struct rf_ring *ring, uint64_t pos);
/* Before sleeping: announce it. False: there is more, don't sleep. */
bool rf_ring_sleep(struct rf_ring *ring, uint64_t pos);
/* After waking (or deciding not to sleep). */
void rf_ring_awake(struct rf_ring *ring);

#endif
