/* SPDX-License-Identifier: MIT */
/* crash_tx.c -- death in writes, aborts, a growing log, and slots. */
#include "script.h"
#include <errno.h>

#define LOG_BYTES (16 << 10) /* its fixed part */
#define WRITE4(i, off)                                                         \
	WRITE(i, off, 4000), WRITE(i, (off) + 4096, 4000),                     \
		WRITE(i, (off) + 8192, 4000), WRITE(i, (off) + 12288, 4000)

static const struct scenario scenarios[] = {
	SCRIPT("variables_of_all_sizes_are_set_or_not", 1,
		BEFORE(SET(1), COMMIT), ACT(SET(2), COMMIT)),
	SCRIPT("ranges_of_all_sizes_are_written_or_not", 1,
		BEFORE(TAKE(0, 1, 8192), COMMIT),
		ACT(WRITE(0, 0, 0), WRITE(0, 0, 1), WRITE(0, 10, 2),
			WRITE(0, 21, 3), WRITE(0, 33, 4), WRITE(0, 44, 7),
			WRITE(0, 64, 8), WRITE(0, 81, 9), WRITE(0, 100, 16),
			WRITE(0, 200, 24), WRITE(0, 301, 64),
			WRITE(0, 400, 100), WRITE(0, 600, 512),
			WRITE(0, 3000, 5000), COMMIT)),
	SCRIPT("ranges_that_overlap_are_written_or_not", 1,
		BEFORE(TAKE(0, 1, 8192), COMMIT),
		ACT(WRITE(0, 10, 50), WRITE(0, 0, 40), WRITE(0, 30, 100),
			WRITE(0, 10, 50), WRITE(0, 12, 3), COMMIT)),
	SCRIPT("a_block_of_this_transaction_is_written_or_gone", 1,
		BEFORE(COMMIT),
		ACT(TAKE(0, 1, 100), WRITE(0, 20, 50), SET(3), COMMIT)),
	SCRIPT("what_is_aborted_has_never_been", 0,
		BEFORE(TAKE(0, 1, 8192), SET(1), COMMIT),
		ACT(SET(2), WRITE(0, 7, 100), SET(3), TAKE(1, 1, 50), ABORT)),
	SCRIPT("the_log_grows_for_a_huge_transaction", 1,
		BEFORE(TAKE(0, 1, 3 * LOG_BYTES), COMMIT),
		ACT(WRITE4(0, 0), SET(4), WRITE4(0, LOG_BYTES), COMMIT)),
	SCRIPT("a_huge_transaction_is_aborted", 0,
		BEFORE(TAKE(0, 1, 3 * LOG_BYTES), COMMIT),
		ACT(WRITE4(0, 0), SET(4), WRITE4(0, LOG_BYTES), ABORT)),
	SCRIPT("the_log_grows_shrinks_and_grows_again", 2,
		BEFORE(TAKE(0, 1, 3 * LOG_BYTES), COMMIT),
		ACT(WRITE4(0, 1), WRITE(0, LOG_BYTES, 2000), COMMIT,
			WRITE4(0, 2), WRITE(0, LOG_BYTES, 3000), COMMIT)),

	SCRIPT("a_slot_is_made_or_not", 1, BEFORE(SLOT(0, 64), COMMIT),
		ACT(SLOT(1, 64), COMMIT)),
	SCRIPT("a_slot_is_moved_to_a_new_version_or_not", 1,
		BEFORE(SLOT(0, 64), COMMIT), ACT(MIGRATE(0, 900), COMMIT)),
};

int main(int argc, char **argv)
{
	(void)argc;
	return sweep_main(
		argv, scenarios, sizeof scenarios / sizeof *scenarios);
}
