/* SPDX-License-Identifier: MIT */
/* clock.h -- the time of day, stopped. */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

/* What every clock shows, in ms; 0: the real time. */
extern int64_t clock_frozen_ms;

#endif
