/* SPDX-License-Identifier: MIT */
/* spot.h -- what stands at an address of the arena. */
#ifndef RF_SPOT_H
#define RF_SPOT_H

#include "crash.h"
#include <stdbool.h>
#include <stddef.h>

/* The live block that holds an address: its start and the bytes that it has.
 * False: none does. Cost: microseconds; in a large free run, a step per page */
bool rf_spot_block(uint64_t address, uint64_t *block, uint64_t *bytes);

/* Fill in what is known of out->address: spot, block, slot. Needs the arena
 * mapped, and whole; changes nothing in it. For signal handlers, too. */
void rf_spot_describe(struct rf_crash_stray *out);

/* The first slot from which a block can be reached, following every word that
 * holds an address inside a block; out->slot. Allocates and takes its time: for
 * tools that look for bugs. */
void rf_spot_find_owner(struct rf_crash_stray *out);

#endif
