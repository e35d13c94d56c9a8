/* SPDX-License-Identifier: MIT */
/* test_daemon_health.c -- when the service manager's watchdog is fed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/supervise/child.c"
#include "daemon/supervise/health.c"

static bool serves(enum child_state state)
{
	return state == CHILD_UP || state == CHILD_LEAVING;
}

static void only_who_serves_can_be_sick_and_only_of_silence(void **unused)
{
	(void)unused;
	for (int i = 0; i < CHILD_STATE_COUNT; i++) {
		enum child_state state = (enum child_state)i;

		assert_true(health_is_well(state, false));
		assert_int_equal(health_is_well(state, true), !serves(state));
	}
}

/* A state that nothing ends by itself is not for the supervisor's deadlines. */
static void what_is_left_to_a_deadline_has_one_in_the_table(void **unused)
{
	(void)unused;
	for (int i = 0; i < CHILD_STATE_COUNT; i++) {
		struct child_step step =
			child_step((enum child_state)i, CHILD_EV_DEADLINE);

		if (cares[i] == CARE_DEADLINE)
			assert_int_not_equal(step.action, CHILD_ACT_ILLEGAL);
		assert_int_not_equal(cares[i], 0);
	}
}

static void a_hang_is_told_to_nobody_before_it_was_ours_to_end(void **unused)
{
	const uint64_t limits[] = {1000, 3000, 30000, 600000};
	const uint64_t ours[] = {500, 10000, 3600000};

	(void)unused;
	for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++)
		for (size_t n = 0; n < sizeof(ours) / sizeof(*ours); n++)
			assert_true(health_silence_ms(limits[i], ours[n], 0) >=
				    2 * ours[n]);
}

static void without_ours_half_of_the_limit_is_left_to_act(void **unused)
{
	(void)unused;
	assert_int_equal(health_silence_ms(30000, 0, 500), 15000);
	assert_int_equal(health_silence_ms(600, 0, 500), 500);
	assert_int_equal(health_silence_ms(30000, 10000, 500), 20000);
	assert_int_equal(health_silence_ms(1000, 0, 3000), 3000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			only_who_serves_can_be_sick_and_only_of_silence),
		cmocka_unit_test(
			what_is_left_to_a_deadline_has_one_in_the_table),
		cmocka_unit_test(
			a_hang_is_told_to_nobody_before_it_was_ours_to_end),
		cmocka_unit_test(without_ours_half_of_the_limit_is_left_to_act),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
