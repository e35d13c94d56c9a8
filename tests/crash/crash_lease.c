/* SPDX-License-Identifier: MIT */
/* crash_lease.c -- the lease among real processes that really die.
 *
 * What it guards are two counters that are always equal, but in the middle of a
 * transaction.
 */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include "common/arena.h"
#include "stage.h"
#include "stepper.h"
#include <errno.h>
#include <refork/heap.h>
#include <refork/log.h>
#include <refork/slot.h>
#include <refork/tx.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KILLS	     100
#define TAKERS	     3
#define LIFE_US	     700 /* at most, of a holder */
#define STEPS_BEFORE 30	 /* the robust list is written before the lock */
#define PATIENT_MS   5000

#ifdef __SANITIZE_ADDRESS__ /* more steps, and slow forks */
#define STRIDE_MAX 50
#else
#define STRIDE_MAX 9
#endif

static const struct geometry geometry = {.page_max = 64};
static struct stage stage;
static struct pair {
	uint64_t one, other;
	void *block;
} * pair;

static int set_up(void **state)
{
	void *at;

	(void)state;
	if (stage_create(&stage, &geometry) != 0 || stage_enter(&stage) != 0 ||
		stage_format(&geometry) != 0)
		return -1;
	rf_tx_begin();
	if (rf_slot_open("pair", "pair", 1, sizeof *pair, &at, NULL) != 0 ||
		rf_tx_commit() != 0)
		return -1;
	pair = at;
	rf_lease_give();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	rf_segment_close(&stage.arena);
	rf_channel_destroy(&stage.channel);
	return 0;
}

static void half(void)
{
	rf_tx_begin();
	RF_SET(pair->one, pair->one + 1);
	rf_free(pair->block);
	RF_SET(pair->block, rf_alloc(1 + pair->one % 5000));
}

static void other_half(void)
{
	RF_SET(pair->other, pair->other + 1);
	rf_tx_commit();
}

/* In the holder of the lease. */
static bool is_sound(void)
{
	return pair->one == pair->other && rf_arena_check() == 0;
}

static void nap_us(long us)
{
	nanosleep(&(struct timespec){0, us * 1000}, NULL);
}

/* A child that does this and exits with what it returns. */
static pid_t child(int (*run)(void))
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	_exit(run());
}

static int status_of(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void kill_now(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_true(WIFSIGNALED(status_of(pid)));
}

/* ---- who holds it ---- */

static int hold(void)
{
	if (rf_lease_take(PATIENT_MS, false) < 0)
		return 1;
	for (;;) {
		if (!is_sound())
			return 2;
		half();
		other_half();
	}
}

static int take_and_give(void)
{
	if (rf_lease_take(PATIENT_MS, false) < 0)
		return 1;
	if (!is_sound())
		return 2;
	half();
	other_half();
	rf_lease_give();
	return 0;
}

static int die_in_a_transaction(void)
{
	if (rf_lease_take(PATIENT_MS, false) < 0)
		return 1;
	half();
	_exit(0);
}

/* As after a wild write: the kernel does not find what the process holds. */
static int die_with_a_broken_robust_list(void)
{
	static struct {
		void *next;
		long off;
		void *pending;
	} empty = {&empty, 0, NULL};

	if (rf_lease_take(PATIENT_MS, false) < 0)
		return 1;
	half();
	syscall(SYS_set_robust_list, &empty, sizeof empty);
	_exit(0);
}

/* ---- the tests ---- */

static void a_living_holder_keeps_it(void **state)
{
	pid_t pid = child(hold);

	(void)state;
	while (*(volatile uint64_t *)&pair->one == 0)
		nap_us(100);
	assert_int_equal(rf_lease_take(0, false), -ETIMEDOUT);
	assert_int_equal(rf_lease_take(50, false), -ETIMEDOUT);
	kill_now(pid);
	assert_int_equal(rf_lease_take(PATIENT_MS, false), RF_LEASE_OWNER_DIED);
	assert_true(is_sound());
	rf_lease_give();
	assert_int_equal(rf_lease_take(0, false), RF_LEASE_CLEAN);
	rf_lease_give();
}

static void whoever_waits_for_a_dead_holder_finds_a_sound_state(void **state)
{
	pid_t takers[TAKERS];

	(void)state;
	for (unsigned i = 0; i < KILLS; i++) {
		pid_t holder = child(hold);

		for (size_t t = 0; t < TAKERS; t++)
			takers[t] = child(take_and_give);
		nap_us(random() % LIFE_US);
		kill_now(holder);
		for (size_t t = 0; t < TAKERS; t++)
			assert_int_equal(status_of(takers[t]), 0);
	}
	assert_int_equal(rf_lease_take(0, false) < 0, 0);
	assert_true(is_sound());
	rf_lease_give();
}

static void takers_that_die_leave_it_to_the_next(void **state)
{
	pid_t takers[TAKERS];

	(void)state;
	for (unsigned i = 0; i < KILLS; i++) {
		assert_int_equal(status_of(child(die_in_a_transaction)), 0);
		for (size_t t = 0; t < TAKERS; t++)
			takers[t] = child(hold);
		for (size_t t = 0; t < TAKERS; t++) {
			nap_us(random() % LIFE_US);
			kill_now(takers[t]);
		}
		assert_int_equal(rf_lease_take(PATIENT_MS, false) < 0, 0);
		assert_true(is_sound());
		rf_lease_give();
	}
}

static void take_in_steps(void *orphaned)
{
	rf_log_set_level(RF_LOG_ERROR); /* a warning takes many steps */
	stepper_mark();
	if (rf_lease_take(PATIENT_MS, *(const bool *)orphaned) < 0)
		_exit(1);
	stepper_mark();
}

/* A random part of the steps: every one, sooner or later. */
static unsigned stride(void)
{
	return 1 + (unsigned)random() % STRIDE_MAX;
}

static void start_taker(struct stepper *stepper, bool *orphaned)
{
	assert_int_equal(stepper_start(stepper, take_in_steps, orphaned), 0);
	assert_int_equal(stepper_run(stepper), STEPPER_MARK);
}

/* Steps of a taker until shortly before it first touches the arena. The dead
 * holder is followed by a dead taker. */
static unsigned steps_to_touch(bool orphaned)
{
	static struct rf_super before;
	struct stepper stepper;
	unsigned steps = 0;

	before = *RF_SUPER;
	start_taker(&stepper, &orphaned);
	while (memcmp(&before, RF_SUPER, sizeof before) == 0) {
		assert_int_equal(stepper_step(&stepper), STEPPER_STEPPED);
		steps++;
	}
	stepper_end(&stepper);
	return steps > STEPS_BEFORE ? steps - STEPS_BEFORE : 0;
}

/* Kill a taker after so many steps. False: it had taken the lease before. */
static bool kill_taker(unsigned steps, bool orphaned)
{
	enum stepper_stop stop = STEPPER_STEPPED;
	struct stepper stepper;

	start_taker(&stepper, &orphaned);
	while (steps-- > 0 && stop == STEPPER_STEPPED)
		stop = stepper_step(&stepper);
	assert_int_not_equal(stop, STEPPER_DIED);
	stepper_end(&stepper);
	return stop == STEPPER_STEPPED;
}

static void a_taker_may_die_at_any_step(void **state)
{
	bool killed = true;
	unsigned steps;

	(void)state;
	stepper_stay();
	assert_int_equal(status_of(child(die_in_a_transaction)), 0);
	for (steps = steps_to_touch(false); killed; steps += stride()) {
		killed = kill_taker(steps, false);
		assert_int_equal(
			rf_lease_take(PATIENT_MS, false), RF_LEASE_OWNER_DIED);
		assert_true(is_sound());
		rf_lease_give();
		assert_int_equal(status_of(child(die_in_a_transaction)), 0);
	}
}

static void an_orphaned_lease_is_made_anew_when_nobody_can_hold_it(void **state)
{
	(void)state;
	assert_int_equal(status_of(child(die_with_a_broken_robust_list)), 0);
	assert_int_equal(rf_lease_take(50, false), -ETIMEDOUT);
	assert_int_equal(rf_lease_take(0, true), RF_LEASE_OWNER_DIED);
	assert_true(is_sound());
	rf_lease_give();
	assert_int_equal(status_of(child(die_in_a_transaction)), 0);
	assert_int_equal(rf_lease_take(0, false), RF_LEASE_OWNER_DIED);
	assert_true(is_sound());
	rf_lease_give();
}

static void who_makes_it_anew_may_die_at_any_step(void **state)
{
	bool killed = true;
	unsigned steps;

	(void)state;
	stepper_stay();
	assert_int_equal(status_of(child(die_with_a_broken_robust_list)), 0);
	for (steps = steps_to_touch(true); killed; steps += stride()) {
		assert_true(rf_lease_take(0, true) >= 0);
		assert_true(is_sound());
		rf_lease_give();
		/* It is still one that notices a death. */
		assert_int_equal(status_of(child(die_in_a_transaction)), 0);
		assert_int_equal(rf_lease_take(0, false), RF_LEASE_OWNER_DIED);
		rf_lease_give();
		assert_int_equal(
			status_of(child(die_with_a_broken_robust_list)), 0);
		killed = kill_taker(steps, true);
	}
	assert_true(rf_lease_take(0, true) >= 0);
	assert_true(is_sound());
	rf_lease_give();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(a_living_holder_keeps_it),
		TEST(whoever_waits_for_a_dead_holder_finds_a_sound_state),
		TEST(takers_that_die_leave_it_to_the_next),
		TEST(an_orphaned_lease_is_made_anew_when_nobody_can_hold_it),
		TEST(a_taker_may_die_at_any_step),
		TEST(who_makes_it_anew_may_die_at_any_step),
	};
	unsigned seed = (unsigned)time(NULL);

	(void)argc;
	stepper_settle(argv);
	srandom(seed);
	print_message("CRASH_SEED=%u\n", seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
