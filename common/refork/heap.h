/* SPDX-License-Identifier: MIT */
/* heap.h -- memory for state: blocks in the arena, part of the transaction. */
#ifndef REFORK_HEAP_H
#define REFORK_HEAP_H

#include <refork/check.h>
#include <stdbool.h>
#include <stddef.h>

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
 * Cost        ~30 ns plus the zeroing; grows the segment (a system call) at
 *             most once per 2 MiB */
RF_API void *rf_alloc(size_t bytes);

/* The same without the zeroing: the bytes are whatever stood there. */
RF_API void *rf_alloc_uninit(size_t bytes);

/* Ask first: like rf_alloc_uninit, but NULL leaves the transaction usable. */
RF_API void *rf_try_alloc(size_t bytes);

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
};

/* Cost: O(number of free runs). */
RF_API void rf_heap_stats(struct rf_heap_stats *out);

/* Bytes in live blocks. O(1). */
RF_API size_t rf_heap_used(void);

/* Walk all metadata. Returns 0, or -EBADMSG after reporting every problem
 * through rf_log. Cost: O(pages). */
RF_API int rf_heap_check(void);

#endif
