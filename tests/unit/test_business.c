/* SPDX-License-Identifier: MIT */
/* test_business.c -- a business child's own ways: threads, checks before it
 * serves, attempts, its canary.
 */
#include "business_by_hand.h"
#include <pthread.h>

/* ---- threads ---- */

static void *do_nothing(void *unused)
{
	sleep_on();
	return unused;
}

static int start_a_thread(const struct rf_env *env)
{
	pthread_t thread;

	(void)env;
	return -pthread_create(&thread, NULL, do_nothing, NULL);
}

static void a_process_of_many_threads_keeps_the_lease_to_its_end(void **state)
{
	const struct rf_crash_scene *scene;
	pid_t first, standby;
	int fd;

	(void)state;
	open_conn(ANN);
	worker.start = start_a_thread;
	then = fault;
	first = start_serving();
	assert_int_equal(status->business.threads, 2);
	fd = (int)syscall(SYS_pidfd_open, first, 0);
	standby = start_standby(fd);
	ask_now(ANN, "custom");
	assert_int_equal(signal_of(wait_child(first)), SIGSEGV);
	assert_int_equal(signal_of(wait_child(standby)), SIGSEGV);
	scene = scene_of(first);
	assert_non_null(scene);
	assert_int_equal(scene->handed_over, 0);
	assert_int_equal(scene->request.present, 1);
	assert_int_equal(status->business.takeover.pid, standby);
	close(fd);
}

/* ---- steps that are taken sometimes ---- */

static int verify_says(void)
{
	told->verified++;
	return told->verified > 1 ? -EBADMSG : 0;
}

static void damage_is_not_served(void **state)
{
	pid_t pid;

	(void)state;
	worker.verify = verify_says;
	kill_child(start_serving());
	assert_int_equal(told->verified, 0);
	pid = start_child((struct rf_child){.verify = true});
	UNTIL(rf_status_get(status->business.serving_pid) == pid);
	assert_int_equal(told->verified, 1);
	assert_int_equal(status->business.takeover.verified, 1);
	kill_child(pid);
	pid = start_child((struct rf_child){.verify = true});
	assert_int_equal(exit_of(wait_child(pid)), RF_CHILD_EXIT_DAMAGED);
	assert_int_equal(status->business.phase, RF_PHASE_VERIFY);
	assert_int_equal(status->business.takeover.serving_at_us, 0);
}

static int build_says(const struct rf_env *env)
{
	(void)env;
	told->built++;
	RF_SET(trial->number, trial->number + 1);
	return told->built > 1 ? -EINVAL : 0;
}

static int migrate_says(uint32_t from)
{
	told->migrated_from = from;
	RF_SET(trial->number, trial->number + 10);
	return 0;
}

static void new_code_migrates_and_builds_or_changes_nothing(void **state)
{
	pid_t pid;

	(void)state;
	worker.state_version = 2;
	pid = start_child((struct rf_child){.build_here = true});
	assert_int_equal(exit_of(wait_child(pid)), RF_CHILD_EXIT_CODE);
	assert_non_null(strstr(status->business.refusal,
		"state version 2, on state version 1: "));
	worker.build = build_says;
	worker.migrate = migrate_says;
	pid = start_child((struct rf_child){.build_here = true});
	UNTIL(rf_status_get(status->business.serving_pid) == pid);
	assert_string_equal(status->business.refusal, "");
	assert_int_equal(told->migrated_from, 1);
	assert_int_equal(told->built, 1);
	assert_int_equal(trial->number, 11);
	assert_int_equal(RF_SUPER->state_version, 2);
	kill_child(pid);
	worker.state_version = 3;
	pid = start_child((struct rf_child){.build_here = true});
	assert_int_equal(exit_of(wait_child(pid)), RF_CHILD_EXIT_CODE);
	pid = start_serving(); /* what the failed one had changed is undone */
	assert_int_equal(trial->number, 11);
	assert_int_equal(RF_SUPER->state_version, 2);
	kill_child(pid);
}

/* ---- attempts ---- */

static void the_number_of_attempts_is_the_configured_one(void **state)
{
	struct answer got;
	pid_t pid = 0;

	(void)state;
	conf.quarantine.attempts = 3;
	open_conn(ANN);
	then = exit_zero;
	ask(ANN, "custom");
	/* Three more that may have been struck from outside. */
	for (int i = 0; i < 3 + 3; i++) {
		pid = start_child((struct rf_child){0});
		wait_child(pid);
	}
	pid = start_serving();
	UNTIL(take_answer(&got));
	assert_int_equal(got.msg.type, RF_MSG_ERROR);
	assert_int_equal(got.msg.flags, RF_MSG_CRASHED);
	assert_true(got.bytes > 0);
	assert_non_null(memmem(got.at, got.bytes, "3 times", 7));
	kill_child(pid);
}

/* The reply ring is full of what nobody reads. */
static void leaving_while_there_is_no_room_is_no_death(void **state)
{
	uint64_t *word = &RF_SUPER->attempt;
	struct answer got;
	pid_t pid;

	(void)state;
	conf.quarantine.attempts = 1;
	open_conn(ANN);
	/* A large reply stands in the way of the next one. */
	ask(ANN, "big 2000000");
	ask(ANN, "big 2000000");
	for (int i = 0; i < 3; i++) {
		uint64_t rounds = rf_status_get(status->business.rounds);

		pid = start_child((struct rf_child){0});
		UNTIL(rf_status_get(status->business.serving_pid) == pid);
		UNTIL(rf_status_get(channel.reply.ring.shm->producer_waits));
		assert_int_equal(exit_of(end_by_leaving(pid)), 0);
		assert_int_equal(*word & 255, 0);
		assert_true(rf_status_get(status->business.rounds) >= rounds);
	}
	assert_int_equal(trial->number, 1);
	pid = start_serving();
	UNTIL(take_answer(&got));
	assert_int_equal(got.bytes, 2000000);
	done_with_answers();
	rf_bell_ring(channel.bell_business);
	UNTIL(take_answer(&got));
	assert_int_equal(got.bytes, 2000000);
	assert_int_equal(trial->number, 2);
	kill_child(pid);
}

/* ---- the canary ---- */

#if defined(__x86_64__)
static void tell_canary(const struct rf_request *req, struct rf_reply *reply)
{
	(void)req;
	__asm__("mov %%fs:0x28, %0" : "=r"(told->canary));
	reply_text(reply, "told");
}

static void each_child_has_a_canary_of_its_own(void **state)
{
	uint64_t seen[3];

	(void)state;
	open_conn(ANN);
	trial_custom = tell_canary;
	for (int i = 0; i < 3; i++) {
		pid_t pid = start_serving();

		ask_now(ANN, "custom");
		expect_soon(ANN, RF_MSG_REPLY, "told");
		seen[i] = told->canary;
		kill_child(pid);
	}
	__asm__("mov %%fs:0x28, %0" : "=r"(told->canary));
	assert_int_not_equal(seen[0], told->canary);
	for (int i = 0; i < 3; i++) {
		assert_int_not_equal(seen[i], seen[(i + 1) % 3]);
		assert_int_equal(seen[i] & 255, 0);
	}
}
#endif

#if !defined(__SANITIZE_ADDRESS__)
static __attribute__((noinline)) void write_behind(volatile char *at)
{
	for (int i = 0; i < 64; i++)
		at[i] = 'x';
}

static __attribute__((noinline)) void smash(void)
{
	char bytes[16];

	write_behind(bytes);
}

static void a_smashed_stack_is_a_death_by_abort(void **state)
{
	pid_t pid;

	(void)state;
	open_conn(ANN);
	then = smash;
	pid = start_serving();
	ask_now(ANN, "custom");
	assert_int_equal(signal_of(wait_child(pid)), SIGABRT);
	assert_non_null(scene_of(pid));
	assert_int_equal(scene_of(pid)->request.present, 1);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAMILY(a_process_of_many_threads_keeps_the_lease_to_its_end),
		FAMILY(damage_is_not_served),
		FAMILY(new_code_migrates_and_builds_or_changes_nothing),
		FAMILY(the_number_of_attempts_is_the_configured_one),
		FAMILY(leaving_while_there_is_no_room_is_no_death),
#if defined(__x86_64__)
		FAMILY(each_child_has_a_canary_of_its_own),
#endif
#if !defined(__SANITIZE_ADDRESS__)
		FAMILY(a_smashed_stack_is_a_death_by_abort),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
