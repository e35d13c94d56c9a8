/* SPDX-License-Identifier: MIT */
/* lane.c -- the producer's end of the request ring.
 *
 * Messages are written behind the private head, which outlives this process:
 * one commit moves it behind all that was written, together with what else the
 * messages make true. The public head follows at the end of the round.
 */
#include "network.h"
#include <stdio.h>
#include <string.h>

/* Memory of the large area that stays between two large requests. */
#define LARGE_KEEP_BYTES ((size_t)1 << 20)

static struct rf_ring *ring_of(struct net *net)
{
	return &net->channel->request.ring;
}

static void show(struct net *net, bool bell)
{
	if (net->request_shown == net->front->request_at)
		return;
	net->request_shown = net->front->request_at;
	if (rf_ring_publish(ring_of(net), net->front->request_at, bell))
		rf_bell_ring(net->channel->bell_business);
}

void lane_publish(struct net *net)
{
	show(net, true);
}

void lane_init(struct net *net)
{
	/* What a predecessor pushed and did not show is shown first. */
	net->request_shown = ring_of(net)->shm->head;
	net->request_at = net->front->request_at;
	/* A predecessor's large request may still stand there. */
	net->large_until = net->request_at;
	net->large_untrimmed = true;
	lane_publish(net);
}

bool lane_is_next(const struct net *net, const struct conn_list *waiters)
{
	return net->resuming ||
	       (!net->front->owes_reset && TAILQ_EMPTY(waiters));
}

struct rf_msg *lane_room(struct net *net, size_t payload_bytes)
{
	size_t need = rf_ring_need(payload_bytes);

	if (!lane_is_next(net, &net->room_waiters))
		return NULL;
	if (need > net->request_room)
		net->request_room = rf_ring_room(ring_of(net), net->request_at);
	if (need > net->request_room)
		return NULL;
	return rf_ring_slot(ring_of(net), net->request_at);
}

void lane_push(struct net *net, struct rf_msg *msg, enum rf_msg_type type,
	enum rf_msg_flag flags, uint64_t conn_id, size_t payload_bytes)
{
	size_t need = rf_ring_need(flags & RF_MSG_LARGE ? 0 : payload_bytes);

	msg->ring_bytes = (uint32_t)need;
	msg->type = (uint16_t)type;
	msg->flags = (uint16_t)flags;
	msg->conn_id = conn_id;
	msg->payload_bytes = payload_bytes;
	net->request_at += need;
	net->request_room -= need;
}

void lane_commit(struct net *net)
{
	struct front *front = net->front;

	if (net->request_at != front->request_at)
		journal_set(
			&front->journal, &front->request_at, net->request_at);
	journal_commit(&front->journal);
	/* The other side may begin on a big batch before it is complete. */
	if (front->request_at - net->request_shown > RF_RING_BYTES / 2)
		show(net, false);
}

bool lane_notice(
	struct net *net, enum rf_msg_type type, uint64_t id, const char *text)
{
	size_t bytes = strlen(text);
	struct rf_msg *msg = lane_room(net, bytes);

	if (!msg)
		return false;
	memcpy(msg + 1, text, bytes);
	lane_push(net, msg, type, 0, id, bytes);
	return true;
}

bool lane_large_is_busy(struct net *net)
{
	const struct rf_ring *ring = ring_of(net);
	uint64_t waiting = ring->size - rf_ring_room(ring, net->request_at);

	return waiting > net->request_at - net->large_until;
}

bool lane_may_sleep(struct net *net)
{
	size_t need = SIZE_MAX;

	/* Half a ring: more than any message, and worth waking up for. */
	if (net->front->owes_reset || !TAILQ_EMPTY(&net->room_waiters))
		need = RF_RING_BYTES / 2;
	if (!TAILQ_EMPTY(&net->large_waiters)) {
		uint64_t behind = net->request_at - net->large_until;

		if (!lane_large_is_busy(net))
			return false;
		if (RF_RING_BYTES - behind < need)
			need = RF_RING_BYTES - behind;
	}
	return need == SIZE_MAX ||
	       rf_ring_wait_room(ring_of(net), net->request_at, need);
}

void lane_trim(struct net *net)
{
	if (!net->large_untrimmed || lane_large_is_busy(net))
		return;
	rf_lane_trim(net->channel, &net->channel->request, LARGE_KEEP_BYTES);
	net->large_untrimmed = false;
}
