/* SPDX-License-Identifier: MIT */
/* channel.h -- the two rings between network and business child, and what
 * network children leave to each other.
 *
 * Beside each ring stands a large area of max_request (max_reply) bytes, for
 * the one message at a time that is too long for the ring; or for a reply and
 * the pushes that follow it. It is address
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

/* "RCHAN" and the format: raised with each change of the rings' messages or of
 * rf_front_shm. */
#define RF_CHANNEL_MARKER UINT64_C(0x0001004e41484352)

struct rf_channel_shm {
	uint64_t epoch;	      /* supervisor, before any child runs; never 0 */
	uint64_t conn_serial; /* network child: last connection serial used */
	/* Written when it is made. */
	uint64_t marker;
	uint64_t request_large_bytes, reply_large_bytes;
	uint64_t reserved[3];
	struct rf_ring_shm request; /* network -> business */
	struct rf_ring_shm reply;   /* business -> network */
};

/* Orders to the processes that share the connections' descriptor table, one at
 * a time: see daemon/supervise/vault.c. One word holds the order's serial, its
 * state and a value, so that whoever acts on an order and whoever gives it up
 * agree, by one compare and exchange, on who was first. */
enum rf_order_state {
	RF_ORDER_TAKEN,	  /* by the new process itself; value: its pid */
	RF_ORDER_GIVEN,	  /* by the supervisor */
	RF_ORDER_FAILED,  /* by whom it went to; value: errno */
	RF_ORDER_GIVEN_UP /* by the supervisor */
};
#define RF_ORDER_STATE_BITS 2

enum rf_order_kind {
	RF_ORDER_NETWORK, /* to the vault: make a network child */
	RF_ORDER_VAULT	  /* to the network child: make a vault */
};

struct rf_order_shm {
	uint64_t word;	 /* its low half is the futex: serial and state */
	uint32_t kind;	 /* enum rf_order_kind */
	uint32_t scene;	 /* of the new process: its index in the status */
	uint64_t tables; /* descriptor tables so far; the newest's serial */
};

static inline uint64_t rf_order_word(
	uint32_t serial, enum rf_order_state state, uint32_t value)
{
	return (uint64_t)value << 32 |
	       (uint32_t)(serial << RF_ORDER_STATE_BITS | state);
}
static inline uint32_t rf_order_serial(uint64_t word)
{
	return (uint32_t)word >> RF_ORDER_STATE_BITS;
}
static inline enum rf_order_state rf_order_state(uint64_t word)
{
	return (enum rf_order_state)(word & ((1U << RF_ORDER_STATE_BITS) - 1));
}
/* One step of an order, if it still stands at `from`. */
static inline bool rf_order_move(
	struct rf_order_shm *order, uint64_t from, uint64_t to)
{
	return __atomic_compare_exchange_n(&order->word, &from, to, false,
		__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* Beside the rings: what a network child leaves to its successor. Not mapped
 * by the business child. Laid out by worker/network/front.h behind this. */
struct rf_front_shm {
	/* Network child: what it made of all that follows. Another number is
	 * another layout, and nothing of it can be used. */
	uint64_t layout;
	/* Where it is mapped, if a daemon after this one may have it: chosen
	 * when it is made. 0: it stands where nobody can say beforehand. */
	uint64_t base;
	/* Supervisor: 1: SIGTERM means to leave the connections afloat. */
	uint64_t leave;
	/* Network child: 1: the ferry has all connections, no descriptor
	 * number of theirs counts. 0 again once they have landed. */
	uint64_t afloat;
	struct rf_order_shm order;
};
#define RF_FRONT_BYTES ((size_t)4 << 40) /* address space, sparse */
/* Its base is in here: gcc's and clang's sanitizers leave room. */
#define RF_FRONT_FROM UINT64_C(0x580000000000)
#define RF_FRONT_TO   UINT64_C(0x5f0000000000)

struct rf_lane { /* one direction */
	struct rf_ring ring;
	uint8_t *large;
	size_t large_max_bytes;
	size_t large_off; /* in the segment */
};

struct rf_channel {
	struct rf_segment seg;
	struct rf_channel_shm *shm;
	struct rf_segment front; /* base: struct rf_front_shm */
	struct rf_lane request;
	struct rf_lane reply;
	int bell_business; /* eventfds, non-blocking; made by create */
	int bell_network;
	/* A pair of unix stream sockets. What a network child sends on the
	 * second stays in the first, descriptors too, while anybody has that
	 * open: worker/network/ferry.c. */
	int ferry[2];
	int landing; /* ferry[0] of the daemon before; -1: none came */
};

/* Supervisor, before the first fork. */
int rf_channel_create(struct rf_channel *ch, const char *service,
	size_t request_max_bytes, size_t reply_max_bytes);

/* What one daemon leaves to the next: seg and front, shared by
 * rf_segment_share(), and ferry[0]. */
struct rf_channel_kept {
	int channel, front, ferry; /* -1: did not come */
};
/* The same with the connections of the daemon before.
 *
 * kept     stays the caller's to close, but for the ferry after a success
 * Returns  0; or -errno, and nothing of ch is open: `why` says why no
 *          connection can go on */
int rf_channel_adopt(struct rf_channel *ch, const struct rf_channel_kept *kept,
	size_t request_max_bytes, size_t reply_max_bytes, const char **why);
/* Its connections are afloat: it may be left to the next daemon. */
bool rf_channel_is_afloat(const struct rf_channel *ch);
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
