/* SPDX-License-Identifier: MIT */
/* test_daemon_upgrade.c -- which code is forked, whatever becomes of it.
 *
 * The family, the trial and the loader are stood in for: a library is a
 * number, and the tests say how each attempt comes out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/fault.c"
#include "daemon/supervise/upgrade.c"

/* ---- stand-ins ---- */

struct family {
	bool serves;
	int refusal; /* of the next renewal */
	int renew_count;
	struct family_done done;
};

struct trial {
	struct trial_done done;
};

static struct conf conf;
static struct rf_status_shm status;
static struct service service;
static struct family family;
static struct trial trial;
static struct ev_loop *loop;
static struct upgrade *u;
static struct family_outcome outcome; /* what the asker was told last */
static int told_count;
static int loaded_count;
static struct rf_worker next; /* what the next file holds */

static int taken_back(uint32_t from)
{
	return (int)from * 0;
}

bool family_serves(const struct family *f)
{
	return f->serves;
}

int family_renew_business(struct family *f, bool now, struct family_done done)
{
	(void)now;
	if (f->refusal)
		return f->refusal;
	f->renew_count++;
	f->done = done;
	return 0;
}

int worker_pin(struct worker_lib *lib, const char *name, struct fault *fault)
{
	if (!strcmp(name, "missing"))
		return fault_set(fault, EX_CONFIG, "there is none");
	*lib = (struct worker_lib){.pin.fd = 77};
	snprintf(lib->path, sizeof(lib->path), "%s", name);
	loaded_count++;
	return 0;
}

void worker_unload(struct worker_lib *lib)
{
	loaded_count -= lib->pin.fd == 77;
	*lib = (struct worker_lib){0};
}

int trial_link(
	const struct service *s, struct worker_lib *lib, struct fault *fault)
{
	(void)s;
	(void)fault;
	lib->handle = &trial;
	lib->worker = next;
	return 0;
}

struct trial *trial_start(struct ev_loop *l, struct service *s,
	struct worker_lib *pinned, struct trial_done done)
{
	(void)l;
	(void)s;
	(void)pinned;
	trial.done = done;
	return &trial;
}

void trial_stop(struct trial *t)
{
	(void)t;
}

void spawn_prepare(void)
{
}

static void on_told(void *arg, const struct family_outcome *o)
{
	(void)arg;
	outcome = *o;
	told_count++;
}

/* ---- the steps of a story ---- */

static const struct family_done told = {.call = on_told};

static int begin(void **unused)
{
	(void)unused;
	conf = (struct conf){.upgrade.canary_ms = 60000};
	status = (struct rf_status_shm){0};
	family = (struct family){.serves = true};
	service = (struct service){.conf = &conf, .status = &status};
	service.lib = (struct worker_lib){
		.handle = &conf,
		.path = "/w/one.so",
		.worker = {.name = "w", .version = "1", .state_version = 1},
	};
	next = (struct rf_worker){
		.name = "w", .version = "2", .state_version = 1};
	status.supervisor.business_pid = 100;
	status.supervisor.standby_pid = 101;
	told_count = loaded_count = 0;
	loop = ev_loop_new(EVFLAG_AUTO);
	u = upgrade_open(&service, &family, loop);
	return u ? 0 : -1;
}

static int end(void **unused)
{
	(void)unused;
	upgrade_close(u);
	worker_unload(&service.lib);
	ev_loop_destroy(loop);
	return loaded_count; /* nothing is left loaded */
}

static void start(const char *path)
{
	struct fault why = {0};

	assert_int_equal(upgrade_start(u, path, &why, told), 0);
}

/* The business process is another one now, a standby of it stands by. */
static void processes_are(pid_t business, pid_t standby)
{
	status.supervisor.business_pid = business;
	status.supervisor.standby_pid = standby;
}

static void renewed(int error)
{
	struct family_outcome o = {
		.error = error, .pause_us = 42, .generation = 7};
	struct family_done done = family.done;

	assert_non_null(done.call);
	family.done = (struct family_done){0};
	done.call(done.arg, &o);
}

static void upgrade_to(const char *path)
{
	start(path);
	trial.done.call(trial.done.arg, NULL);
	processes_are(102, 103);
	renewed(0);
}

static void crash(uint64_t generation)
{
	const struct death death = {
		.role = RF_CRASH_BUSINESS, .generation = generation};

	upgrade_on_crash(u, &death);
}

static void wait_a_retry(void)
{
	ev_sleep(2 * RETRY_S);
	ev_now_update(loop);
	ev_run(loop, EVRUN_NOWAIT);
}

static const char *version(void)
{
	return service.lib.worker.version;
}

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
	assert_int_equal(outcome.error, -ECHILD);
	assert_int_equal(loaded_count, 0);
	wait_a_retry();
	assert_int_equal(family.renew_count, 1);
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

#define story(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		story(new_code_is_forked_only_after_its_trial),
		story(what_fails_its_trial_changes_nothing),
		story(a_second_upgrade_waits_for_the_first),
		story(a_file_that_cannot_be_loaded_is_refused_at_once),
		story(a_failed_renewal_leaves_the_old_code_and_no_other),
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
