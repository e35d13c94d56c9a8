/* SPDX-License-Identifier: MIT */
/* undo_check.h -- finds changes that were not logged first. See undo_check.c.
 */
#ifndef RF_UNDO_CHECK_H
#define RF_UNDO_CHECK_H

#include "crash.h"
#include "segment.h"
#include <signal.h>
#include <stdbool.h>

/* From now on every transaction of this thread is checked when it commits. The
 * log is empty, no transaction open; arm the crash handler before. 0 or
 * -errno: nothing is checked. */
int rf_undo_check_arm(const struct rf_segment *seg);

/* In the handler of SIGSEGV. True: it was the first write to a page, and can
 * be done now. */
bool rf_undo_check_fault(const siginfo_t *info);

/* Before a commit decides: logs what was changed and not logged, then aborts
 * this process. */
void rf_undo_check_commit(void);

/* The transaction is over: all is closed again. */
void rf_undo_check_end(void);

/* What the last check has found. */
const struct rf_crash_stray *rf_undo_check_found(void);

/* pkey_mprotect() it all as it stands between transactions. 0 or -errno. */
int rf_undo_check_cover(int key);

#endif
