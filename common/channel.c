/* SPDX-License-Identifier: MIT */
/* channel.c -- the segment that holds both rings and their large areas, and the
 * one that network children share.
 *
 *   | indices | request ring | reply ring | request large | reply large |
 *
 * Each ring's pages are mapped twice in a row in an area of their own, so that
 * no message ever has to be split (ring.h).
 */
#include "channel.h"
#include <errno.h>
#include <refork/check.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define INDEX_BYTES 4096
#define LARGE_STEP  ((size_t)1 << 20)

_Static_assert(sizeof(struct rf_channel_shm) <= INDEX_BYTES, "layout");

static size_t round_up(size_t n)
{
	return (n + LARGE_STEP - 1) / LARGE_STEP * LARGE_STEP;
}

/* One view of the ring's file pages, then the same again behind it. */
static void *map_twice(int fd, size_t off)
{
	uint8_t *at = mmap(NULL, 2 * RF_RING_BYTES, PROT_NONE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		return NULL;
	for (int i = 0; i < 2; i++)
		if (mmap(at + (size_t)i * RF_RING_BYTES, RF_RING_BYTES,
			    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
			    (off_t)off) == MAP_FAILED) {
			munmap(at, 2 * RF_RING_BYTES);
			return NULL;
		}
	return at;
}

static int lane_init(struct rf_channel *ch, struct rf_lane *lane,
	struct rf_ring_shm *shm, size_t ring_off, size_t large_off)
{
	lane->ring.shm = shm;
	lane->ring.size = RF_RING_BYTES;
	lane->ring.bytes = map_twice(ch->seg.fd, ring_off);
	lane->large_off = large_off;
	lane->large = ch->seg.base + large_off;
	return lane->ring.bytes != NULL ? 0 : -errno;
}

static uint64_t fresh_epoch(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Its address is the same in every process: pointers into it are valid in all
 * of them. */
static int make_front(struct rf_channel *ch, const char *service)
{
	int error;

	ch->front.max_bytes = RF_FRONT_BYTES;
	snprintf(ch->front.name, sizeof ch->front.name, "refork-%s-front",
		service);
	error = rf_segment_create(&ch->front);
	if (error == 0)
		error = rf_segment_map(&ch->front, 0);
	if (error == 0)
		error = rf_segment_back(
			&ch->front, 0, sizeof(struct rf_front_shm));
	return error;
}

static int make_bells(struct rf_channel *ch)
{
	ch->bell_business = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	ch->bell_network = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return ch->bell_business < 0 || ch->bell_network < 0 ? -errno : 0;
}

int rf_channel_create(struct rf_channel *ch, const char *service,
	size_t request_max_bytes, size_t reply_max_bytes)
{
	size_t rings = INDEX_BYTES + 2 * RF_RING_BYTES;
	int error;

	memset(ch, 0, sizeof *ch);
	ch->bell_business = ch->bell_network = ch->front.fd = -1;
	ch->seg.backend = ch->front.backend = RF_BACKEND_MEMFD;
	snprintf(ch->seg.name, sizeof ch->seg.name, "refork-%s-channel",
		service);
	ch->request.large_max_bytes = round_up(request_max_bytes);
	ch->reply.large_max_bytes = round_up(reply_max_bytes);
	ch->seg.max_bytes =
		rings + ch->request.large_max_bytes + ch->reply.large_max_bytes;
	error = rf_segment_create(&ch->seg);
	if (error != 0)
		return error;
	error = rf_segment_map(&ch->seg, 0);
	if (error == 0)
		error = rf_segment_back(&ch->seg, 0, rings);
	if (error != 0)
		goto err_destroy;
	ch->shm = (struct rf_channel_shm *)ch->seg.base;
	error = lane_init(
		ch, &ch->request, &ch->shm->request, INDEX_BYTES, rings);
	if (error == 0)
		error = lane_init(ch, &ch->reply, &ch->shm->reply,
			INDEX_BYTES + RF_RING_BYTES,
			rings + ch->request.large_max_bytes);
	if (error == 0)
		error = make_front(ch, service);
	if (error == 0)
		error = make_bells(ch);
	if (error != 0)
		goto err_destroy;
	ch->shm->epoch = fresh_epoch();
	return 0;

err_destroy:
	rf_channel_destroy(ch);
	return error;
}

void rf_channel_reset(struct rf_channel *ch)
{
	uint64_t serial = ch->shm->conn_serial;

	memset(ch->shm, 0, sizeof *ch->shm);
	ch->shm->conn_serial = serial;
	ch->shm->epoch = fresh_epoch();
}

void rf_channel_destroy(struct rf_channel *ch)
{
	struct rf_lane *lanes[] = {&ch->request, &ch->reply};

	for (size_t i = 0; i < 2; i++)
		if (lanes[i]->ring.bytes != NULL)
			munmap(lanes[i]->ring.bytes, 2 * RF_RING_BYTES);
	if (ch->bell_business >= 0)
		close(ch->bell_business);
	if (ch->bell_network >= 0)
		close(ch->bell_network);
	rf_segment_close(&ch->front);
	rf_segment_close(&ch->seg);
	memset(ch, 0, sizeof *ch);
	ch->bell_business = ch->bell_network = ch->seg.fd = ch->front.fd = -1;
}

int rf_lane_back(struct rf_channel *ch, struct rf_lane *lane, size_t bytes)
{
	if (bytes > lane->large_max_bytes)
		return -ENOSPC;
	return rf_segment_back(&ch->seg, lane->large_off, round_up(bytes));
}

void rf_lane_trim(struct rf_channel *ch, struct rf_lane *lane, size_t keep)
{
	size_t kept = round_up(keep);

	if (kept < lane->large_max_bytes)
		rf_segment_unback(&ch->seg, lane->large_off + kept,
			lane->large_max_bytes - kept);
}

void rf_bell_ring(int bell)
{
	const uint64_t one = 1;

	/* EAGAIN: 2^64 - 2 rings unheard; the next look finds everything. */
	if (write(bell, &one, sizeof one) < 0)
		return;
}
