/* SPDX-License-Identifier: MIT */
/* test_daemon_ladder.c -- which death is answered by which rung. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/supervise/ladder.c"

static enum rf_rung rung(struct ladder_facts facts)
{
	return ladder_rung(&facts);
}

static void a_crash_in_a_request_is_rolled_back(void **unused)
{
	static const enum rf_phase phases_within[] = {RF_PHASE_NONE,
		RF_PHASE_IDLE, RF_PHASE_REQUEST, RF_PHASE_CONNECTION};

	(void)unused;
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(rung((struct ladder_facts){
					 .fatal = true,
					 .phase = phases_within[i],
				 }),
			RF_RUNG_ROLL_BACK);
}

static void a_crash_in_a_hook_is_verified_once(void **unused)
{
	static const enum rf_phase hooks[] = {
		RF_PHASE_START, RF_PHASE_TICK, RF_PHASE_STOP, RF_PHASE_MIGRATE};

	(void)unused;
	for (size_t i = 0; i < 4; i++) {
		struct ladder_facts facts = {.fatal = true, .phase = hooks[i]};

		assert_int_equal(rung(facts), RF_RUNG_VERIFY);
		facts.had_verified = true; /* so it was not the memory */
		assert_int_equal(rung(facts), RF_RUNG_ROLL_BACK);
	}
}

static void a_kill_from_outside_proves_nothing(void **unused)
{
	(void)unused;
	for (enum rf_phase p = 0; p < RF_PHASE_COUNT; p++)
		assert_int_equal(
			rung((struct ladder_facts){.phase = p, .again = true}),
			RF_RUNG_ROLL_BACK);
}

static void a_recovery_that_crashes_climbs(void **unused)
{
	static const enum rf_phase recovery[] = {
		RF_PHASE_LEASE, RF_PHASE_VERIFY, RF_PHASE_BIND};

	(void)unused;
	for (size_t i = 0; i < 3; i++) {
		struct ladder_facts facts = {
			.fatal = true, .phase = recovery[i]};

		assert_true(ladder_in_recovery(&facts));
		assert_int_equal(rung(facts), RF_RUNG_VERIFY);
		facts.again = true;
		assert_int_equal(rung(facts), RF_RUNG_RESTORE);
	}
}

static void damage_is_answered_by_a_copy(void **unused)
{
	(void)unused;
	assert_int_equal(
		rung((struct ladder_facts){.damaged = true}), RF_RUNG_RESTORE);
	assert_int_equal(
		rung((struct ladder_facts){.damaged = true, .burst = true}),
		RF_RUNG_RESTORE);
}

static void a_full_window_is_verified_then_it_is_the_end(void **unused)
{
	struct ladder_facts facts = {.burst = true, .phase = RF_PHASE_REQUEST};

	(void)unused;
	assert_int_equal(rung(facts), RF_RUNG_VERIFY);
	facts.burst_before = true;
	assert_int_equal(rung(facts), RF_RUNG_HOLD);
	facts.burst = false;
	assert_int_equal(rung(facts), RF_RUNG_ROLL_BACK);
}

/* Over all facts: one more bad fact never leads to a lower rung. */
static void worse_facts_never_lead_down(void **unused)
{
	(void)unused;
	for (enum rf_phase p = 0; p < RF_PHASE_COUNT; p++)
		for (unsigned int bits = 0; bits < 32; bits++) {
			struct ladder_facts facts = {
				.phase = p,
				.fatal = bits & 1,
				.again = bits & 2,
				.burst = bits & 4,
				.burst_before = bits & 8,
				.damaged = bits & 16,
			};
			struct ladder_facts worse = facts;

			worse.burst = true;
			if (rung(facts) != RF_RUNG_RESTORE)
				assert_true(rung(worse) >= rung(facts));
			worse.damaged = true;
			assert_int_equal(rung(worse), RF_RUNG_RESTORE);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_crash_in_a_request_is_rolled_back),
		cmocka_unit_test(a_crash_in_a_hook_is_verified_once),
		cmocka_unit_test(a_kill_from_outside_proves_nothing),
		cmocka_unit_test(a_recovery_that_crashes_climbs),
		cmocka_unit_test(damage_is_answered_by_a_copy),
		cmocka_unit_test(a_full_window_is_verified_then_it_is_the_end),
		cmocka_unit_test(worse_facts_never_lead_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
