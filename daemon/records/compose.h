/* SPDX-License-Identifier: MIT */
/* compose.h -- a crash record, out of what is known of a death. */
#ifndef COMPOSE_H
#define COMPOSE_H

#include "daemon/supervise/family.h"

/* Whether the dead process has described its end: its handler ran to the end
 * of the description. */
bool compose_has_scene(const struct death *death);

/* Fill in a record, but for its id and its text.
 *
 * takeover  NULL: nobody serves yet */
void compose(struct rf_crash *record, const struct death *death,
	const struct rf_takeover *takeover);

/* Bytes that were on a disk, or in memory that others could write: make them
 * safe to print and to index with. False: that is no record. */
bool compose_check(struct rf_crash *record);

#endif
