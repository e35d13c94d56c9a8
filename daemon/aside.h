/* SPDX-License-Identifier: MIT */
/* aside.h -- an arena that is given up, kept for its operator. See aside.c. */
#ifndef ASIDE_H
#define ASIDE_H

#include "service.h"

/* Close the arena that nobody else has mapped any more, and keep what it holds
 * under another name where that is possible. */
void aside_put(struct service *service);

/* Of this service, as they stand. */
int aside_count(const struct service *service);

#endif
