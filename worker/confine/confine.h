/* SPDX-License-Identifier: MIT */
/* confine.h -- what a child gives up before it meets its first client.
 *
 * Entered once, for good, inherited by every process made from then on. See
 * confine.c for who may do what, calls.c for the system calls.
 */
#ifndef CONFINE_H
#define CONFINE_H

#include "common/child.h"

/* Keep the vault, and with it the network children that are made of it, from
 * all that they do not need.
 *
 * Needs    one thread; every file open that is to be
 * Returns  what is in force: RF_CONFINED_*; what is missing has been logged */
uint32_t confine_network(const struct rf_child *self);

/* The same for a business child, by business.confine. */
uint32_t confine_business(const struct rf_child *self);

#endif
