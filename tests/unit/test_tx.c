/* SPDX-License-Identifier: MIT */
/* test_tx.c -- transactions against a shadow copy of the memory they change.
 *
 * `live` is a block in the arena, `shadow` what it must hold after the last
 * commit. Whatever ends a transaction, an abort, an error, or the death of the
 * process that made it, the two agree.
 */
#include "scratch_arena.h"
#include "suite.h"
#include <super.h>
#include <sys/stat.h>

#define MIB	   ((size_t)1 << 20)
#define LIVE_BYTES ((size_t)16384)

static uint8_t *live;
static uint8_t shadow[LIVE_BYTES], next[LIVE_BYTES];

static int make_arena(uint64_t max_bytes, size_t live_bytes)
{
	if (scratch_arena_create(max_bytes) != 0)
		return -1;
	rf_tx_begin();
	live = rf_alloc(live_bytes);
	return rf_tx_commit();
}

static int set_up(void **state)
{
	(void)state;
	memset(shadow, 0, sizeof shadow);
	return make_arena(64 * MIB, LIVE_BYTES);
}

static int tear_down(void **state)
{
	(void)state;
	scratch_arena_destroy();
	return 0;
}

static void agree(void)
{
	assert_memory_equal(live, shadow, LIVE_BYTES);
	assert_int_equal(RF_SUPER->log_tail, 0);
	assert_false(rf_tx_is_open());
}

static size_t backed_bytes(void)
{
	struct stat st;

	assert_int_equal(fstat(scratch_segment.fd, &st), 0);
	return (size_t)st.st_blocks * 512;
}

/* ---- a shadow copy ---- */

/* Ranges crowd into the first `window` bytes, so that they nest, overlap and
 * repeat; some have no bytes at all. */
static void random_write(size_t window)
{
	uint8_t bytes[256];
	size_t at = random_below(window);
	size_t limit = window - at < sizeof bytes ? window - at : sizeof bytes;
	size_t count = random_below(limit + 1);

	random_fill(bytes, count);
	switch (random_below(3)) {
	case 0:
		rf_tx_write(live + at, bytes, count);
		break;
	case 1: /* saved as a whole, changed in part, changed again */
		assert_int_equal(rf_tx_log(live + at, count), 0);
		memcpy(live + at, bytes, count / 2);
		memcpy(live + at, bytes, count);
		break;
	default: /* the same range over and over */
		for (int i = 0; i < 3; i++) {
			assert_int_equal(rf_tx_log(live + at, count), 0);
			memset(live + at, i, count);
		}
		memcpy(live + at, bytes, count);
	}
	memcpy(next + at, bytes, count);
}

static void any_mix_of_writes_is_all_or_nothing(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		size_t window = round % 3 == 0 ? LIVE_BYTES : 64;
		size_t writes = random_below(20);

		memcpy(next, shadow, sizeof next);
		rf_tx_begin();
		for (size_t i = 0; i < writes; i++)
			random_write(window);
		if (random_below(2) == 0) {
			rf_tx_abort();
		} else {
			assert_int_equal(rf_tx_commit(), 0);
			memcpy(shadow, next, sizeof shadow);
		}
		agree();
	}
}

static void a_range_saved_in_one_transaction_is_saved_in_the_next(void **state)
{
	(void)state;
	for (uint8_t i = 1; i < 100; i++) {
		rf_tx_begin();
		assert_int_equal(rf_tx_log(live, 8), 0);
		live[0] = i;
		if (i % 2 == 0) {
			rf_tx_abort();
		} else {
			assert_int_equal(rf_tx_commit(), 0);
			shadow[0] = i;
		}
		agree();
	}
}

static void no_bytes_need_no_log(void **state)
{
	(void)state;
	rf_tx_begin();
	assert_int_equal(rf_tx_log(live, 0), 0);
	assert_int_equal(RF_SUPER->log_tail, 0);
	rf_tx_abort();
}

static void a_repeated_range_takes_no_more_of_the_log(void **state)
{
	uint64_t tail;

	(void)state;
	rf_tx_begin();
	rf_tx_log(live, 100);
	tail = RF_SUPER->log_tail;
	for (int i = 0; i < 100; i++)
		rf_tx_log(live, 100);
	assert_int_equal(RF_SUPER->log_tail, tail);
	rf_tx_abort();
}

static void an_assignment_is_undone(void **state)
{
	uint64_t *word = (uint64_t *)live;

	(void)state;
	rf_tx_begin();
	RF_SET(word[1], 42);
	assert_int_equal(word[1], 42);
	rf_tx_abort();
	assert_int_equal(word[1], 0);
	agree();
}

/* ---- errors ---- */

static void the_first_error_sticks_and_the_commit_undoes(void **state)
{
	(void)state;
	rf_tx_begin();
	RF_SET(live[3], 1);
	rf_tx_fail(-ENOMEM);
	rf_tx_fail(-ENOSPC);
	RF_SET(live[4], 1);
	assert_int_equal(live[4], 0);
	assert_int_equal(rf_tx_log(live, 8), -ENOMEM);
	assert_int_equal(rf_tx_error(), -ENOMEM);
	assert_int_equal(rf_tx_commit(), -ENOMEM);
	agree();
	rf_tx_begin();
	assert_int_equal(rf_tx_error(), 0);
	RF_SET(live[4], shadow[4] = 1);
	assert_int_equal(rf_tx_commit(), 0);
	agree();
}

static void a_full_log_is_an_error_that_undoes_everything(void **state)
{
	uint8_t *block;
	size_t before;

	(void)state;
	tear_down(NULL);
	assert_int_equal(make_arena(64 * MIB, 40 * MIB), 0);
	block = live;
	memset(block, 1, 40 * MIB);
	before = backed_bytes();
	rf_tx_begin();
	for (size_t i = 0; i < 40; i++) {
		int error = rf_tx_log(block + i * MIB, MIB);

		/* Each MiB takes a word more: the 16th does not fit 16 MiB. */
		assert_int_equal(error, i < 15 ? 0 : -ENOSPC);
		if (error == 0)
			memset(block + i * MIB, 2, MIB);
		rf_tx_write(block + 39 * MIB, "x", 1);
	}
	assert_int_equal(rf_tx_commit(), -ENOSPC);
	for (size_t i = 0; i < 40 * MIB; i++)
		assert_int_equal(block[i], 1);
	assert_int_equal(backed_bytes(), before);
}

static void the_log_holds_exactly_its_limit(void **state)
{
	size_t limit = RF_SUPER->log_max_bytes;

	(void)state;
	tear_down(NULL);
	assert_int_equal(make_arena(64 * MIB, 40 * MIB), 0);
	rf_tx_begin();
	assert_int_equal(rf_tx_log(live, limit - 24), 0);
	assert_int_equal(rf_tx_log(live, 8), 0);
	assert_int_equal(RF_SUPER->log_tail, limit);
	assert_int_equal(rf_tx_log(live + 8, 1), -ENOSPC);
	rf_tx_abort();
}

/* ---- size ---- */

static void the_log_grows_for_a_huge_change_and_shrinks_after_it(void **state)
{
	size_t before;

	(void)state;
	tear_down(NULL);
	/* More than one entry can hold: 64 MiB. */
	assert_int_equal(make_arena(2560 * MIB, 150 * MIB), 0);
	memset(live, 1, 150 * MIB);
	before = backed_bytes();
	for (int commit = 0; commit < 2; commit++) {
		rf_tx_begin();
		assert_int_equal(rf_tx_log(live, 150 * MIB), 0);
		assert_true(backed_bytes() >= before + 149 * MIB);
		memset(live, 2, 150 * MIB);
		if (commit)
			assert_int_equal(rf_tx_commit(), 0);
		else
			rf_tx_abort();
		assert_int_equal(backed_bytes(), before);
		for (size_t i = 0; i < 150 * MIB; i += 4093)
			assert_int_equal(live[i], commit ? 2 : 1);
		assert_int_equal(live[150 * MIB - 1], commit ? 2 : 1);
	}
	tear_down(NULL);
	set_up(NULL);
}

/* ---- broken callers end, and take nothing with them ---- */

static int write_without_begin(void *unused)
{
	(void)unused;
	rf_tx_log(live, 8);
	return 0;
}

static int begin_twice(void *unused)
{
	(void)unused;
	rf_tx_begin();
	rf_tx_begin();
	return 0;
}

static int log_foreign_memory(void *at)
{
	rf_tx_begin();
	rf_tx_log(at, 8);
	return 0;
}

static int log_beyond_the_end(void *unused)
{
	(void)unused;
	rf_tx_begin();
	rf_tx_log((uint8_t *)RF_SUPER + RF_SUPER->segment_bytes - 8, 9);
	return 0;
}

static void misuse_ends_the_process(void **state)
{
	const struct {
		int (*body)(void *);
		void *arg;
	} misuses[] = {
		{write_without_begin, NULL},
		{begin_twice, NULL},
		{log_foreign_memory, shadow},
		{log_foreign_memory, NULL},
		{log_foreign_memory, (uint8_t *)RF_ARENA_BASE - 1},
		{log_beyond_the_end, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof misuses / sizeof *misuses; i++)
		assert_int_equal(
			signal_of(run_child(misuses[i].body, misuses[i].arg)),
			SIGABRT);
	agree();
}

/* ---- deaths ---- */

/* Some transactions that commit, told by *commits, and one that does not. */
static int die_in_a_transaction(void *commits)
{
	unsigned *done = commits;
	unsigned rounds = (unsigned)random_below(3);

	if (rf_lease_take(1000, false) < 0)
		return 1;
	for (unsigned i = 0; i <= rounds; i++) {
		size_t writes = random_below(20);

		rf_tx_begin();
		while (writes-- > 0)
			random_write(LIVE_BYTES);
		if (i == rounds)
			_exit(9);
		if (rf_tx_commit() != 0)
			return 2;
		memcpy(done + 1, live, LIVE_BYTES);
		++*done;
	}
	return 3;
}

static void a_death_in_a_transaction_leaves_the_last_commit(void **state)
{
	unsigned *told = shared_memory(sizeof *told + LIVE_BYTES);

	(void)state;
	for (int i = 0; i < 300; i++) {
		rf_lease_give();
		random_word();
		assert_int_equal(
			exit_of(run_child(die_in_a_transaction, told)), 9);
		assert_int_equal(rf_lease_take(0, false), RF_LEASE_OWNER_DIED);
		memcpy(shadow, told + 1, LIVE_BYTES);
		agree();
	}
	assert_true(*told > 100);
}

/* All words of `live` are equal after each commit. */
static int change_all_words_for_ever(void *unused)
{
	uint64_t *words = (uint64_t *)live;

	(void)unused;
	if (rf_lease_take(1000, false) < 0)
		return 1;
	for (;;) {
		rf_tx_begin();
		for (size_t i = 0; i < LIVE_BYTES / 8; i++)
			RF_SET(words[i], words[i] + 1);
		rf_tx_commit();
	}
}

static void a_kill_at_any_moment_leaves_all_or_nothing(void **state)
{
	const uint64_t *words = (const uint64_t *)live;
	unsigned undone = 0;

	(void)state;
	for (int i = 0; i < 300; i++) {
		pid_t child;

		rf_lease_give();
		child = fork_child(change_all_words_for_ever, NULL);
		nap_us((unsigned)random_below(2000));
		kill(child, SIGKILL);
		wait_child(child);
		undone += RF_SUPER->log_tail != 0;
		assert_true(rf_lease_take(0, false) >= 0);
		assert_int_equal(RF_SUPER->log_tail, 0);
		for (size_t w = 1; w < LIVE_BYTES / 8; w++)
			assert_true(words[w] == words[0]);
	}
	assert_true(undone > 0);
}

/* What a recovery that died left: some bytes put back, others not. */
static void undo_in_part(const uint8_t *dirty)
{
	for (size_t i = 0; i < LIVE_BYTES; i++)
		live[i] = random_below(2) == 0 ? dirty[i] : shadow[i];
}

static void a_recovery_that_dies_is_run_again(void **state)
{
	static uint8_t dirty[LIVE_BYTES];

	(void)state;
	random_fill(shadow, LIVE_BYTES);
	memcpy(live, shadow, LIVE_BYTES);
	for (int i = 0; i < 1000; i++) {
		uint64_t tail;
		size_t writes = random_below(30) + 1;

		rf_tx_begin();
		while (writes-- > 0)
			random_write(LIVE_BYTES);
		tail = RF_SUPER->log_tail;
		memcpy(dirty, live, LIVE_BYTES);
		for (int deaths = 0; tail > 0 && deaths < 3; deaths++) {
			undo_in_part(dirty);
			RF_SUPER->log_tail = tail;
			assert_true(rf_tx_recover() > 0);
			assert_memory_equal(live, shadow, LIVE_BYTES);
		}
		rf_tx_abort();
		agree();
		assert_int_equal(rf_tx_recover(), 0);
	}
}

static int huge_change_then_die(void *unused)
{
	(void)unused;
	if (rf_lease_take(1000, false) < 0)
		return 1;
	rf_tx_begin();
	if (rf_tx_log(live, 12 * MIB) != 0)
		return 2;
	memset(live, 2, 12 * MIB);
	_exit(9);
}

static void a_death_with_a_grown_log_loses_no_memory(void **state)
{
	size_t before;

	(void)state;
	tear_down(NULL);
	assert_int_equal(make_arena(64 * MIB, 12 * MIB), 0);
	memset(live, 1, 12 * MIB);
	before = backed_bytes();
	rf_lease_give();
	assert_int_equal(exit_of(run_child(huge_change_then_die, NULL)), 9);
	assert_int_equal(rf_lease_take(0, false), RF_LEASE_OWNER_DIED);
	for (size_t i = 0; i < 12 * MIB; i++)
		assert_int_equal(live[i], 1);
	/* The next transaction gives it back. */
	rf_tx_begin();
	assert_int_equal(rf_tx_commit(), 0);
	assert_int_equal(backed_bytes(), before);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(any_mix_of_writes_is_all_or_nothing),
		TEST(a_range_saved_in_one_transaction_is_saved_in_the_next),
		TEST(no_bytes_need_no_log),
		TEST(a_repeated_range_takes_no_more_of_the_log),
		TEST(an_assignment_is_undone),
		TEST(the_first_error_sticks_and_the_commit_undoes),
		TEST(a_full_log_is_an_error_that_undoes_everything),
		TEST(the_log_holds_exactly_its_limit),
		TEST(the_log_grows_for_a_huge_change_and_shrinks_after_it),
		TEST(misuse_ends_the_process),
		TEST(a_death_in_a_transaction_leaves_the_last_commit),
		TEST(a_kill_at_any_moment_leaves_all_or_nothing),
		TEST(a_recovery_that_dies_is_run_again),
		TEST(a_death_with_a_grown_log_loses_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
