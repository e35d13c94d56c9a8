/* SPDX-License-Identifier: MIT */
/* test_control_rates.c -- how fast the counters grow. */
#include "suite.h"

#include "daemon/control/rates.c"

static struct rf_status_shm status;
static struct rates rates;

static void sample(int64_t at_s, uint64_t requests)
{
	status.business.requests = requests;
	status.network.bytes_in = 3 * requests;
	rates_sample(&rates, &status, at_s * 1000000);
}

static int start(void **unused)
{
	(void)unused;
	rates = (struct rates){0};
	return 0;
}

static void there_is_no_rate_before_two_samples(void **unused)
{
	(void)unused;
	assert_true(rates_get(&rates, RATE_REQUESTS) == 0);
	sample(1, 100);
	assert_true(rates_get(&rates, RATE_REQUESTS) == 0);
}

static void a_rate_spans_the_samples_kept(void **unused)
{
	(void)unused;
	sample(1, 0);
	sample(2, 10);
	assert_true(rates_get(&rates, RATE_REQUESTS) == 10);
	sample(4, 40); /* late */
	assert_true(rates_get(&rates, RATE_BYTES_IN) == 40);
	for (int i = 0; i < 100; i++)
		sample(5 + i, 1000 + 7 * (uint64_t)i);
	assert_true(rates_get(&rates, RATE_REQUESTS) == 7);
}

static void a_counter_that_began_anew_has_no_rate(void **unused)
{
	(void)unused;
	sample(1, 1000);
	sample(2, 5);
	assert_true(rates_get(&rates, RATE_REQUESTS) == 0);
	for (int i = 0; i < RATES_SAMPLE_COUNT; i++)
		sample(3 + i, 5 + (uint64_t)i);
	assert_true(rates_get(&rates, RATE_REQUESTS) == 1);
}

static void a_clock_that_stands_divides_nothing(void **unused)
{
	(void)unused;
	sample(1, 0);
	sample(1, 10);
	assert_true(rates_get(&rates, RATE_REQUESTS) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(
			there_is_no_rate_before_two_samples, start),
		cmocka_unit_test_setup(a_rate_spans_the_samples_kept, start),
		cmocka_unit_test_setup(
			a_counter_that_began_anew_has_no_rate, start),
		cmocka_unit_test_setup(
			a_clock_that_stands_divides_nothing, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
