/* SPDX-License-Identifier: MIT */
/* test_daemon_upgrade.c -- which code is forked, whatever becomes of it. */
#include "upgrade_stage.h"

/* ---- the tests ---- */

static void new_code_is_forked_only_after_its_trial(void **unused)
{
	(void)unused;
	start("/w/two.so");
	assert_string_equal(version(), "1");
	assert_int_equal(family.renew_count, 0);
	trial.done.call(trial.done.arg, NULL);
	assert_string_equal(version(), "2");
	assert_true(service.lib.build_here);
	assert_int_equal(told_count, 0);
	renewed(0);
	assert_int_equal(told_count, 1);
	assert_int_equal(outcome.pause_us, 42);
	assert_int_equal(status.supervisor.upgrades, 1);
	assert_ptr_equal(
		service.arena_conf.worker_name, service.lib.worker.name);
}

static void what_fails_its_trial_changes_nothing(void **unused)
{
	(void)unused;
	start("/w/two.so");
	trial.done.call(trial.done.arg, "killed by SIGSEGV");
	assert_string_equal(version(), "1");
	assert_int_equal(outcome.error, -EINVAL);
	assert_string_equal(outcome.why, "killed by SIGSEGV");
	assert_int_equal(family.renew_count + loaded_count, 0);
}

static void a_second_upgrade_waits_for_the_first(void **unused)
{
	struct fault why = {0};

	(void)unused;
	start("/w/two.so");
	assert_int_equal(upgrade_start(u, "/w/x.so", &why, told), -EBUSY);
	assert_int_equal(upgrade_roll_back(u, &why, told), -EBUSY);
	trial.done.call(trial.done.arg, NULL);
	assert_int_equal(upgrade_start(u, "/w/x.so", &why, told), -EBUSY);
	renewed(0);
	assert_int_equal(told_count, 1);
}

static void a_file_that_cannot_be_loaded_is_refused_at_once(void **unused)
{
	struct fault why = {0};

	(void)unused;
	assert_int_equal(upgrade_start(u, "missing", &why, told), -EINVAL);
	assert_string_equal(why.text, "there is none");
	assert_int_equal(told_count, 0);
}

static void a_failed_renewal_leaves_the_old_code_and_no_other(void **unused)
{
	(void)unused;
	start("/w/two.so");
	trial.done.call(trial.done.arg, NULL);
	processes_are(100, 0); /* the candidate has died */
	renewed(-ECHILD);
	assert_string_equal(version(), "1");
	assert_true(service.lib.build_here); /* the other has, perhaps */
	assert_int_equal(outcome.error, -ECHILD);
	assert_int_equal(loaded_count, 0);
	wait_a_retry();
	assert_int_equal(family.renew_count, 1);
}

static void code_that_fails_behind_its_migration_goes_only_if_it_can(
	void **unused)
{
	(void)unused;
	next.state_version = state_version = 2;
	start("/w/two.so");
	trial.done.call(trial.done.arg, NULL);
	processes_are(102, 0);
	renewed(-ECHILD);
	assert_int_equal(outcome.error, -ECHILD);
	assert_string_equal(version(), "2");
	service.lib.worker.migrate = taken_back;
	next.state_version = state_version = 3;
	start("/w/three.so");
	trial.done.call(trial.done.arg, NULL);
	processes_are(104, 0);
	renewed(-ECHILD);
	assert_int_equal(service.lib.worker.state_version, 2);
}

/* It had the lease already: what follows may have been forked before. */
static void no_process_is_left_that_runs_what_failed(void **unused)
{
	(void)unused;
	start("/w/two.so");
	trial.done.call(trial.done.arg, NULL);
	processes_are(102, 0);
	family.serves = false;
	renewed(-ECHILD);
	wait_a_retry();
	assert_int_equal(family.renew_count, 1);
	family.serves = true;
	wait_a_retry();
	assert_int_equal(family.renew_count, 2);
	processes_are(104, 0);
	renewed(0);
	assert_int_equal(told_count, 1);
	start("/w/two.so");
}

static void what_was_forked_right_is_not_renewed(void **unused)
{
	(void)unused;
	start("/w/two.so");
	trial.done.call(trial.done.arg, NULL);
	processes_are(102, 0);
	renewed(-ECHILD);
	processes_are(104, 0);
	wait_a_retry();
	assert_int_equal(family.renew_count, 1);
	start("/w/two.so");
}

static void a_crash_in_the_canary_time_brings_the_old_code_back(void **unused)
{
	(void)unused;
	upgrade_to("/w/two.so");
	assert_true(upgrade_canary_ms(u) > 50000);
	crash(7);
	assert_string_equal(version(), "1");
	assert_true(service.lib.build_here);
	processes_are(103, 0); /* the standby, of the new code */
	wait_a_retry();
	assert_int_equal(family.renew_count, 2);
	processes_are(104, 105);
	renewed(0);
	assert_int_equal(status.supervisor.rollbacks, 1);
	assert_int_equal(upgrade_canary_ms(u), 0);
	assert_int_equal(loaded_count, 0);
}

static void only_its_own_crashes_count(void **unused)
{
	const struct death network = {.role = RF_CRASH_NETWORK};

	(void)unused;
	upgrade_to("/w/two.so");
	crash(6); /* told late: the code before has died of it */
	upgrade_on_crash(u, &network);
	assert_string_equal(version(), "2");
}

static void after_the_canary_time_a_crash_is_just_a_crash(void **unused)
{
	(void)unused;
	conf.upgrade.canary_ms = 1;
	upgrade_to("/w/two.so");
	wait_a_retry();
	crash(8);
	assert_string_equal(version(), "2");
	assert_int_equal(upgrade_canary_ms(u), 0);
}

static void without_a_canary_time_nothing_comes_back_by_itself(void **unused)
{
	(void)unused;
	conf.upgrade.canary_ms = 0;
	upgrade_to("/w/two.so");
	crash(8);
	assert_string_equal(version(), "2");
}

static void a_rollback_by_hand_goes_one_step_back(void **unused)
{
	struct fault why = {0};

	(void)unused;
	assert_int_equal(upgrade_roll_back(u, &why, told), -ENOENT);
	upgrade_to("/w/two.so");
	assert_int_equal(upgrade_roll_back(u, &why, told), 0);
	assert_string_equal(version(), "1");
	renewed(0);
	assert_int_equal(told_count, 2);
	assert_string_equal(service.lib.path, "/w/one.so");
	assert_int_equal(upgrade_roll_back(u, &why, told), -ENOENT);
	assert_int_equal(status.supervisor.rollbacks, 1);
}

static void a_rollback_refused_at_once_changes_nothing(void **unused)
{
	struct fault why = {0};

	(void)unused;
	upgrade_to("/w/two.so");
	family.refusal = -EBUSY;
	assert_int_equal(upgrade_roll_back(u, &why, told), -EBUSY);
	assert_string_equal(version(), "2");
	assert_true(upgrade_canary_ms(u) > 0);
	family.refusal = 0;
	assert_int_equal(upgrade_roll_back(u, &why, told), 0);
	renewed(0);
	assert_string_equal(version(), "1");
}

static void migrated_state_keeps_code_that_can_only_go_forward(void **unused)
{
	struct fault why = {0};

	(void)unused;
	next.state_version = 2;
	upgrade_to("/w/two.so");
	assert_int_equal(upgrade_roll_back(u, &why, told), -EINVAL);
	assert_non_null(strstr(why.text, "version 2"));
	crash(7);
	assert_string_equal(version(), "2");
	assert_int_equal(family.renew_count, 1);
}

static void code_that_can_migrate_back_comes_back(void **unused)
{
	(void)unused;
	service.lib.worker.migrate = taken_back;
	next.state_version = 2;
	upgrade_to("/w/two.so");
	crash(7);
	assert_string_equal(version(), "1");
	assert_int_equal(service.arena_conf.state_version, 1);
}

static void a_rollback_that_fails_leaves_the_new_code(void **unused)
{
	struct fault why = {0};

	(void)unused;
	upgrade_to("/w/two.so");
	assert_int_equal(upgrade_roll_back(u, &why, told), 0);
	renewed(-ECHILD);
	assert_int_equal(outcome.error, -ECHILD);
	assert_string_equal(version(), "2");
	assert_int_equal(upgrade_roll_back(u, &why, told), 0);
}

static void the_code_before_the_last_is_given_up(void **unused)
{
	(void)unused;
	upgrade_to("/w/two.so");
	assert_int_equal(loaded_count, 1);
	next.version = "3";
	upgrade_to("/w/three.so");
	assert_int_equal(loaded_count, 2);
	next.version = "4";
	upgrade_to("/w/four.so");
	assert_int_equal(loaded_count, 2);
	assert_string_equal(version(), "4");
	assert_string_equal(u->before.worker.version, "3");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		story(new_code_is_forked_only_after_its_trial),
		story(what_fails_its_trial_changes_nothing),
		story(a_second_upgrade_waits_for_the_first),
		story(a_file_that_cannot_be_loaded_is_refused_at_once),
		story(a_failed_renewal_leaves_the_old_code_and_no_other),
		story(code_that_fails_behind_its_migration_goes_only_if_it_can),
		story(no_process_is_left_that_runs_what_failed),
		story(what_was_forked_right_is_not_renewed),
		story(a_crash_in_the_canary_time_brings_the_old_code_back),
		story(only_its_own_crashes_count),
		story(after_the_canary_time_a_crash_is_just_a_crash),
		story(without_a_canary_time_nothing_comes_back_by_itself),
		story(a_rollback_by_hand_goes_one_step_back),
		story(a_rollback_refused_at_once_changes_nothing),
		story(migrated_state_keeps_code_that_can_only_go_forward),
		story(code_that_can_migrate_back_comes_back),
		story(a_rollback_that_fails_leaves_the_new_code),
		story(the_code_before_the_last_is_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
