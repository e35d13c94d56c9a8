/* SPDX-License-Identifier: MIT */
/* guarding.h -- arena.guard and arena.undo_check, put into effect. */
#ifndef GUARDING_H
#define GUARDING_H

#include "common/child.h"

/* As arena.guard says. The arena is mapped, and stays open until the first roll
 * back. Without the means it goes on unguarded, which is logged when it was
 * asked for. */
void guarding_begin(const struct rf_child *self);

/* As arena.undo_check says. After the roll back, and crash_arm(). */
void guarding_compare(const struct rf_child *self);

/* Between two transactions: about once a second it sees to it that the guard
 * still stands. */
void guarding_look(int64_t now_ms);

#endif
