/* SPDX-License-Identifier: MIT */
/* aside.h -- an arena that is given up, kept for its operator. See aside.c. */
#ifndef ASIDE_H
#define ASIDE_H

#include "service.h"

#define ASIDE_BYTES	(PLACE_BYTES + 32)
#define ASIDE_WAY_BYTES (2 * ASIDE_BYTES + 64)

/* Close the arena that nobody else has mapped any more, and keep what it holds
 * under another name where that is possible. */
void aside_put(struct service *service);

/* Write a memfd that may hold state, and is open in `memory`, to a file; it
 * stays as it is. One that stands there already is not written again.
 *
 * path     set: where it is, or was to be
 * Returns  0 or -errno */
int aside_write(const struct service *service, const struct rf_segment *memory,
	char path[ASIDE_BYTES]);

/* How `aside` (NULL: one of them) becomes the arena again: "mv ASIDE LIVE,
 * start". Returns text. */
const char *aside_way_back(const struct service *service, const char *aside,
	char text[ASIDE_WAY_BYTES]);

/* Of this service, as they stand. */
int aside_count(const struct service *service);

#endif
