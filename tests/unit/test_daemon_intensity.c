/* SPDX-License-Identifier: MIT */
/* test_daemon_intensity.c -- crashes within a window, and the pauses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/supervise/intensity.c"
#include "daemon/supervise/pause.c"

#define WINDOW_MS UINT64_C(6300)

static void what_lies_within_the_window_counts(void **unused)
{
	struct intensity in = {0};

	(void)unused;
	for (uint64_t i = 1; i <= 10; i++)
		assert_int_equal(
			intensity_add(&in,
				1000000 + (int64_t)(i * WINDOW_MS / 10),
				WINDOW_MS),
			i);
}

static void what_is_older_is_over(void **unused)
{
	struct intensity in = {0};
	const int64_t at_ms = 987654321;
	const int64_t part_ms = WINDOW_MS / (INTENSITY_PARTS - 1);

	(void)unused;
	intensity_add(&in, at_ms, WINDOW_MS);
	assert_int_equal(
		intensity_count(&in, at_ms + (int64_t)WINDOW_MS - 1, WINDOW_MS),
		1);
	assert_int_equal(
		intensity_count(
			&in, at_ms + (int64_t)WINDOW_MS + part_ms, WINDOW_MS),
		0);
}

static void a_long_silence_forgets_all(void **unused)
{
	struct intensity in = {0};

	(void)unused;
	for (int i = 0; i < 1000; i++)
		intensity_add(&in, 5000 + i, WINDOW_MS);
	assert_int_equal(intensity_add(&in, INT64_MAX / 2, WINDOW_MS), 1);
}

/* Against the naive model. */
static void it_is_never_below_the_true_number(void **unused)
{
	static int64_t stamps[2000];
	struct intensity in = {0};
	int64_t now_ms = 77777;
	uint64_t seed = 4711;

	(void)unused;
	for (int i = 0; i < 2000; i++) {
		uint64_t least = 0, most = 0, found;

		now_ms += (int64_t)(draw(&seed) % 300);
		stamps[i] = now_ms;
		for (int j = 0; j <= i; j++) {
			uint64_t age = (uint64_t)(now_ms - stamps[j]);

			least += age < WINDOW_MS;
			most += age <= WINDOW_MS + WINDOW_MS / 63;
		}
		found = intensity_add(&in, now_ms, WINDOW_MS);
		assert_true(found >= least && found <= most);
	}
}

static void another_window_keeps_what_was_counted(void **unused)
{
	struct intensity in = {0};

	(void)unused;
	intensity_add(&in, 1000, WINDOW_MS);
	intensity_add(&in, 1100, WINDOW_MS);
	assert_int_equal(intensity_add(&in, 1200, 10 * WINDOW_MS), 3);
	assert_int_equal(intensity_count(&in, 1300, 1), 3);
	assert_int_equal(intensity_count(&in, 1400, 1), 0);
	intensity_add(&in, 1500, WINDOW_MS);
	intensity_clear(&in);
	assert_int_equal(intensity_count(&in, 1500, WINDOW_MS), 0);
}

static void pauses_double_up_to_the_limit(void **unused)
{
	const uint64_t limit_ms = 30000;
	uint64_t pause_ms = 0;

	(void)unused;
	assert_int_equal(pause_next_ms(0, 0, limit_ms), 10);
	assert_int_equal(pause_next_ms(0, 250, limit_ms), 250);
	for (int i = 0; i < 100; i++) {
		uint64_t next_ms = pause_next_ms(pause_ms, 0, limit_ms);

		assert_true(next_ms >= pause_ms && next_ms <= limit_ms);
		assert_true(pause_ms == 0 || next_ms == 2 * pause_ms ||
			    next_ms == limit_ms);
		pause_ms = next_ms;
	}
	assert_int_equal(pause_ms, limit_ms);
}

static void a_limit_below_the_least_pause_does_not_spin(void **unused)
{
	(void)unused;
	assert_int_equal(pause_next_ms(0, 0, 0), 10);
	assert_int_equal(pause_next_ms(10, 0, 0), 10);
	assert_int_equal(pause_next_ms(UINT64_MAX, 0, UINT64_MAX), UINT64_MAX);
}

static void jitter_stays_within_its_reach_and_uses_it(void **unused)
{
	uint64_t least = UINT64_MAX, most = 0, seed = pause_seed();

	(void)unused;
	assert_int_not_equal(seed, 0);
	for (int i = 0; i < 10000; i++) {
		uint64_t ms = pause_jitter_ms(1000, 10, &seed);

		assert_true(ms >= 900 && ms <= 1100);
		least = ms < least ? ms : least;
		most = ms > most ? ms : most;
		assert_int_equal(pause_jitter_ms(1000, 0, &seed), 1000);
		assert_true(pause_jitter_ms(10, 100, &seed) <= 20);
	}
	assert_true(least < 910 && most > 1090);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_lies_within_the_window_counts),
		cmocka_unit_test(what_is_older_is_over),
		cmocka_unit_test(a_long_silence_forgets_all),
		cmocka_unit_test(it_is_never_below_the_true_number),
		cmocka_unit_test(another_window_keeps_what_was_counted),
		cmocka_unit_test(pauses_double_up_to_the_limit),
		cmocka_unit_test(a_limit_below_the_least_pause_does_not_spin),
		cmocka_unit_test(jitter_stays_within_its_reach_and_uses_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
