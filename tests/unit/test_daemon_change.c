/* SPDX-License-Identifier: MIT */
/* test_daemon_change.c -- what is said of a change of code that went well, and
 * changes of code while the service is on hold.
 */
#include "upgrade_stage.h"

#include <sys/mman.h>
#include <unistd.h>

/* ---- what is said ---- */

static void what_the_ini_names_is_loaded_by_the_next_start(void **unused)
{
	(void)unused;
	named = "/w/one.so";
	upgrade_to("/w/two.so");
	assert_non_null(strstr(outcome.note, "still names /w/one.so"));
	named = "/w/three.so";
	upgrade_to("/w/three.so");
	assert_string_equal(outcome.note, "");
}

static void an_ini_that_is_as_it_was_names_what_was_found_then(void **unused)
{
	(void)unused;
	named = "one";
	snprintf(conf.refork.worker, sizeof(conf.refork.worker), "one");
	upgrade_to("/w/two.so");
	assert_non_null(strstr(outcome.note, "still names /w/one.so"));
	upgrade_to("/w/one.so");
	assert_string_equal(outcome.note, "");
}

static void that_there_is_no_way_back_is_said(void **unused)
{
	(void)unused;
	next.state_version = 2;
	upgrade_to("/w/two.so");
	assert_non_null(strstr(outcome.note,
		"cannot go back: w 1 has no `migrate` for state "
		"version 2"));
	assert_false(upgrade_goes_back(u));
}

static void code_that_goes_back_says_nothing_of_it(void **unused)
{
	(void)unused;
	service.lib.worker.migrate = taken_back;
	next.state_version = 2;
	assert_false(upgrade_goes_back(u)); /* to nothing */
	upgrade_to("/w/two.so");
	assert_null(strstr(outcome.note, "cannot go back"));
	assert_true(upgrade_goes_back(u));
}

static struct worker_lib copy_of(const char *text)
{
	struct worker_lib lib = {.pin.bytes = (int64_t)strlen(text)};

	lib.pin.fd = memfd_create("copy", MFD_CLOEXEC);
	assert_int_equal(write(lib.pin.fd, text, strlen(text)), strlen(text));
	return lib;
}

static void the_same_bytes_are_the_same_code(void **unused)
{
	const struct worker_lib a = copy_of("code"), b = copy_of("code"),
				other = copy_of("cope"),
				longer = copy_of("code!"), none = {0};

	(void)unused;
	assert_true(change_is_none(&a, &b));
	assert_false(change_is_none(&a, &other));
	assert_false(change_is_none(&a, &longer));
	assert_false(change_is_none(&a, &none));
	close(a.pin.fd);
	close(b.pin.fd);
	close(other.pin.fd);
	close(longer.pin.fd);
}

/* ---- on hold ---- */

static void a_hold_is_left_with_new_code(void **unused)
{
	(void)unused;
	family.serves = false;
	family.held = true;
	processes_are(0, 0);
	start("/w/two.so");
	trial.done.call(trial.done.arg, NULL);
	assert_int_equal(family.resume_count, 1);
	assert_int_equal(family.renew_count, 0);
	assert_string_equal(version(), "2");
	processes_are(102, 0);
	renewed(0);
	assert_int_equal(outcome.error, 0);
	assert_int_equal(status.supervisor.upgrades, 1);
}

static void code_that_fails_in_a_hold_may_be_followed_by_other(void **unused)
{
	(void)unused;
	family.serves = false;
	family.held = true;
	processes_are(0, 0);
	start("/w/two.so");
	trial.done.call(trial.done.arg, NULL);
	processes_are(102, 0); /* told before it is forgotten */
	renewed(-ECHILD);
	assert_string_equal(version(), "1");
	family.held = true;
	processes_are(0, 0);
	start("/w/three.so");
	trial.done.call(trial.done.arg, NULL);
	assert_int_equal(family.resume_count, 2);
	renewed(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		story(what_the_ini_names_is_loaded_by_the_next_start),
		story(an_ini_that_is_as_it_was_names_what_was_found_then),
		story(that_there_is_no_way_back_is_said),
		story(code_that_goes_back_says_nothing_of_it),
		story(the_same_bytes_are_the_same_code),
		story(a_hold_is_left_with_new_code),
		story(code_that_fails_in_a_hold_may_be_followed_by_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
