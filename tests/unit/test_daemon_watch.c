/* SPDX-License-Identifier: MIT */
/* test_daemon_watch.c -- who hangs, who is busy, and who was not looked at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/supervise/watch.c"

#define PERIOD_MS  100
#define SILENCE_MS 1000
#define REQUEST_MS 400

static struct watch_sample sample(int64_t now_ms, uint64_t life, uint64_t work)
{
	return (struct watch_sample){
		.now_ms = now_ms,
		.period_ms = PERIOD_MS,
		.life = life,
		.work = work,
		.silence_max_ms = SILENCE_MS,
		.request_max_ms = REQUEST_MS,
	};
}

static enum watch_verdict look(
	struct watch *w, int64_t now_ms, uint64_t life, uint64_t work)
{
	struct watch_sample s = sample(now_ms, life, work);

	return watch_look(w, &s);
}

/* The time of the first verdict when nothing changes any more; 0: none. */
static int64_t first_verdict(
	uint64_t work, int64_t step_ms, int looks, enum watch_verdict *verdict)
{
	struct watch w = {0};

	for (int i = 1; i <= looks; i++) {
		*verdict = look(&w, i * step_ms, 7, work);
		if (*verdict != WATCH_OK)
			return (i - 1) * step_ms;
	}
	return 0;
}

static void silence_is_a_hang_when_its_time_is_over(void **unused)
{
	enum watch_verdict verdict;

	(void)unused;
	assert_int_equal(
		first_verdict(2, PERIOD_MS, 100, &verdict), SILENCE_MS);
	assert_int_equal(verdict, WATCH_HANG);
}

static void the_same_request_is_a_timeout_when_its_time_is_over(void **unused)
{
	enum watch_verdict verdict;

	(void)unused;
	assert_int_equal(
		first_verdict(3, PERIOD_MS, 100, &verdict), REQUEST_MS);
	assert_int_equal(verdict, WATCH_TIMEOUT);
}

static void a_sign_of_life_starts_anew(void **unused)
{
	struct watch w = {0};

	(void)unused;
	for (int64_t i = 1; i < 1000; i++)
		assert_int_equal(
			look(&w, i * PERIOD_MS, (uint64_t)i / 9, 2), WATCH_OK);
}

static void many_requests_are_not_one_long_one(void **unused)
{
	struct watch w = {0};

	(void)unused;
	/* Whenever it is looked at it is in a request: in another one. */
	for (int64_t i = 1; i < 1000; i++)
		assert_int_equal(look(&w, i * PERIOD_MS, (uint64_t)i,
					 2 * (uint64_t)(i / 3) + 1),
			WATCH_OK);
}

static void who_did_not_look_does_not_judge(void **unused)
{
	struct watch w = {0};
	const int64_t hour_ms = 3600000;

	(void)unused;
	assert_int_equal(look(&w, 1, 7, 3), WATCH_OK);
	/* The watchdog was stopped for an hour, or the machine was. */
	assert_int_equal(look(&w, hour_ms, 7, 3), WATCH_OK);
	assert_int_equal(look(&w, 2 * hour_ms, 7, 3), WATCH_OK);
	assert_int_equal(look(&w, 2 * hour_ms + 1, 8, 5), WATCH_OK);
}

static void three_looks_are_the_least(void **unused)
{
	struct watch w = {0};

	(void)unused;
	for (int64_t i = 1; i <= 3; i++) {
		struct watch_sample s = sample(i * PERIOD_MS, 7, 3);

		s.silence_max_ms = s.request_max_ms = 1;
		assert_int_equal(watch_look(&w, &s), WATCH_OK);
	}
	assert_int_equal(look(&w, 400, 7, 3), WATCH_OK);
}

static void zero_is_no_limit(void **unused)
{
	struct watch w = {0};

	(void)unused;
	for (int64_t i = 1; i < 1000; i++) {
		struct watch_sample s = sample(i * PERIOD_MS, 7, 3);

		s.silence_max_ms = s.request_max_ms = 0;
		assert_int_equal(watch_look(&w, &s), WATCH_OK);
	}
}

static void the_period_follows_the_shorter_limit(void **unused)
{
	(void)unused;
	assert_int_equal(watch_period_ms(0, 0), 0);
	assert_int_equal(watch_period_ms(10000, 0), 1000);
	assert_int_equal(watch_period_ms(1000, 0), 250);
	assert_int_equal(watch_period_ms(500, 0), 125);
	assert_int_equal(watch_period_ms(0, 200), 50);
	assert_int_equal(watch_period_ms(10000, 200), 50);
	assert_int_equal(watch_period_ms(500, 60000), 125);
	assert_int_equal(watch_period_ms(10000, 10), 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(silence_is_a_hang_when_its_time_is_over),
		cmocka_unit_test(
			the_same_request_is_a_timeout_when_its_time_is_over),
		cmocka_unit_test(a_sign_of_life_starts_anew),
		cmocka_unit_test(many_requests_are_not_one_long_one),
		cmocka_unit_test(who_did_not_look_does_not_judge),
		cmocka_unit_test(three_looks_are_the_least),
		cmocka_unit_test(zero_is_no_limit),
		cmocka_unit_test(the_period_follows_the_shorter_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
