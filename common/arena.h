/* SPDX-License-Identifier: MIT */
/* arena.h -- the recoverable memory: superblock, lease, log, heap, slots.
 *
 * One arena per process, at RF_ARENA_BASE: its superblock is a constant
 * address, so there is no handle to pass around.
 */
#ifndef RF_ARENA_H
#define RF_ARENA_H

#include "heap/heap_paint.h"
#include "segment.h"
#include <pthread.h>
#include <refork/slot.h>

#define RF_ARENA_MAGIC UINT64_C(0x414e455241464552) /* "REFARENA" */
/* A debug build's heap is none for others, and the other way round. */
#define RF_ARENA_FORMAT (3 | RF_HEAP_DEBUG << 8)

/* Sizes are chosen once, at creation, and stored. */
struct rf_arena_conf {
	uint64_t size_bytes;	 /* backed at start */
	uint64_t max_bytes;	 /* of the heap; 64 KiB .. 128 GiB */
	uint64_t log_bytes;	 /* fixed part of the undo log; 0: 1 MiB */
	const char *worker_name; /* <= 31 bytes */
	uint32_t state_version;
};

/* Bytes of address space and file that such an arena needs. */
size_t rf_arena_segment_bytes(const struct rf_arena_conf *conf);

/* Lay out a new arena in a fresh, mapped segment. The caller holds the lease
 * afterwards, the marker is not written yet: see rf_arena_publish. */
int rf_arena_format(struct rf_segment *seg, const struct rf_arena_conf *conf);

/* Take over a standing arena. Returns 0, or -EBADMSG/-ESTALE with a sentence
 * in `reason` that says what does not fit. Recovery (roll back) is done, the
 * caller holds the lease. *state_version_found is what is stored. */
int rf_arena_adopt(struct rf_segment *seg, const struct rf_arena_conf *conf,
	char *reason, size_t reason_bytes, uint32_t *state_version_found);

/* What the managers are now, after a build or a migration. Part of their
 * transaction. */
void rf_arena_set_state_version(uint32_t state_version);

/* True for a mapped segment in which no build has ever been completed: it has
 * no marker, and nothing else that would not fit. It never held state. */
bool rf_arena_is_unfinished(
	struct rf_segment *seg, const struct rf_arena_conf *conf);

/* The build is complete: write the marker (last). Backend file: it is on the
 * disk afterwards. */
void rf_arena_publish(void);

/* Backend file: write all of it to the disk and say in it that it is whole, so
 * that it is taken over after the machine went down (file_mark.h). Others:
 * nothing to do. Every process that keeps a file calls this last, also when it
 * could not start with it.
 *
 * Needs    the open segment; access to it may be forbidden. Nobody has the
 *          lease or changes a byte from here on: all children have ended
 * Returns  0; -errno: it is not closed, and can be taken over only until the
 *          machine goes down */
int rf_arena_close_whole(const struct rf_segment *seg);

/* ---- the lease (lease.c) ---- */

enum rf_lease {
	RF_LEASE_CLEAN,	    /* given back by its holder */
	RF_LEASE_OWNER_DIED /* its holder is dead, or dying and done */
};

/* Become the one process that may write: the lock, then the roll back.
 *
 * wait_us   how long to wait while another process lives and has it
 * orphaned  the caller knows that no other business process exists (the
 *           supervisor has reaped it): a lease that is still taken then has a
 *           broken robust list and is made anew
 * Returns   enum rf_lease; -ETIMEDOUT; -errno. The arena is as the last holder
 *           left it: rf_lease_recover() comes next. A death in between leaves
 *           everything to the next taker. */
int rf_lease_lock(int64_t wait_us, bool orphaned);

/* Roll back whatever the log holds and make the lease whole. Returns the number
 * of entries undone. */
size_t rf_lease_recover(void);

/* Both. Returns enum rf_lease, or -errno without the lease. */
int rf_lease_take(int wait_ms, bool orphaned);

void rf_lease_give(void);

/* In a signal handler, before dying: give what the thread that runs it holds.
 * The next taker is told that its owner died. False: it held nothing whole, and
 * nothing was given; the kernel then gives it at the end of the process. */
bool rf_lease_give_dying(void);

/* The same, but the kernel is to give it, at the end of the process: other
 * threads still run. The next taker knows that its owner died by itself. */
void rf_lease_mark_dying(void);

/* The thread of this process that holds the lease; 0: none. */
pid_t rf_lease_holder(void);

/* Make a free lease, whatever stands there. */
int rf_lease_init(void);

/* ---- what the framework keeps in the arena, beside the worker ---- */

/* The number of the business child that now serves; higher than any before.
 * Needs the lease, no transaction. */
void rf_arena_set_generation(uint64_t generation);

/* The parts of the segment that may have memory. */
#define RF_RANGE_COUNT 4

/* What has memory behind it for certain: superblock and log, page map, run
 * entries, heap. May be called without the lease: it reads one word that
 * changes, which grows only after its memory is there, and whose memory stays
 * when a roll back lowers it. */
void rf_arena_backed(struct rf_range out[RF_RANGE_COUNT]);

/* In a forked child: core dump and mlock settings for what is backed. */
int rf_arena_inherit(void);

/* Walk superblock, slots and heap. 0 or -EBADMSG after logging. */
int rf_arena_check(void);

/* Of these the superblock alone, and the size of the log. */
int rf_arena_check_super(void);

/* In a process that has a copy of an arena mapped at RF_ARENA_BASE by other
 * means (tests): use it. Then rf_tx_recover() rolls back. */
void rf_arena_use(struct rf_segment *seg);

/* Roll back what the log holds. Idempotent, may die at any point. Returns the
 * number of entries undone. */
size_t rf_tx_recover(void);

/* The log can be rolled back: every entry in it is one. Changes nothing. */
bool rf_tx_log_is_valid(void);

#endif
