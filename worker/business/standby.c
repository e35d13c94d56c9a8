/* SPDX-License-Identifier: MIT */
/* standby.c -- a business child that waits for its turn.
 *
 * The problem. A new process touches each page of the arena for the first time
 * when the first requests need it: thousands of page faults, while clients
 * wait.
 * The idea. Fault them in while another process serves, and sleep in the lease.
 *
 * At every moment it waits for the lease or comes back to it within one step
 * of STEP_BYTES. After each step it waits REST times as long as the step took,
 * so the serving process keeps its share of memory and processor. Only ranges
 * that have memory behind them are touched: a touched hole would take memory
 * for good. Once all is there it looks about once a second whether the heap
 * has grown.
 */
#include "standby.h"
#include "common/arena.h"
#include "common/super.h"
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STEP_BYTES ((size_t)4 << 20)
#define REST	   4
#define REST_US	   1000 /* at least */
#define LOOK_US	   ((int64_t)1000000)
/* Larger mappings of a process are reserves, not memory in use. */
#define OWN_BYTES_MAX ((size_t)16 << 20)
/* When a processor is busy, whoever asks for short slices runs sooner. */
#define SLICE_NS 100000

struct prefault {
	size_t done[RF_RANGE_COUNT]; /* bytes, from the front of each range */
	bool refused; /* this kernel has no such call, or no memory */
};

/* The time slice of this process; 0: the usual one. Kernels before 6.12 take
 * the call and do nothing. The struct is the kernel's sched_attr, whose header
 * and libc's do not go together. */
static void set_slice(uint64_t ns)
{
	struct {
		uint32_t size, policy;
		uint64_t flags;
		int32_t nice;
		uint32_t priority;
		uint64_t runtime, deadline, period;
	} attr = {.size = sizeof attr, .policy = SCHED_OTHER, .runtime = ns};

	syscall(SYS_sched_setattr, 0, &attr, 0);
}

/* The next piece that is backed and not done; false: there is none. Holes are
 * left out for good: whoever fills one later touches it himself. */
static bool next_piece(
	struct prefault *all, size_t *range, struct rf_range *piece)
{
	struct rf_range backed[RF_RANGE_COUNT];

	rf_arena_backed(backed);
	for (size_t i = 0; i < RF_RANGE_COUNT; i++) {
		size_t end = backed[i].off + backed[i].bytes;

		if (backed[i].bytes <= all->done[i] ||
			!rf_segment_next_backed(rf_arena_segment,
				backed[i].off + all->done[i], end, piece)) {
			all->done[i] = backed[i].bytes; /* or it has shrunk */
			continue;
		}
		*range = i;
		all->done[i] = piece->off - backed[i].off;
		if (piece->bytes > STEP_BYTES)
			piece->bytes = STEP_BYTES;
		return true;
	}
	return false;
}

/* True when it did something, and there may be more. */
static bool step(struct prefault *all, struct rf_status_standby *mine)
{
	struct rf_range piece;
	size_t range, from, to;

	if (all->refused || !next_piece(all, &range, &piece))
		return false;
	from = piece.off & ~(size_t)4095;
	to = (piece.off + piece.bytes + 4095) & ~(size_t)4095;
	if (madvise((uint8_t *)RF_ARENA_BASE + from, to - from,
		    MADV_POPULATE_WRITE) != 0) {
		all->refused = errno != EINTR && errno != EAGAIN;
		return !all->refused;
	}
	all->done[range] += piece.bytes;
	rf_status_add(mine->prefaulted_bytes, piece.bytes);
	return true;
}

/* ---- what is not the arena ---- */

/* One line of /proc/self/maps: of this process's own memory all that is used
 * (its parent's, copied at the first touch, and its code). */
static void touch_own(const char *line)
{
	unsigned long from, to;
	char perms[5];
	int advice;

	if (sscanf(line, "%lx-%lx %4s", &from, &to, perms) != 3 ||
		perms[0] != 'r' || perms[3] != 'p' || to - from > OWN_BYTES_MAX)
		return;
	advice = perms[1] == 'w' ? MADV_POPULATE_WRITE : MADV_POPULATE_READ;
	madvise((void *)from, to - from, advice);
}

static void touch(void *at, size_t bytes)
{
	madvise(at, bytes, MADV_POPULATE_WRITE);
}

static void touch_all_but_the_arena(const struct rf_child *self)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];

	touch(self->channel->request.ring.bytes, 2 * RF_RING_BYTES);
	touch(self->channel->reply.ring.bytes, 2 * RF_RING_BYTES);
	touch(self->channel->shm, 4096);
	while (maps != NULL && fgets(line, sizeof line, maps) != NULL)
		touch_own(line);
	if (maps != NULL)
		fclose(maps);
}

static void begin_words(const struct rf_child *self)
{
	struct rf_status_standby *mine = &self->status->standby;

	rf_status_set(mine->prefaulted_bytes, 0);
	rf_status_set(mine->prefault_complete, 0);
	rf_status_set(mine->heartbeat_ms, rf_monotonic_ms());
	__atomic_store_n(&mine->ready_pid, getpid(), __ATOMIC_RELEASE);
	rf_bell_ring(self->bell_supervisor);
}

/* All is there. The settings of what the heap has grown by come along. */
static void complete(const struct rf_child *self)
{
	struct rf_status_standby *mine = &self->status->standby;

	rf_arena_inherit();
	if (rf_status_get(mine->prefault_complete) != 0)
		return;
	rf_status_set(mine->prefault_complete, 1);
	rf_bell_ring(self->bell_supervisor);
}

int standby_wait(const struct rf_child *self)
{
	struct rf_status_standby *mine = &self->status->standby;
	struct prefault all = {0};
	int64_t rest_us = 0;
	int lease;

	set_slice(SLICE_NS);
	begin_words(self);
	touch_all_but_the_arena(self);
	while ((lease = rf_lease_lock(rest_us, false)) == -ETIMEDOUT) {
		int64_t from_us = rf_monotonic_us();

		rf_status_set(mine->heartbeat_ms, from_us / 1000);
		if (step(&all, mine)) {
			rest_us = (rf_monotonic_us() - from_us) * REST;
			if (rest_us < REST_US)
				rest_us = REST_US;
		} else {
			complete(self);
			rest_us = LOOK_US;
		}
	}
	return lease;
}

void standby_settle(void)
{
	set_slice(0);
}
