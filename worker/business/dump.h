/* SPDX-License-Identifier: MIT */
/* dump.h -- what a business child's core dump holds. */
#ifndef BUSINESS_DUMP_H
#define BUSINESS_DUMP_H

#include "common/child.h"

/* As arena.core wants it: this process's core, should it die, holds the arena
 * or not. The arena is mapped. What cannot be is logged. Cost: some 10 us. */
void dump_prepare(const struct rf_child *self);

#endif
