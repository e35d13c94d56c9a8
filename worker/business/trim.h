/* SPDX-License-Identifier: MIT */
/* trim.h -- free memory goes back to the system, a little at a time. */
#ifndef TRIM_H
#define TRIM_H

#include <stdint.h>

/* Called before a sleep. Returns how long that may last at most, in ms. */
int trim_idle(int64_t now_ms, int sleep_ms);

#endif
