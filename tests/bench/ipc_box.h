/* SPDX-License-Identifier: MIT */
/* ipc_box.h -- messages in plain shared memory, and how to wake the other.
 *
 * eventfd and futex carry no bytes: beside them stands a box for one message in
 * each direction. One way the box is handed to and fro: each message is
 * answered by an empty wake-up. With semaphores there are 64 boxes, and two
 * semaphores a direction count the full and the empty ones.
 */
#ifndef IPC_BOX_H
#define IPC_BOX_H

#include "ipc_way.h"
#include <linux/futex.h>
#include <semaphore.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

#define BOX_COUNT 64

struct box {
	_Alignas(64) uint32_t full; /* futex */
	_Alignas(64) uint8_t bytes[MESSAGE_BYTES];
};

static struct boxes { /* by sending side */
	_Alignas(64) sem_t filled;
	_Alignas(64) sem_t emptied;
	struct box box[BOX_COUNT];
} * boxes;

static unsigned box_sent[2], box_taken[2];
static bool box_unanswered;

static void boxes_make(void)
{
	boxes = share(2 * sizeof *boxes);
	for (int side = 0; side < 2; side++) {
		must(sem_init(&boxes[side].filled, 1, 0) == 0 &&
				sem_init(&boxes[side].emptied, 1, BOX_COUNT) ==
					0,
			"sem_init");
		box_sent[side] = box_taken[side] = 0;
	}
	box_unanswered = false;
}

static void boxes_unmake(void)
{
	munmap(boxes, 2 * sizeof *boxes);
}

/* ---- one box each way ---- */

/* From `side` to the other one. */
static void (*box_wake)(int side);
static void (*box_wait)(int side);

static void *box_place(int side, size_t bytes)
{
	(void)bytes;
	if (way_one_way && box_unanswered)
		box_wait(side);
	return boxes[side].box[0].bytes;
}

static void box_push(int side, size_t bytes, bool now)
{
	(void)bytes;
	(void)now;
	box_unanswered = true;
	box_wake(side);
}

static const void *box_next(int side, size_t bytes)
{
	(void)bytes;
	box_wait(side);
	return boxes[!side].box[0].bytes;
}

static void box_taken_back(int side, size_t bytes)
{
	(void)bytes;
	if (way_one_way)
		box_wake(side);
}

static int event_fd[2]; /* by the side that it wakes */

static void event_wake(int side)
{
	const uint64_t one = 1;

	must(write(event_fd[!side], &one, sizeof one) == sizeof one,
		"write an eventfd");
}

static void event_wait(int side)
{
	uint64_t count;

	must(read(event_fd[side], &count, sizeof count) == sizeof count,
		"read an eventfd");
}

static void event_make(void)
{
	boxes_make();
	for (int side = 0; side < 2; side++) {
		event_fd[side] = eventfd(0, EFD_CLOEXEC);
		must(event_fd[side] >= 0, "eventfd");
	}
	box_wake = event_wake;
	box_wait = event_wait;
}

static void event_unmake(void)
{
	close(event_fd[0]);
	close(event_fd[1]);
	boxes_unmake();
}

static void futex_wake(int side)
{
	uint32_t *full = &boxes[side].box[0].full;

	__atomic_store_n(full, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, full, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void futex_wait(int side)
{
	uint32_t *full = &boxes[!side].box[0].full;

	while (__atomic_exchange_n(full, 0, __ATOMIC_SEQ_CST) == 0)
		syscall(SYS_futex, full, FUTEX_WAIT, 0, NULL, NULL, 0);
}

static void futex_make(void)
{
	boxes_make();
	box_wake = futex_wake;
	box_wait = futex_wait;
}

/* ---- 64 boxes and semaphores ---- */

static void sem_take(sem_t *sem)
{
	while (sem_wait(sem) != 0)
		must(errno == EINTR, "sem_wait");
}

static void *sem_place(int side, size_t bytes)
{
	(void)bytes;
	sem_take(&boxes[side].emptied);
	return boxes[side].box[box_sent[side] % BOX_COUNT].bytes;
}

static void sem_push(int side, size_t bytes, bool now)
{
	(void)bytes;
	(void)now;
	box_sent[side]++;
	sem_post(&boxes[side].filled);
}

static const void *sem_next(int side, size_t bytes)
{
	(void)bytes;
	sem_take(&boxes[!side].filled);
	return boxes[!side].box[box_taken[side] % BOX_COUNT].bytes;
}

static void sem_taken(int side, size_t bytes)
{
	(void)bytes;
	box_taken[side]++;
	sem_post(&boxes[!side].emptied);
}

#endif
