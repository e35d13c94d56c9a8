/* SPDX-License-Identifier: MIT */
/* pause.h -- how long to wait before the next fork. */
#ifndef PAUSE_H
#define PAUSE_H

#include <stdint.h>

/* The pause after `last_ms` (0: the first one): twice as long, from delay_ms
 * (at least 10) to delay_max_ms. */
uint64_t pause_next_ms(
	uint64_t last_ms, uint64_t delay_ms, uint64_t delay_max_ms);

/* Up to `percent` more or less, by chance: services that fell together do not
 * rise together. *seed is any number but 0. */
uint64_t pause_jitter_ms(uint64_t pause_ms, uint64_t percent, uint64_t *seed);

/* A seed from the kernel. */
uint64_t pause_seed(void);

#endif
