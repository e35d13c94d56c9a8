/* SPDX-License-Identifier: MIT */
/* test_cond.c -- conditions: no signal is lost, whoever dies. */
#include "lock_desk.h"

#define LATE_US	     90000 /* only a signal that was lost takes so long */
#define BUSY	     20	   /* times that it may keep one waiting as long */
#define ROUNDS	     100000
#define PLAYER_COUNT 2
#define TAKER_COUNT  4
#define GOODS	     20000

static void a_wait_for_a_condition_ends_in_time(void **state)
{
	int64_t until_us = now_us() + 250000;
	int looks = 0, found;

	(void)state;
	assert_int_equal(take_soon(), RF_LOCK_CLEAN);
	do {
		looks++;
		found = rf_cond_wait(&desk->cond, &desk->lock, until_us);
	} while (found == RF_LOCK_CLEAN);
	assert_int_equal(found, -ETIMEDOUT);
	assert_in_range(now_us() - until_us, 0, SOON_US);
	assert_in_range(looks, 2, 4);
	assert_int_equal(rf_cond_wait(&desk->cond, &desk->lock, 0), -ETIMEDOUT);
	rf_lock_give(&desk->lock);
}

static int take_or_exit(int found)
{
	if (found == RF_LOCK_OWNER_DIED) {
		rf_lock_made_consistent(&desk->lock);
		rf_cond_broadcast(&desk->cond); /* what it had not said */
	} else if (found != RF_LOCK_CLEAN)
		_exit(1);
	return found;
}

static int play(void *my_turn)
{
	uint64_t turn = (uint64_t) * (int *)my_turn;

	take_or_exit(rf_lock_take(&desk->lock, RF_LOCK_FOREVER));
	while (desk->ball < ROUNDS) {
		int64_t from_us = now_us();

		while (desk->ball % PLAYER_COUNT != turn && desk->ball < ROUNDS)
			take_or_exit(rf_cond_wait(
				&desk->cond, &desk->lock, RF_LOCK_FOREVER));
		if (now_us() - from_us > LATE_US)
			desk->late++;
		if (desk->ball < ROUNDS)
			desk->ball++;
		rf_cond_signal(&desk->cond);
	}
	rf_lock_give(&desk->lock);
	return 0;
}

static uint64_t rounds_played(void)
{
	return __atomic_load_n(&desk->ball, __ATOMIC_SEQ_CST);
}

static void no_signal_is_lost(void **state)
{
	int turns[PLAYER_COUNT] = {0, 1};
	pid_t pids[PLAYER_COUNT];

	(void)state;
	for (int i = 0; i < PLAYER_COUNT; i++)
		pids[i] = fork_child(play, &turns[i]);
	for (int i = 0; i < PLAYER_COUNT; i++)
		assert_int_equal(exit_of(wait_child(pids[i])), 0);
	assert_int_equal(desk->ball, ROUNDS);
	assert_in_range(desk->late, 0, BUSY); /* a busy machine's */
}

/* Each death may cost one look; nothing else does. */
static void the_game_goes_on_whoever_dies(void **state)
{
	int turns[PLAYER_COUNT] = {0, 1};
	pid_t pids[PLAYER_COUNT];
	unsigned deaths = 0;

	(void)state;
	for (int i = 0; i < PLAYER_COUNT; i++)
		pids[i] = fork_child(play, &turns[i]);
	while (rounds_played() < ROUNDS) {
		uint64_t before = rounds_played();
		size_t victim = random_below(PLAYER_COUNT);

		for (int i = 0; rounds_played() == before; i++) {
			assert_true(i < SOON_US / 100); /* it stands still */
			nap_us(100);
		}
		nap_us((unsigned)random_below(3000));
		kill_child(pids[victim]);
		deaths++;
		pids[victim] = fork_child(play, &turns[victim]);
	}
	for (int i = 0; i < PLAYER_COUNT; i++)
		assert_int_equal(exit_of(wait_child(pids[i])), 0);
	assert_int_equal(desk->ball, ROUNDS);
	assert_true(deaths > 20);
	assert_true(desk->late <= deaths + BUSY);
}

static int consume(void *unused)
{
	(void)unused;
	take_or_exit(rf_lock_take(&desk->lock, RF_LOCK_FOREVER));
	while (desk->taken < GOODS) {
		while (desk->goods == desk->taken && desk->taken < GOODS)
			take_or_exit(rf_cond_wait(
				&desk->cond, &desk->lock, RF_LOCK_FOREVER));
		desk->taken += desk->taken < GOODS;
	}
	rf_cond_broadcast(&desk->cond); /* the last one is gone */
	rf_lock_give(&desk->lock);
	return 0;
}

static void what_a_dead_sleeper_was_told_is_not_lost(void **state)
{
	pid_t pids[TAKER_COUNT];

	(void)state;
	for (int i = 0; i < TAKER_COUNT; i++)
		pids[i] = fork_child(consume, NULL);
	for (int i = 0; i < GOODS; i++) {
		size_t victim = random_below(TAKER_COUNT);

		take_or_exit(rf_lock_take(&desk->lock, RF_LOCK_FOREVER));
		desk->goods++;
		rf_lock_give(&desk->lock);
		rf_cond_signal(&desk->cond);
		if (i % 100 != 99)
			continue;
		kill_child(pids[victim]);
		pids[victim] = fork_child(consume, NULL);
	}
	for (int i = 0; i < TAKER_COUNT; i++)
		assert_int_equal(exit_of(wait_child(pids[i])), 0);
	assert_int_equal(desk->taken, GOODS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		lock_test(a_wait_for_a_condition_ends_in_time),
		lock_test(no_signal_is_lost),
		lock_test(the_game_goes_on_whoever_dies),
		lock_test(what_a_dead_sleeper_was_told_is_not_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
