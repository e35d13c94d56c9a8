/* SPDX-License-Identifier: MIT */
/* tx.h -- transactions over the arena: all of a change or none of it.
 *
 * Only the business child (the holder of the lease) may call these, and the
 * supervisor while it builds. One transaction at a time, no nesting. The
 * framework opens one around `build`, `migrate`, `request`, `tick` and
 * `closed`: worker code only changes memory, it never begins or commits.
 */
#ifndef REFORK_TX_H
#define REFORK_TX_H

#include <refork/check.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

RF_API void rf_tx_begin(void);
RF_API bool rf_tx_is_open(void);

/* Keep the old value of arena memory that is about to change.
 *
 * at, bytes   any range inside one live block or root; bytes may be 0
 * Returns     0; or the error that stuck to the transaction: -ENOSPC when the
 *             undo log is full (a sixteenth of arena.max, at least 16 MiB),
 *             -ENOMEM when it could not grow. The range must then not change.
 * Not needed  for blocks taken in this same transaction
 * Cost        ~5 ns for up to 64 bytes */
RF_API int rf_tx_log(const void *at, size_t bytes);

/* arena.undo_check is looking; the framework's. */
RF_API_DATA bool rf_tx_is_compared;
RF_API void rf_tx_compare_not(const void *at, size_t bytes);

/* Say that this memory is changed in this transaction without being logged, and
 * that this is meant: a counter, a time of last use. A roll back leaves it as
 * it is. Needed for arena.undo_check only; costs a branch. */
static inline void rf_tx_unlogged(const void *at, size_t bytes)
{
	if (rf_unlikely(rf_tx_is_compared))
		rf_tx_compare_not(at, bytes);
}

/* rf_tx_log, then copy. Does nothing once an error has stuck. */
static inline void rf_tx_write(void *at, const void *from, size_t bytes)
{
	if (rf_likely(rf_tx_log(at, bytes) == 0))
		memcpy(at, from, bytes);
}

/* Assign to a variable in the arena, undone if the transaction is. */
#define RF_SET(lvalue, value)                                                  \
	do {                                                                   \
		if (rf_likely(rf_tx_log(&(lvalue), sizeof(lvalue)) == 0))      \
			(lvalue) = (value);                                    \
	} while (0)

/* Make an error stick: later writes do nothing and the commit aborts.
 * `error` is negative (-ENOMEM ...). The first one wins. What is read from
 * then on may be a change half made: it means nothing, and a loop that waits
 * for its own changes must look at rf_tx_error(). */
RF_API void rf_tx_fail(int error);

/* 0, or the first error that stuck. */
RF_API int rf_tx_error(void);

/* Decide. Returns 0 when everything since rf_tx_begin is now durable against
 * the death of the process; else the error that stuck, after an abort. */
RF_API int rf_tx_commit(void);

/* Put everything back as it was at rf_tx_begin. */
RF_API void rf_tx_abort(void);

#endif
