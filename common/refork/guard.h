/* SPDX-License-Identifier: MIT */
/* guard.h -- the arena can be written inside a transaction only.
 *
 * With arena.guard on, a write at any other time is a crash that changes
 * nothing. Reading is free. What a worker's own threads share in the arena,
 * beside the transactions, they write between these two.
 */
#ifndef REFORK_GUARD_H
#define REFORK_GUARD_H

#include <refork/check.h>

/* Open the arena for this thread, until the end. They nest. Costs a few
 * nanoseconds where there is no guard, else some tens.
 *
 * For memory that no transaction changes: what is written here is not rolled
 * back. arena.undo_check looks no more at the pages that it is written to. */
RF_API void rf_unguarded_begin(void);
RF_API void rf_unguarded_end(void);

#endif
