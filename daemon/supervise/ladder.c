/* SPDX-License-Identifier: MIT */
/* ladder.c -- which rung of the recovery ladder answers a death.
 *
 *   damage was found                                   restore
 *   died in recovery, twice in a row                   restore
 *   window full again after a walk, and nobody has
 *   served or hardly a request for each crash been
 *   answered since                                     on_limit: last rung
 *   window full                                        verify
 *   died of itself in recovery                         verify
 *   died of itself outside of a request                verify, unless that
 *                                                      life began with a walk
 *   anything else                                      roll back and go on
 *
 * "Outside of a request" is where only the framework or a hook runs that no
 * client calls: start, tick, stop, migrate. Idle is not: nothing of the arena
 * is touched there, and a signal that comes while a process sleeps is an
 * operator's. Nor is opening or closing a connection, which is retried and
 * counted as a request is. SIGKILL is never the process's own doing, and an
 * exit is no evidence of damage. The quarantine (rung 2) is the business
 * child's, which knows the request.
 */
#include "ladder.h"

static const struct {
	bool recovery, outside;
} phases[RF_PHASE_COUNT] = {
	[RF_PHASE_LEASE] = {.recovery = true},
	[RF_PHASE_VERIFY] = {.recovery = true},
	[RF_PHASE_BIND] = {.recovery = true},
	[RF_PHASE_MIGRATE] = {.outside = true},
	[RF_PHASE_START] = {.outside = true},
	[RF_PHASE_TICK] = {.outside = true},
	[RF_PHASE_STOP] = {.outside = true},
};

bool ladder_in_recovery(const struct ladder_facts *f)
{
	return f->fatal && phases[f->phase].recovery;
}

enum rf_rung ladder_rung(const struct ladder_facts *f)
{
	const struct {
		bool holds;
		enum rf_rung rung;
	} rules[] = {
		{f->damaged, RF_RUNG_RESTORE},
		{ladder_in_recovery(f) && f->again, RF_RUNG_RESTORE},
		{f->burst && f->burst_before, RF_RUNG_HOLD},
		{f->burst, RF_RUNG_VERIFY},
		{ladder_in_recovery(f), RF_RUNG_VERIFY},
		{f->fatal && phases[f->phase].outside && !f->had_verified,
			RF_RUNG_VERIFY},
	};

	for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++)
		if (rules[i].holds)
			return rules[i].rung;
	return RF_RUNG_ROLL_BACK;
}
