/* SPDX-License-Identifier: MIT */
/* test_lock.c -- locks, and deaths at every step of their use. */
#include "lock_desk.h"
#include <pthread.h>
#include <refork/log.h>
#include <sys/ptrace.h>

#define STEPS_MAX 100000

static void repair(void)
{
	__atomic_store_n(&desk->second, desk->first, __ATOMIC_SEQ_CST);
	rf_lock_made_consistent(&desk->lock);
}

static void change(void)
{
	__atomic_add_fetch(&desk->first, 1, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&desk->second, 1, __ATOMIC_SEQ_CST);
}

/* ---- one at a time ---- */

static int change_often(void *unused)
{
	(void)unused;
	for (int i = 0; i < 20000; i++) {
		if (rf_lock_take(&desk->lock, RF_LOCK_FOREVER) != RF_LOCK_CLEAN)
			return 1;
		if (desk->first != desk->second)
			return 2;
		desk->first++;
		desk->second++;
		rf_lock_give(&desk->lock);
	}
	return 0;
}

static void two_processes_never_hold_it_at_once(void **state)
{
	pid_t pids[2];

	(void)state;
	for (int i = 0; i < 2; i++)
		pids[i] = fork_child(change_often, NULL);
	for (int i = 0; i < 2; i++)
		assert_int_equal(exit_of(wait_child(pids[i])), 0);
	assert_int_equal(desk->first, 40000);
}

/* ---- deaths at every step ---- */

enum script { CHANGE_IT, REPAIR_IT, LEAVE_IT };

/* Stopped and traced from the instruction after the stop. */
static int act(void *script)
{
	int found;

	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	raise(SIGSTOP);
	found = rf_lock_take(&desk->lock, RF_LOCK_FOREVER);
	__atomic_store_n(&desk->inside, true, __ATOMIC_SEQ_CST);
	if (*(enum script *)script == CHANGE_IT)
		change();
	if (found == RF_LOCK_OWNER_DIED && *(enum script *)script == REPAIR_IT)
		repair();
	rf_lock_give(&desk->lock);
	__atomic_store_n(&desk->over, true, __ATOMIC_SEQ_CST);
	return 0;
}

static bool one_step(pid_t pid)
{
	int status;

	return !desk->over && ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) == 0 &&
	       waitpid(pid, &status, 0) == pid && WIFSTOPPED(status);
}

static pid_t fork_actor(enum script *script)
{
	pid_t pid;
	int status;

	desk->inside = desk->over = false;
	pid = fork_child(act, script);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSTOPPED(status));
	return pid;
}

/* Run the script up to a step, and let it die there. False: it had ended. */
static bool die_at(int step, enum script script)
{
	pid_t pid = fork_actor(&script);
	bool lives = true;

	for (int i = 0; lives && i < step; i++)
		lives = one_step(pid);
	kill_child(pid);
	return lives;
}

static int hold_and_die(void *unused)
{
	(void)unused;
	rf_lock_take(&desk->lock, RF_LOCK_FOREVER);
	desk->first++;
	return 0;
}

/* Somebody has died with it. */
static void make_suspect(void)
{
	assert_int_equal(run_child(hold_and_die, NULL), 0);
}

/* The dynamic linker has bound what is called, in this process and so in its
 * forks: its steps are not ours. */
static void bind_all(void)
{
	make_suspect();
	assert_int_equal(take_soon(), RF_LOCK_OWNER_DIED);
	repair();
	rf_lock_give(&desk->lock);
}

static void a_death_at_any_step_leaves_a_lock_that_tells(void **state)
{
	int told = 0, step = 0;

	(void)state;
	bind_all();
	for (; step < STEPS_MAX && die_at(step, CHANGE_IT); step++) {
		int found = take_soon();

		assert_in_range(found, RF_LOCK_CLEAN, RF_LOCK_OWNER_DIED);
		if (found == RF_LOCK_OWNER_DIED) {
			told++;
			repair();
		}
		rf_lock_give(&desk->lock);
	}
	assert_in_range(told, 5, step - 5);
}

static void a_repair_that_dies_is_told_as_well(void **state)
{
	int told = 0, step = 0;
	bool lives = true;

	(void)state;
	bind_all();
	for (; step < STEPS_MAX && lives; step++) {
		int found;

		make_suspect();
		lives = die_at(step, REPAIR_IT);
		found = take_soon();
		assert_in_range(found, RF_LOCK_CLEAN, RF_LOCK_OWNER_DIED);
		if (found == RF_LOCK_OWNER_DIED) {
			told++;
			repair();
		}
		rf_lock_give(&desk->lock);
	}
	assert_in_range(told, 5, step - 5);
}

/* So many times the same words are of no use to anybody. */
static void hush(bool on)
{
	static int loud = -1;

	if (on) {
		loud = dup(STDERR_FILENO);
		dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
	} else {
		dup2(loud, STDERR_FILENO);
		close(loud);
	}
}

static void what_was_not_repaired_is_never_clean(void **state)
{
	int told = 0, refused = 0;
	bool lives = true;

	(void)state;
	bind_all();
	for (int step = 0; step < STEPS_MAX && lives; step++) {
		int found;

		make_suspect();
		lives = die_at(step, LEAVE_IT);
		hush(true);
		found = take_soon();
		hush(false);
		if (found == -ENOTRECOVERABLE) {
			refused++;
			assert_int_equal(rf_lock_init(&desk->lock, "desk"), 0);
			continue;
		}
		assert_int_equal(found, RF_LOCK_OWNER_DIED);
		told++;
		repair();
		rf_lock_give(&desk->lock);
	}
	assert_true(told > 5 && refused > 5);
}

/* ---- who waits for it ---- */

static int take_and_say(void *unused)
{
	(void)unused;
	return rf_lock_take(&desk->lock, SOON_US) + 10;
}

static void wait_until_asleep(pid_t pid)
{
	char path[64], text[256];

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	for (int i = 0; i < 5000; i++) {
		FILE *in = fopen(path, "re");
		const char *state = NULL;

		if (in != NULL && fgets(text, sizeof text, in) != NULL)
			state = strrchr(text, ')');
		if (in != NULL)
			fclose(in);
		if (state != NULL && state[2] == 'S')
			return;
		nap_us(200);
	}
	fail_msg("process %d does not sleep", pid);
}

/* False: it had ended before so many steps with the lock. */
static bool die_before_a_waiter(int steps)
{
	enum script script = CHANGE_IT;
	pid_t owner, waiter;
	bool lives = true;
	int exit_code;

	owner = fork_actor(&script);
	while (!desk->inside)
		assert_true(one_step(owner));
	waiter = fork_child(take_and_say, NULL);
	wait_until_asleep(waiter);
	for (int i = 0; lives && i < steps; i++)
		lives = one_step(owner);
	kill_child(owner);
	exit_code = exit_of(wait_child(waiter));
	assert_in_range(exit_code, 10 + RF_LOCK_CLEAN, 10 + RF_LOCK_OWNER_DIED);
	assert_int_equal(take_soon(), RF_LOCK_OWNER_DIED); /* of the waiter */
	repair();
	rf_lock_give(&desk->lock);
	return lives;
}

static void a_death_at_any_step_wakes_who_waits(void **state)
{
	int step = 0;

	(void)state;
	bind_all();
	while (step < STEPS_MAX && die_before_a_waiter(step))
		step++;
	assert_true(step > 10);
}

static void a_wait_for_a_lock_ends_in_time(void **state)
{
	enum script script = CHANGE_IT;
	int64_t from_us;
	pid_t owner;

	(void)state;
	owner = fork_actor(&script);
	while (!desk->inside)
		assert_true(one_step(owner));
	assert_int_equal(rf_lock_take(&desk->lock, 0), -ETIMEDOUT);
	from_us = now_us();
	assert_int_equal(rf_lock_take(&desk->lock, 20000), -ETIMEDOUT);
	assert_in_range(now_us() - from_us, 20000, SOON_US);
	kill_child(owner);
	assert_int_equal(take_soon(), RF_LOCK_OWNER_DIED);
}

/* ---- misuse, and locks that were there before ---- */

static void an_unrepaired_lock_says_what_has_happened(void **state)
{
	(void)state;
	make_suspect();
	assert_int_equal(take_soon(), RF_LOCK_OWNER_DIED);
	rf_lock_give(&desk->lock);
	for (int i = 0; i < 3; i++)
		assert_int_equal(take_soon(), -ENOTRECOVERABLE);
	assert_non_null(strstr(rf_log_last_error(), "lock desk: "));
	assert_non_null(strstr(rf_log_last_error(), "rf_lock_init"));
	assert_int_equal(rf_lock_init(&desk->lock, "desk"), 0);
	desk->second = desk->first;
	assert_int_equal(take_soon(), RF_LOCK_CLEAN);
	rf_lock_give(&desk->lock);
}

static int take_twice(void *unused)
{
	(void)unused;
	rf_lock_take(&desk->lock, RF_LOCK_FOREVER);
	rf_lock_take(&desk->lock, RF_LOCK_FOREVER);
	return 0;
}

static int give_anothers(void *unused)
{
	(void)unused;
	rf_lock_give(&desk->lock);
	return 0;
}

static int take_none(void *unused)
{
	static struct rf_lock never_made;

	(void)unused;
	return rf_lock_take(&never_made, 0);
}

static void misuse_is_a_crash(void **state)
{
	(void)state;
	assert_int_equal(signal_of(run_child(take_twice, NULL)), SIGABRT);
	assert_int_equal(take_soon(), RF_LOCK_OWNER_DIED);
	rf_lock_made_consistent(&desk->lock);
	assert_int_equal(signal_of(run_child(give_anothers, NULL)), SIGABRT);
	rf_lock_give(&desk->lock);
	assert_int_equal(signal_of(run_child(take_none, NULL)), SIGABRT);
}

static void *take_and_end(void *unused)
{
	rf_lock_take(&desk->lock, RF_LOCK_FOREVER);
	return unused;
}

static void the_end_of_a_thread_is_a_death(void **state)
{
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, take_and_end, NULL), 0);
	pthread_join(thread, NULL);
	assert_int_equal(take_soon(), RF_LOCK_OWNER_DIED);
	repair();
	rf_lock_give(&desk->lock);
}

/* As a machine leaves it that stopped while it was held. */
static void leave_held(void)
{
	struct rf_lock held;

	assert_int_equal(take_soon(), RF_LOCK_CLEAN);
	held = desk->lock;
	rf_lock_give(&desk->lock);
	desk->lock = held;
}

static int take_at_once(void *unused)
{
	(void)unused;
	return rf_lock_take(&desk->lock, 0) == -ETIMEDOUT ? 0 : 1;
}

static void a_renewed_lock_can_be_taken_and_tells(void **state)
{
	(void)state;
	assert_int_equal(rf_lock_renew(&desk->lock), 0);
	assert_int_equal(take_soon(), RF_LOCK_CLEAN);
	rf_lock_give(&desk->lock);

	make_suspect(); /* the kernel has seen it */
	assert_int_equal(rf_lock_renew(&desk->lock), 0);
	assert_int_equal(take_soon(), RF_LOCK_OWNER_DIED);
	repair();
	rf_lock_give(&desk->lock);

	leave_held(); /* nobody has */
	assert_int_equal(run_child(take_at_once, NULL), 0);
	assert_int_equal(rf_lock_renew(&desk->lock), 0);
	assert_int_equal(take_soon(), RF_LOCK_OWNER_DIED);
	rf_lock_give(&desk->lock);

	assert_int_equal(rf_lock_renew(&desk->lock), 0); /* nor is it healed */
	assert_int_equal(take_soon(), -ENOTRECOVERABLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		lock_test(two_processes_never_hold_it_at_once),
		lock_test(a_death_at_any_step_leaves_a_lock_that_tells),
		lock_test(a_repair_that_dies_is_told_as_well),
		lock_test(what_was_not_repaired_is_never_clean),
		lock_test(a_death_at_any_step_wakes_who_waits),
		lock_test(a_wait_for_a_lock_ends_in_time),
		lock_test(an_unrepaired_lock_says_what_has_happened),
		lock_test(misuse_is_a_crash),
		lock_test(the_end_of_a_thread_is_a_death),
		lock_test(a_renewed_lock_can_be_taken_and_tells),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
