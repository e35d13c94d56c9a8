/* SPDX-License-Identifier: MIT */
/* ring.c -- the ring's indices and its two sleeping flags.
 *
 * Sleeping without losing a wake-up. The sleeper sets its flag, then looks once
 * more; the waker publishes, then looks at the flag. A full fence between the
 * two steps on both sides makes it impossible that both look too early. The
 * flag is cleared by whoever rings, so a batch rings once.
 *
 * Death. Every store here is a single aligned word, and none of them is needed
 * for the next one to make sense: a side that dies anywhere leaves a ring that
 * its successor goes on with, from its own idea of the positions. A flag left
 * set costs one bell too many. One taken down by who then died before ringing
 * would lose a wake-up: a new business child rings once unasked (desk_open),
 * and the business child itself never sleeps for long.
 */
#include "ring.h"
#include <errno.h>
#include <string.h>

static inline uint64_t load(const uint64_t *at)
{
	return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

size_t rf_ring_room(const struct rf_ring *ring, uint64_t pos)
{
	uint64_t used = pos - load(&ring->shm->tail);

	/* A tail that makes no sense (bytes of another process) is no room. */
	return used > ring->size ? 0 : ring->size - used;
}

struct rf_msg *rf_ring_slot(const struct rf_ring *ring, uint64_t pos)
{
	return (struct rf_msg *)(ring->bytes + (pos & (ring->size - 1)));
}

/* Take the flag down; true for the one who did. */
static bool take(uint32_t *flag)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return __atomic_load_n(flag, __ATOMIC_RELAXED) != 0 &&
	       __atomic_exchange_n(flag, 0, __ATOMIC_ACQ_REL) != 0;
}

static void raise_flag(uint32_t *flag)
{
	__atomic_store_n(flag, 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

bool rf_ring_publish(struct rf_ring *ring, uint64_t pos, bool bell)
{
	__atomic_store_n(&ring->shm->head, pos, __ATOMIC_RELEASE);
	return bell && take(&ring->shm->consumer_sleeps);
}

bool rf_ring_wait_room(struct rf_ring *ring, uint64_t pos, size_t need)
{
	raise_flag(&ring->shm->producer_waits);
	return rf_ring_room(ring, pos) < need;
}

int rf_ring_peek(const struct rf_ring *ring, uint64_t pos, struct rf_msg *msg)
{
	uint64_t there = load(&ring->shm->head) - pos;

	if (there == 0)
		return 0;
	if (there > ring->size || there < sizeof *msg)
		return -EBADMSG;
	memcpy(msg, rf_ring_slot(ring, pos), sizeof *msg);
	__atomic_signal_fence(__ATOMIC_SEQ_CST); /* read it once */
	if (msg->ring_bytes < sizeof *msg || msg->ring_bytes > there ||
		msg->ring_bytes % 8 != 0)
		return -EBADMSG;
	if (msg->type == 0 || msg->type >= RF_MSG_TYPE_COUNT)
		return -EBADMSG;
	if (!(msg->flags & RF_MSG_LARGE) &&
		msg->payload_bytes > msg->ring_bytes - sizeof *msg)
		return -EBADMSG;
	return 1;
}

bool rf_ring_release(struct rf_ring *ring, uint64_t pos)
{
	__atomic_store_n(&ring->shm->tail, pos, __ATOMIC_RELEASE);
	return take(&ring->shm->producer_waits);
}

bool rf_ring_sleep(struct rf_ring *ring, uint64_t pos)
{
	raise_flag(&ring->shm->consumer_sleeps);
	return load(&ring->shm->head) == pos;
}

void rf_ring_awake(struct rf_ring *ring)
{
	__atomic_store_n(&ring->shm->consumer_sleeps, 0, __ATOMIC_RELAXED);
}
