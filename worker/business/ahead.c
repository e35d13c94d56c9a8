/* SPDX-License-Identifier: MIT */
/* ahead.c -- tell the worker what the next requests are about.
 *
 * Only a hint, given before anything is counted or changed: what is taken from
 * the ring is checked here as if it would never be checked again, and whatever
 * looks odd is left out.
 */
#include "common/guard.h"
#include "common/super.h"
#include "desk.h"
#include <string.h>

/* The first argument behind the command's name; false when there is none. */
static bool first_argument(
	const struct rf_msg *msg, const uint8_t *payload, struct rf_bytes *out)
{
	uint32_t head[3]; /* argc, two lengths */
	uint64_t off;

	if (msg->type != RF_MSG_REQUEST || (msg->flags & RF_MSG_LARGE) ||
		msg->payload_bytes < sizeof head)
		return false;
	memcpy(head, payload, sizeof head);
	off = sizeof(uint32_t) * ((uint64_t)head[0] + 1) + head[1];
	if (head[0] < 2 || off + head[2] > msg->payload_bytes)
		return false;
	*out = (struct rf_bytes){(const char *)payload + off, head[2]};
	return true;
}

void ahead_look(const struct desk *desk)
{
	const struct rf_ring *ring = &desk->channel->request.ring;
	struct rf_bytes arguments[RF_AHEAD_MAX];
	uint64_t pos = RF_SUPER->desk.request_pos;
	uint32_t count = 0;
	struct rf_msg msg;

	if (desk->worker->ahead == NULL)
		return;
	for (int i = 0; i < RF_AHEAD_MAX; i++) {
		if (rf_ring_peek(ring, pos, &msg) != 1)
			break;
		count += first_argument(
			&msg, rf_ring_payload(ring, pos), &arguments[count]);
		pos += msg.ring_bytes;
	}
	if (count < 2)
		return;
	rf_guard_batch(false);
	desk->worker->ahead(arguments, count);
	rf_guard_batch(true);
}
