/* SPDX-License-Identifier: MIT */
/* distinct.h -- whether the keys of a pack are different; see distinct.c. */
#ifndef RF_DISTINCT_H
#define RF_DISTINCT_H

#include <refork/pack.h>
#include <stdbool.h>

struct rf_walk;

/* Of a sound pack of pairs, the first of each: tells when one stands there
 * twice. Cost: O(count). */
void rf_walk_distinct(struct rf_walk *walk, const struct rf_pack *pack);

#endif
