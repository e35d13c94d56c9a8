/* SPDX-License-Identifier: MIT */
/* front.c -- memory that outlives a network child.
 *
 *   | front, ledger, journals | shared input | conns | buffers ... |
 *
 * The problem. A network child may die between any two instructions, and its
 * connections are to go on with their streams exact to the byte.
 * The idea. All that is true of a connection stands here, mapped at the same
 * address in every network child, and is true at every instant:
 *
 *   F1  bytes are written where nobody looks (behind the end of a buffer,
 *       behind the head of the ring), then one store makes them count
 *   F2  where several words must change together they are noted first, then
 *       the number of notes is stored: that decides. A successor does
 *       decided notes again, which changes nothing that was done
 *                                                       journal_commit()
 *   F3  which system call is about to be made stands here, and what it has
 *       done is known to the kernel, or written here by it before the process
 *       can be killed                                    sock.c
 *   F4  what can be found out again is not kept: lists, sums, free memory,
 *       half-parsed requests                            resume.c
 *
 * Ordering. The reader has outlived the writer, so program order is enough; the
 * barriers are the compiler's.
 */
#include "front.h"
#include "network.h"
#include <errno.h>
#include <refork/check.h>
#include <string.h>
#include <sys/mman.h>

#define HEAD_BYTES  ((size_t)64 << 10)
#define CONNS_OFF   (HEAD_BYTES + FRONT_SHARED_BYTES)
#define BACK_SLOTS  64
#define BUFFERS_OFF BUFFER_REGION_OFF

_Static_assert(sizeof(struct front) <= HEAD_BYTES, "layout");
_Static_assert(CONNS_OFF + sizeof(struct conn) * CONN_SLOT_MAX <= BUFFERS_OFF,
	"layout");

/* Each size by a prime, so that two changes do not make up for each other. */
uint64_t front_layout(void)
{
	return UINT64_C(0x46524f4e54) << 24 ^
	       (FRONT_FORMAT * UINT64_C(1000003) +
		       sizeof(struct front) * UINT64_C(1009) +
		       sizeof(struct conn) * UINT64_C(10007) +
		       sizeof(struct ledger) * UINT64_C(100003) +
		       offsetof(struct front, offenders) * UINT64_C(9973) +
		       offsetof(struct conn, cookie) * UINT64_C(99991) +
		       CONN_STATE_COUNT * UINT64_C(31) +
		       BUFFER_CLASSES * UINT64_C(37));
}

void journal_redo(struct journal *j)
{
	j->staged = j->armed <= JOURNAL_MAX ? j->armed : 0;
	journal_commit(j);
}

struct conn *front_conns(const struct rf_channel *channel)
{
	return (struct conn *)(channel->front.base + CONNS_OFF);
}

uint8_t *front_shared_bytes(const struct rf_channel *channel)
{
	return channel->front.base + HEAD_BYTES;
}

int front_open(struct rf_channel *channel)
{
	int rc = rf_segment_back(&channel->front, 0, CONNS_OFF);

	/* The kernel's results go there (F3): no page fault may stand in its
	 * way. Best effort, as is swapping it out. */
	if (rc == 0 && mlock(channel->front.base, HEAD_BYTES) != 0)
		errno = 0;
	return rc;
}

void front_wipe(struct rf_channel *channel)
{
	struct front *front = front_of(channel);

	memset(&front->shm + 1, 0, sizeof(*front) - sizeof(front->shm));
	rf_segment_unback(&channel->front, CONNS_OFF,
		channel->front.max_bytes - CONNS_OFF);
}

int front_back_slot(struct rf_channel *channel, uint32_t slot)
{
	if (slot % BACK_SLOTS != 0)
		return 0;
	return rf_segment_back(&channel->front,
		CONNS_OFF + slot * sizeof(struct conn),
		BACK_SLOTS * sizeof(struct conn));
}
