/* SPDX-License-Identifier: MIT */
/* ipc_ring.h -- refork's ring: as the product uses it, spinning, in a file.
 *
 * The channel is the product's own. Batches of 16 are published at once; a bell
 * (eventfd) is rung only when the other side has said that it sleeps, and it
 * sleeps in epoll_wait(), edge-triggered, and never reads the bell.
 */
#ifndef IPC_RING_H
#define IPC_RING_H

#include "ipc_way.h"
#include <channel.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

static struct rf_channel channel;
static bool ring_bells;
static int ring_epoll[2]; /* by side: of the bell that is rung for it */
static struct rf_ring *ring_from[2]; /* by sending side */
static int bell_of[2];
static uint64_t sent_pos[2], taken_pos[2];
static unsigned pushed_count[2], taken_count[2];

static void watch_bells(void)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};

	for (int side = 0; side < 2; side++) {
		ring_epoll[side] = epoll_create1(EPOLL_CLOEXEC);
		must(ring_epoll[side] >= 0 &&
				epoll_ctl(ring_epoll[side], EPOLL_CTL_ADD,
					bell_of[side], &event) == 0,
			"epoll");
		sent_pos[side] = taken_pos[side] = 0;
		pushed_count[side] = taken_count[side] = 0;
	}
}

static void ring_make_channel(void)
{
	int error = rf_channel_create(&channel, "bench-ipc", 1 << 20, 1 << 20);

	if (error != 0)
		give_up("make a channel", error);
	ring_from[0] = &channel.request.ring;
	ring_from[1] = &channel.reply.ring;
	bell_of[0] = channel.bell_network;
	bell_of[1] = channel.bell_business;
	watch_bells();
}

static void ring_make(void)
{
	ring_bells = true;
	ring_make_channel();
}

static void spin_make(void)
{
	ring_bells = false;
	ring_make_channel();
}

static void ring_unmake(void)
{
	close(ring_epoll[0]);
	close(ring_epoll[1]);
	rf_channel_destroy(&channel);
}

static void ring_rest(int side)
{
	struct epoll_event event;

	if (ring_bells)
		epoll_wait(ring_epoll[side], &event, 1, -1);
	else if (way_one_core)
		sched_yield();
	else
		__builtin_ia32_pause();
}

static void ring_show(int side)
{
	pushed_count[side] = 0;
	if (rf_ring_publish(ring_from[side], sent_pos[side], ring_bells))
		rf_bell_ring(bell_of[!side]);
}

static void *ring_place(int side, size_t bytes)
{
	struct rf_ring *ring = ring_from[side];
	size_t need = rf_ring_need(bytes);

	while (rf_ring_room(ring, sent_pos[side]) < need) {
		ring_show(side);
		if (!ring_bells ||
			rf_ring_wait_room(ring, sent_pos[side], need))
			ring_rest(side);
	}
	return rf_ring_slot(ring, sent_pos[side]) + 1;
}

static void ring_push(int side, size_t bytes, bool now)
{
	struct rf_msg *msg = rf_ring_slot(ring_from[side], sent_pos[side]);

	*msg = (struct rf_msg){
		.ring_bytes = (uint32_t)rf_ring_need(bytes),
		.type = RF_MSG_PUSH,
		.payload_bytes = bytes,
	};
	sent_pos[side] += msg->ring_bytes;
	if (++pushed_count[side] == BATCH || now)
		ring_show(side);
}

static void ring_release(int side)
{
	taken_count[side] = 0;
	if (rf_ring_release(ring_from[!side], taken_pos[side]) && ring_bells)
		rf_bell_ring(bell_of[!side]);
}

static const void *ring_next(int side, size_t bytes)
{
	struct rf_ring *ring = ring_from[!side];
	struct rf_msg msg;
	int found;

	while ((found = rf_ring_peek(ring, taken_pos[side], &msg)) == 0) {
		ring_release(side);
		if (!ring_bells || rf_ring_sleep(ring, taken_pos[side]))
			ring_rest(side);
		if (ring_bells)
			rf_ring_awake(ring);
	}
	if (found < 0 || msg.payload_bytes != bytes)
		give_up("the ring holds no message", found);
	return rf_ring_payload(ring, taken_pos[side]);
}

static void ring_taken(int side, size_t bytes)
{
	taken_pos[side] += rf_ring_need(bytes);
	if (++taken_count[side] == BATCH)
		ring_release(side);
}

/* ---- the same in a regular file ---- */

#define RING_FILE_BYTES (4096 + 2 * RF_RING_BYTES)

static struct rf_ring file_rings[2];
static uint8_t *file_indices;

static uint8_t *map_file(int fd, void *at, size_t off, size_t bytes)
{
	uint8_t *mapped = mmap(at, bytes, PROT_READ | PROT_WRITE,
		MAP_SHARED | (at ? MAP_FIXED : 0), fd, (off_t)off);

	must(mapped != MAP_FAILED, "mmap a file");
	return mapped;
}

static void file_make(void)
{
	char path[] = "refork-bench-ring-XXXXXX"; /* where it was started */
	int fd = mkstemp(path);

	must(fd >= 0 && unlink(path) == 0, "a file for the ring");
	must(posix_fallocate(fd, 0, RING_FILE_BYTES) == 0, "fallocate");
	file_indices = map_file(fd, NULL, 0, 4096);
	for (size_t i = 0; i < 2; i++) {
		size_t off = 4096 + i * RF_RING_BYTES;
		uint8_t *at = mmap(NULL, 2 * RF_RING_BYTES, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		must(at != MAP_FAILED, "mmap");
		map_file(fd, at, off, RF_RING_BYTES);
		map_file(fd, at + RF_RING_BYTES, off, RF_RING_BYTES);
		file_rings[i] = (struct rf_ring){
			.shm = (struct rf_ring_shm *)file_indices + i,
			.bytes = at,
			.size = RF_RING_BYTES,
		};
		ring_from[i] = &file_rings[i];
		bell_of[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		must(bell_of[i] >= 0, "eventfd");
	}
	close(fd);
	ring_bells = true;
	watch_bells();
}

static void file_unmake(void)
{
	for (int i = 0; i < 2; i++) {
		munmap(file_rings[i].bytes, 2 * RF_RING_BYTES);
		close(bell_of[i]);
		close(ring_epoll[i]);
	}
	munmap(file_indices, 4096);
}

#endif
