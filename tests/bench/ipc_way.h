/* SPDX-License-Identifier: MIT */
/* ipc_way.h -- the ways to bring a message to another process, for bench_ipc.
 *
 * Every way is used through the same five functions, so every message is
 * written by its sender, word by word, where the way wants it, and read, word
 * by word, where the way hands it out. Side 0 is the parent, side 1 the child;
 * what make() opens is inherited.
 *
 *   ipc_ring.h    refork's ring, in a memfd and in a file
 *   ipc_kernel.h  pipes, sockets, message queues
 *   ipc_box.h     one message or 64 in shared memory, and how to wake the other
 */
#ifndef IPC_WAY_H
#define IPC_WAY_H

#include "measure.h"
#include <errno.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#define BATCH	      16 /* messages, where a way can hand over several */
#define MESSAGE_BYTES 4096

struct way {
	const char *name;
	const char *hands_over; /* how it does so, one way */
	void (*make)(void);
	/* Where the next message of `bytes` is to be written. Waits for room.
	 */
	void *(*place)(int side, size_t bytes);
	/* It is written. `now`: the receiver is to see it, and all before. */
	void (*push)(int side, size_t bytes, bool now);
	/* The next message; waits for it. Good until taken() is called. */
	const void *(*next)(int side, size_t bytes);
	void (*taken)(int side, size_t bytes);
	void (*unmake)(void);
};

/* Set before the child is forked. */
static bool way_one_way;  /* side 0 sends, side 1 receives, nobody answers */
static bool way_one_core; /* who spins gives the processor away */

static inline void must(bool good, const char *what)
{
	if (!good)
		give_up(what, -errno);
}

static inline void *share(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	must(at != MAP_FAILED, "mmap");
	return at;
}

#endif
