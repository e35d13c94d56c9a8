/* SPDX-License-Identifier: MIT */
/* ladder.h -- which rung of the recovery ladder answers a death. */
#ifndef LADDER_H
#define LADDER_H

#include "common/status.h"

#include <stdbool.h>

/* The end of a business child, as far as it matters here. */
struct ladder_facts {
	bool damaged; /* it walked the memory and found damage */
	bool fatal;   /* of a signal of its own making, or it hung */
	enum rf_phase phase;
	bool had_verified; /* it had itself walked the memory, all whole */
	bool again;	   /* the one before died in recovery, too */
	bool burst;	   /* so many crashes fill the window */
	bool burst_before; /* ... again: the walk has not helped */
};

/* RF_RUNG_ROLL_BACK, _VERIFY, _RESTORE; _HOLD stands for what on_limit says. */
enum rf_rung ladder_rung(const struct ladder_facts *facts);

/* Died while it was recovering: not of anything a client asked. */
bool ladder_in_recovery(const struct ladder_facts *facts);

#endif
