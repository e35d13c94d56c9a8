/* SPDX-License-Identifier: MIT */
/* tight_log.h -- the same transaction under every limit of the undo log. */
#ifndef TIGHT_LOG_H
#define TIGHT_LOG_H

#include "scratch_arena.h"
#include "suite.h"
#include <super.h>

/* Let `change` happen in a transaction, with 8 bytes more of log each time,
 * until one suffices. Each before is refused, and `check` must then find all
 * as it was. Returns how many were refused. */
static inline unsigned under_every_log_limit(
	void (*change)(void), void (*check)(void))
{
	struct rf_super *super = RF_SUPER;
	const uint64_t max = super->log_max_bytes;
	const uint64_t ready = super->log_ready_bytes;
	uint64_t chance = random_state;
	int error = -ENOSPC;
	unsigned refused;

	for (refused = 0; error != 0; refused++) {
		super->log_max_bytes = super->log_ready_bytes =
			super->log_fixed_bytes = 64 + refused * 8;
		rf_tx_begin();
		random_state = chance;
		change();
		error = rf_tx_commit();
		super->log_max_bytes = max;
		super->log_ready_bytes = super->log_fixed_bytes = ready;
		assert_true(error == 0 || error == -ENOSPC);
		if (error != 0)
			check();
	}
	assert_int_equal(rf_heap_check(), 0);
	return refused;
}

#endif
