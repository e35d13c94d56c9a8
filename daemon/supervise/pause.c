/* SPDX-License-Identifier: MIT */
/* pause.c -- how long to wait before the next fork. */
#include "pause.h"

#include <sys/random.h>

#define PAUSE_MS_MIN 10

uint64_t pause_next_ms(
	uint64_t last_ms, uint64_t delay_ms, uint64_t delay_max_ms)
{
	uint64_t first = delay_ms > PAUSE_MS_MIN ? delay_ms : PAUSE_MS_MIN;
	uint64_t limit = delay_max_ms > first ? delay_max_ms : first;

	if (last_ms < first)
		return first;
	return last_ms > limit / 2 ? limit : last_ms * 2;
}

/* Marsaglia's xorshift64. */
static uint64_t draw(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

uint64_t pause_jitter_ms(uint64_t pause_ms, uint64_t percent, uint64_t *seed)
{
	uint64_t reach =
		pause_ms / 100 * percent + pause_ms % 100 * percent / 100;

	return pause_ms - reach + draw(seed) % (2 * reach + 1);
}

uint64_t pause_seed(void)
{
	uint64_t seed = 0;

	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != sizeof(seed) ||
		seed == 0)
		seed = 1;
	return seed;
}
