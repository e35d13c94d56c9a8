/* SPDX-License-Identifier: MIT */
/* rates.h -- how fast the counters of the status segment grow. See rates.c. */
#ifndef RATES_H
#define RATES_H

#include "common/status.h"

enum rate {
	RATE_REQUESTS,
	RATE_BYTES_IN,
	RATE_BYTES_OUT,
	RATE_CRASHES,
	RATE_COUNT
};

#define RATES_PERIOD_S	   1.
#define RATES_SAMPLE_COUNT 6 /* they span the last five seconds */

struct rates {
	struct rate_sample {
		int64_t at_us;
		uint64_t counts[RATE_COUNT];
	} samples[RATES_SAMPLE_COUNT];
	unsigned next; /* samples taken */
};

/* Look at the counters; once per RATES_PERIOD_S. */
void rates_sample(
	struct rates *r, const struct rf_status_shm *status, int64_t at_us);

/* Per second, over the samples there are; 0 with fewer than two. */
double rates_get(const struct rates *r, enum rate rate);

#endif
