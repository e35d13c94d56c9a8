/* SPDX-License-Identifier: MIT */
/* status.c -- the status segment, and the clocks its stamps come from. */
#include "status.h"
#include <stddef.h>
#include <sys/mman.h>
#include <time.h>

struct rf_status_shm *rf_status_create(void)
{
	void *at = mmap(NULL, sizeof(struct rf_status_shm),
		PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

void rf_status_destroy(struct rf_status_shm *status)
{
	if (status != NULL)
		munmap(status, sizeof *status);
}

static int64_t clock_us(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t rf_now_ms(void)
{
	return clock_us(CLOCK_REALTIME) / 1000;
}

int64_t rf_monotonic_ms(void)
{
	return clock_us(CLOCK_MONOTONIC) / 1000;
}

int64_t rf_monotonic_us(void)
{
	return clock_us(CLOCK_MONOTONIC);
}
