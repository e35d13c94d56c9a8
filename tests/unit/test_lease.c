/* SPDX-License-Identifier: MIT */
/* test_lease.c -- one writer at a time, whatever becomes of it.
 *
 * Holders and takers are processes of their own, as in the daemon.
 */
#include "scratch_arena.h"
#include "suite.h"
#include <linux/futex.h>
#include <super.h>
#include <sys/syscall.h>

static uint64_t *counter; /* in the arena */

/* What the processes of a test tell each other. */
static struct {
	int holder; /* pid */
	int overlaps;
	int taken;
	bool ready;
} * shared;

static int set_up(void **state)
{
	(void)state;
	shared = shared_memory(sizeof *shared);
	if (scratch_arena_create((uint64_t)16 << 20) != 0)
		return -1;
	rf_tx_begin();
	counter = rf_alloc(sizeof *counter);
	if (rf_tx_commit() != 0)
		return -1;
	rf_lease_give();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	munmap(shared, sizeof *shared);
	rf_segment_close(&scratch_segment);
	return 0;
}

static void wait_ready(void)
{
	for (int i = 0; i < 5000; i++) {
		if (__atomic_load_n(&shared->ready, __ATOMIC_ACQUIRE))
			return;
		nap_us(1000);
	}
	fail_msg("the child did not get ready");
}

static void say_ready(void)
{
	__atomic_store_n(&shared->ready, true, __ATOMIC_RELEASE);
}

static int hold(void *for_us)
{
	if (rf_lease_take(1000, false) < 0)
		return 1;
	say_ready();
	nap_us(*(unsigned *)for_us);
	rf_lease_give();
	return 0;
}

static int hold_in_a_transaction(void *unused)
{
	(void)unused;
	if (rf_lease_take(1000, false) < 0)
		return 1;
	rf_tx_begin();
	RF_SET(*counter, *counter + 1);
	say_ready();
	pause();
	return 0;
}

static void a_living_holder_cannot_be_robbed(void **state)
{
	unsigned for_us = 10000000;
	pid_t child = fork_child(hold, &for_us);

	(void)state;
	wait_ready();
	assert_int_equal(rf_lease_take(0, false), -ETIMEDOUT);
	assert_int_equal(rf_lease_take(50, false), -ETIMEDOUT);
	kill(child, SIGSTOP); /* neither when it hangs */
	assert_int_equal(rf_lease_take(50, false), -ETIMEDOUT);
	kill_child(child);
	assert_int_equal(rf_lease_take(0, false), RF_LEASE_OWNER_DIED);
	rf_lease_give();
}

static void a_lease_given_back_is_clean(void **state)
{
	unsigned for_us = 30000;
	pid_t child = fork_child(hold, &for_us);

	(void)state;
	wait_ready();
	assert_int_equal(rf_lease_take(5000, false), RF_LEASE_CLEAN);
	assert_int_equal(wait_child(child), 0);
	rf_lease_give();
	assert_int_equal(rf_lease_take(0, false), RF_LEASE_CLEAN);
	rf_lease_give();
}

static void a_takeover_rolls_back_what_the_dead_had_begun(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		pid_t child;

		shared->ready = false;
		child = fork_child(hold_in_a_transaction, NULL);
		wait_ready();
		assert_int_equal(*counter, 1);
		kill_child(child);
		assert_int_equal(rf_lease_take(0, false), RF_LEASE_OWNER_DIED);
		assert_int_equal(*counter, 0);
		rf_lease_give();
	}
	/* Once marked, the death is history. */
	assert_int_equal(rf_lease_take(0, false), RF_LEASE_CLEAN);
	rf_lease_give();
}

static int hand_over_in_a_transaction(void *unused)
{
	(void)unused;
	if (rf_lease_take(1000, false) < 0)
		return 1;
	rf_tx_begin();
	RF_SET(*counter, *counter + 1);
	rf_lease_give();
	return 0;
}

static void a_clean_takeover_rolls_back_too(void **state)
{
	(void)state;
	assert_int_equal(run_child(hand_over_in_a_transaction, NULL), 0);
	assert_int_equal(*counter, 1);
	assert_int_equal(rf_lease_take(0, false), RF_LEASE_CLEAN);
	assert_int_equal(*counter, 0);
	rf_lease_give();
}

static int take_when_the_other_dies(void *unused)
{
	(void)unused;
	return rf_lease_take(5000, false) == RF_LEASE_OWNER_DIED ? 0 : 1;
}

static void a_waiting_taker_is_woken_by_the_death(void **state)
{
	pid_t holder = fork_child(hold_in_a_transaction, NULL);
	pid_t taker;

	(void)state;
	wait_ready();
	taker = fork_child(take_when_the_other_dies, NULL);
	nap_us(30000);
	assert_int_equal(waitpid(taker, NULL, WNOHANG), 0);
	kill_child(holder);
	assert_int_equal(wait_child(taker), 0);
	assert_int_equal(*counter, 0);
}

/* Take, look for company, count, and either give back or die: for ever. */
static int take_and_give_for_ever(void *unused)
{
	int me = getpid();

	(void)unused;
	random_state += (uint64_t)me;
	for (;;) {
		if (rf_lease_take(20000, false) < 0)
			return 1;
		__atomic_store_n(&shared->holder, me, __ATOMIC_SEQ_CST);
		__atomic_fetch_add(&shared->taken, 1, __ATOMIC_SEQ_CST);
		rf_tx_begin();
		RF_SET(*counter, *counter + 1);
		nap_us((unsigned)random_below(200));
		if (__atomic_load_n(&shared->holder, __ATOMIC_SEQ_CST) != me)
			__atomic_fetch_add(
				&shared->overlaps, 1, __ATOMIC_SEQ_CST);
		if (random_below(4) == 0)
			_exit(0);
		rf_tx_abort();
		rf_lease_give();
	}
}

static void two_never_hold_it_however_they_die(void **state)
{
	enum { TAKERS = 4 };
	pid_t takers[TAKERS];

	(void)state;
	for (int i = 0; i < TAKERS; i++)
		takers[i] = fork_child(take_and_give_for_ever, NULL);
	for (int deaths = 0; deaths < 300; deaths++) {
		int victim = (int)random_below(TAKERS);

		if (random_below(2) == 0)
			kill(takers[victim], SIGKILL);
		else
			nap_us((unsigned)random_below(1000));
		if (waitpid(takers[victim], NULL, WNOHANG) > 0 ||
			kill(takers[victim], 0) != 0)
			takers[victim] =
				fork_child(take_and_give_for_ever, NULL);
	}
	for (int i = 0; i < TAKERS; i++)
		kill_child(takers[i]);
	assert_int_equal(shared->overlaps, 0);
	assert_true(shared->taken > 50);
	assert_true(rf_lease_take(0, false) >= 0);
	assert_int_equal(*counter, 0);
	rf_lease_give();
}

/* ---- given by the dying ---- */

static int give_while_dying(void *unused)
{
	(void)unused;
	if (rf_lease_give_dying())
		return 1; /* it has none */
	if (rf_lease_take(1000, false) < 0)
		return 2;
	rf_tx_begin();
	RF_SET(*counter, *counter + 1);
	if (!rf_lease_give_dying() || rf_lease_give_dying())
		return 3;
	say_ready();
	pause();
	return 0;
}

static void what_the_dying_give_is_as_after_a_death(void **state)
{
	pid_t child = fork_child(give_while_dying, NULL);

	(void)state;
	wait_ready();
	assert_int_equal(rf_lease_lock(1000000, false), RF_LEASE_OWNER_DIED);
	assert_int_equal(*counter, 1);
	assert_int_equal(rf_lease_recover(), 1);
	assert_int_equal(*counter, 0);
	rf_lease_give();
	kill_child(child);
	assert_int_equal(rf_lease_take(0, false), RF_LEASE_CLEAN);
	rf_lease_give();
}

static int give_before_it_is_whole(void *unused)
{
	(void)unused;
	if (rf_lease_lock(1000000, false) != RF_LEASE_OWNER_DIED)
		return 1;
	return rf_lease_give_dying() ? 2 : 9;
}

static void a_lease_that_is_not_whole_goes_the_way_of_the_dead(void **state)
{
	pid_t child;

	(void)state;
	child = fork_child(hold_in_a_transaction, NULL);
	wait_ready();
	kill_child(child);
	for (int i = 0; i < 3; i++)
		assert_int_equal(
			exit_of(run_child(give_before_it_is_whole, NULL)), 9);
	assert_int_equal(*counter, 1);
	assert_int_equal(rf_lease_take(0, false), RF_LEASE_OWNER_DIED);
	assert_int_equal(*counter, 0);
	rf_lease_give();
}

static int try_to_give_what_the_parent_has(void *unused)
{
	(void)unused;
	return rf_lease_give_dying() ? 1 : 0;
}

static void a_fork_of_the_holder_has_nothing_to_give(void **state)
{
	(void)state;
	assert_int_equal(rf_lease_take(0, false), RF_LEASE_CLEAN);
	assert_int_equal(run_child(try_to_give_what_the_parent_has, NULL), 0);
	assert_int_equal(rf_lease_holder(), getpid());
	rf_lease_give();
	assert_int_equal(rf_lease_holder(), 0);
}

/* ---- the last word ---- */

/* As if a wild write had broken the list by which the kernel finds what the
 * dying process holds. */
static int die_with_a_broken_list(void *unused)
{
	(void)unused;
	if (rf_lease_take(1000, false) < 0)
		return 1;
	rf_tx_begin();
	RF_SET(*counter, *counter + 1);
	syscall(SYS_set_robust_list, NULL, sizeof(struct robust_list_head));
	_exit(9);
}

static void a_lease_nobody_can_give_is_made_anew_for_the_reaper(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		assert_int_equal(
			exit_of(run_child(die_with_a_broken_list, NULL)), 9);
		assert_int_equal(rf_lease_take(20, false), -ETIMEDOUT);
		assert_int_equal(*counter, 1);
		assert_int_equal(rf_lease_take(0, true), RF_LEASE_OWNER_DIED);
		assert_int_equal(*counter, 0);
		rf_lease_give();
		/* It is a full lease again. */
		shared->ready = false;
		kill_child(fork_child(hold_in_a_transaction, NULL));
		assert_true(rf_lease_take(0, false) >= 0);
		rf_lease_give();
	}
}

static void what_no_lock_looks_like_is_made_anew_for_the_reaper(void **state)
{
	(void)state;
	for (int i = 0; i < 200; i++) {
		int *word = (int *)&RF_SUPER->lease;

		/* Owner words of the dead, in every form. */
		*word = (int)(random_word() & 0xffffffff);
		assert_true(rf_lease_take(0, true) >= 0);
		rf_lease_give();
		assert_int_equal(rf_lease_take(0, false), RF_LEASE_CLEAN);
		rf_lease_give();
	}
}

static void a_whole_lease_is_not_made_anew(void **state)
{
	unsigned for_us = 0;

	(void)state;
	assert_int_equal(run_child(hold, &for_us), 0);
	assert_int_equal(rf_lease_take(0, true), RF_LEASE_CLEAN);
	rf_lease_give();
	shared->ready = false;
	kill_child(fork_child(hold_in_a_transaction, NULL));
	assert_true(rf_lease_take(0, true) >= 0);
	rf_lease_give();
}

static int give_without_taking(void *unused)
{
	(void)unused;
	rf_lease_give();
	return 0;
}

static void only_the_holder_can_give(void **state)
{
	(void)state;
	assert_int_equal(rf_lease_take(0, false), RF_LEASE_CLEAN);
	/* A child does not own what its parent has locked. */
	assert_int_equal(
		signal_of(run_child(give_without_taking, NULL)), SIGABRT);
	rf_lease_give();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_living_holder_cannot_be_robbed),
		TEST(a_lease_given_back_is_clean),
		TEST(a_takeover_rolls_back_what_the_dead_had_begun),
		TEST(a_clean_takeover_rolls_back_too),
		TEST(a_waiting_taker_is_woken_by_the_death),
		TEST(two_never_hold_it_however_they_die),
		TEST(what_the_dying_give_is_as_after_a_death),
		TEST(a_lease_that_is_not_whole_goes_the_way_of_the_dead),
		TEST(a_fork_of_the_holder_has_nothing_to_give),
		TEST(a_lease_nobody_can_give_is_made_anew_for_the_reaper),
		TEST(what_no_lock_looks_like_is_made_anew_for_the_reaper),
		TEST(a_whole_lease_is_not_made_anew),
		TEST(only_the_holder_can_give),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
