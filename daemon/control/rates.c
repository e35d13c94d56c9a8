/* SPDX-License-Identifier: MIT */
/* rates.c -- how fast the counters of the status segment grow.
 *
 * A ring of samples: the rate is the difference between the newest and the
 * oldest one by the time between them. A counter that has shrunk has begun
 * anew: no rate until the old samples are gone.
 */
#include "rates.h"

#include <stddef.h>

void rates_sample(
	struct rates *r, const struct rf_status_shm *status, int64_t at_us)
{
	struct rate_sample *s = &r->samples[r->next++ % RATES_SAMPLE_COUNT];

	s->at_us = at_us;
	s->counts[RATE_REQUESTS] = rf_status_get(status->business.requests);
	s->counts[RATE_BYTES_IN] = rf_status_get(status->network.bytes_in);
	s->counts[RATE_BYTES_OUT] = rf_status_get(status->network.bytes_out);
	s->counts[RATE_CRASHES] = rf_status_get(status->supervisor.crashes);
}

double rates_get(const struct rates *r, enum rate rate)
{
	const struct rate_sample *newest, *oldest;
	unsigned first = 0;

	if (r->next < 2)
		return 0;
	if (r->next > RATES_SAMPLE_COUNT)
		first = r->next - RATES_SAMPLE_COUNT;
	newest = &r->samples[(r->next - 1) % RATES_SAMPLE_COUNT];
	oldest = &r->samples[first % RATES_SAMPLE_COUNT];
	if (newest->at_us <= oldest->at_us ||
		newest->counts[rate] < oldest->counts[rate])
		return 0;
	return (double)(newest->counts[rate] - oldest->counts[rate]) * 1e6 /
	       (double)(newest->at_us - oldest->at_us);
}
