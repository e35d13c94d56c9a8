/* SPDX-License-Identifier: MIT */
/* heap.h -- memory for state: blocks in the arena, part of the transaction. */
#ifndef REFORK_HEAP_H
#define REFORK_HEAP_H

#include <refork/check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RF_BLOCK_BYTES_MAX ((size_t)1 << 36)

/* Take a block of zeroed memory from the arena.
 *
 * bytes       1 .. RF_BLOCK_BYTES_MAX
 * Returns     the block, 16-byte aligned (8 where the size, rounded up to 8, is
 *             24, 40 or 56); NULL when the arena is at arena.max
 *             or the system has no memory for it: the transaction then carries
 *             -ENOMEM and can only be aborted
 * Needs       an open transaction
 * On abort    the block was never taken; the death of the process counts as
 *             an abort. Its first bytes need no rf_tx_log until the commit.
 * Cost        ~27 ns with its free and a transaction around both, in cache,
 *             plus the zeroing; grows the segment (a system call) at most
 *             once per 2 MiB */
RF_API void *rf_alloc(size_t bytes);

/* The same without the zeroing: the bytes are whatever stood there. */
RF_API void *rf_alloc_uninit(size_t bytes);

/* Ask first: like rf_alloc_uninit, but NULL leaves the transaction usable. */
RF_API void *rf_try_alloc(size_t bytes);

/* As rf_alloc_uninit, at an address that is a multiple of `alignment`.
 *
 * alignment   a power of two, 8 .. RF_ALIGNMENT_MAX */
#define RF_ALIGNMENT_MAX ((size_t)2 << 20)
RF_API void *rf_alloc_aligned(size_t bytes, size_t alignment);

/* Make a block longer or shorter: in place when it can, else it moves.
 *
 * block       a live block, or NULL: then as rf_alloc_uninit
 * bytes       1 .. RF_BLOCK_BYTES_MAX
 * Returns     the block, its first bytes (as many as both lengths have) as they
 *             were, the rest whatever stood there; NULL as rf_alloc: the block
 *             is as it was and the transaction carries -ENOMEM
 * Logging     what is to change must be logged as before, unless the block has
 *             moved: a new one needs none. What it grew by needs none, too.
 * On abort    all as before; so a shorter block gives its tail back when the
 *             transaction commits
 * Cost        O(1) in place, that of a copy else */
RF_API void *rf_realloc(void *block, size_t bytes);

/* Give a block back when the transaction commits. Until then its bytes stay
 * and nobody else gets them. NULL is allowed. */
RF_API void rf_free(void *block);

/* Bytes usable in a live block: at least what was asked for. */
RF_API size_t rf_usable(const void *block);

/* Whether a pointer found in the arena is a live block with at least that many
 * bytes: for _check functions, which believe no pointer. Needs metadata that
 * rf_heap_check() has found whole. Cost: ~5 ns in cache. */
RF_API bool rf_is_block(const void *at, size_t bytes);

struct rf_heap_stats {
	size_t used_bytes;	  /* in live blocks, rounded to their class */
	size_t size_bytes;	  /* backed by memory: used + free */
	size_t max_bytes;	  /* size may grow to this */
	size_t free_run_bytes;	  /* whole free pages */
	size_t largest_run_bytes; /* longest run of free pages */
	size_t returned_bytes;	  /* free pages that the system has back; in
				   * max, not in size */
};

/* Cost: O(number of free runs). */
RF_API void rf_heap_stats(struct rf_heap_stats *out);

/* Bytes in live blocks. O(1). */
RF_API size_t rf_heap_used(void);

/* Of one size class; large blocks are the last one, with block_bytes 0. */
struct rf_heap_class {
	size_t block_bytes;
	uint64_t runs;	 /* of pages */
	uint64_t blocks; /* that they have room for */
	uint64_t used_blocks;
	uint64_t runs_bytes;
};
#define RF_HEAP_CLASSES 36

/* Fill in at most `room` classes. Returns how many there are. Cost: O(runs). */
RF_API size_t rf_heap_classes(struct rf_heap_class *out, size_t room);

/* Give memory that is free and was not wanted lately back to the system: what
 * is beyond an eighth of the used bytes (4 MiB at least) and beyond arena.size.
 *
 * budget_bytes  at most so much in this call: bounds its time
 * Needs         the lease, no open transaction: it makes its own
 * Returns       bytes given back; 0: there is nothing to do */
RF_API size_t rf_heap_trim(size_t budget_bytes);

/* Walk all metadata. Returns 0, or -EBADMSG after reporting every problem
 * through rf_log. Cost: O(pages). */
RF_API int rf_heap_check(void);

#endif
