/* SPDX-License-Identifier: MIT */
/* channel.h -- the two rings between network and business child.
 *
 * Beside each ring stands a large area of max_request (max_reply) bytes, for
 * the one message at a time that is too long for the ring. It is address
 * space only until used (rf_channel_back). It is busy from the moment its
 * message is pushed until the consumer's public tail has passed it.
 */
#ifndef RF_CHANNEL_H
#define RF_CHANNEL_H

#include "ring.h"
#include "segment.h"

#define RF_RING_BYTES ((size_t)1 << 20)
/* A message with a longer payload goes through the large area. */
#define RF_RING_PAYLOAD_MAX (RF_RING_BYTES / 4)

struct rf_channel_shm {
	uint64_t epoch;	      /* supervisor, before any child runs; never 0 */
	uint64_t conn_serial; /* network child: last connection serial used */
	uint64_t reserved[6];
	struct rf_ring_shm request; /* network -> business */
	struct rf_ring_shm reply;   /* business -> network */
};

struct rf_lane { /* one direction */
	struct rf_ring ring;
	uint8_t *large;
	size_t large_max_bytes;
	size_t large_off; /* in the segment */
};

struct rf_channel {
	struct rf_segment seg;
	struct rf_channel_shm *shm;
	struct rf_lane request;
	struct rf_lane reply;
	int bell_business; /* eventfds, non-blocking; made by create */
	int bell_network;
};

/* Supervisor, before the first fork. */
int rf_channel_create(struct rf_channel *ch, const char *service,
	size_t request_max_bytes, size_t reply_max_bytes);
/* Supervisor, while neither child runs: empty rings, a new epoch. */
void rf_channel_reset(struct rf_channel *ch);
void rf_channel_destroy(struct rf_channel *ch);

/* Make the first `bytes` of a large area usable. -ENOMEM, -ENOSPC. */
int rf_lane_back(struct rf_channel *ch, struct rf_lane *lane, size_t bytes);
/* The area is free again: give back what exceeds `keep` bytes. */
void rf_lane_trim(struct rf_channel *ch, struct rf_lane *lane, size_t keep);

/* Wake the other side (one write to its eventfd). */
void rf_bell_ring(int bell);

#endif
