/* SPDX-License-Identifier: MIT */
/* test_heap_debug.c -- the heap of a debug build finds who misuses a block.
 *
 * The heap's files are built in here with their red zones and poison; the rest
 * of librefork is as always.
 */
#define RF_HEAP_DEBUG 1
/* clang-format off */
#include "common/heap/heap.c"
#include "common/heap/heap_class.c"
#include "common/heap/heap_free.c"
#include "common/heap/heap_large.c"
#include "common/heap/heap_check.c"
#include "common/heap/heap_paint.c"
/* clang-format on */
#include "scratch_arena.h"
#include "suite.h"

#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN true
#else
#define WITH_ASAN false
#endif

static int set_up(void **state)
{
	(void)state;
	return scratch_arena_create((uint64_t)64 << 20);
}

static int tear_down(void **state)
{
	(void)state;
	scratch_arena_destroy();
	return 0;
}

static uint8_t *small, *large;

static void make_blocks(void)
{
	tear_down(NULL);
	assert_int_equal(set_up(NULL), 0);
	rf_tx_begin();
	for (int i = 0; i < 10; i++)
		small = memset(rf_alloc(100), i, 100);
	large = memset(rf_alloc(20000), 7, 20000);
	assert_int_equal(rf_tx_commit(), 0);
	assert_int_equal(rf_heap_check(), 0);
}

static void free_it(void *block)
{
	rf_tx_begin();
	rf_free(block);
	rf_tx_commit();
}

static int beyond_small(void *unused)
{
	(void)unused;
	small[100] = 1;
	free_it(small);
	return 0;
}

static int beyond_large(void *unused)
{
	(void)unused;
	large[20000] = 1;
	free_it(large);
	return 0;
}

/* The block there learns of it. */
static int before_small(void *unused)
{
	(void)unused;
	small[-1] = 1;
	free_it(small - 112);
	return 0;
}

static int write_after_free(void *unused)
{
	(void)unused;
	free_it(small);
	small[50] = 1;
	rf_tx_begin();
	for (int i = 0; i < 300; i++)
		rf_alloc(100);
	rf_tx_commit();
	return 0;
}

static int read_after_free(void *unused)
{
	(void)unused;
	free_it(small);
	return ((volatile uint8_t *)small)[50] == POISON ? 0 : 1;
}

static void misuse_of_a_block_ends_the_process(void **state)
{
	static const struct {
		const char *what;
		int (*body)(void *);
	} misuses[] = {
		{"beyond small", beyond_small},
		{"beyond large", beyond_large},
		{"before small", before_small},
		{"write after free", write_after_free},
	};

	(void)state;
	for (size_t i = 0; i < sizeof misuses / sizeof *misuses; i++) {
		int status;

		make_blocks();
		status = run_child(misuses[i].body, NULL);
		/* The sanitizer is faster, and exits. */
		if (WITH_ASAN ? status == 0 : signal_of(status) != SIGABRT)
			fail_msg("%s: status %#x", misuses[i].what, status);
		rf_tx_recover();
	}
	make_blocks();
	assert_int_equal(run_child(read_after_free, NULL) == 0, !WITH_ASAN);
}

static void the_walker_finds_a_broken_red_zone(void **state)
{
	(void)state;
	if (WITH_ASAN)
		skip(); /* the zone is closed to this test, too */
	make_blocks();
	small[103] ^= 1;
	assert_int_equal(rf_heap_check(), -EBADMSG);
	small[103] ^= 1;
	assert_int_equal(rf_heap_check(), 0);
	large[20479] ^= 1;
	assert_int_equal(rf_heap_check(), -EBADMSG);
	large[20479] ^= 1;
}

static void what_was_asked_for_is_all_there_is(void **state)
{
	(void)state;
	make_blocks();
	assert_int_equal(rf_usable(small), 100);
	assert_int_equal(rf_usable(large), 20000);
	assert_true(rf_is_block(small, 100));
	assert_false(rf_is_block(small, 101));
	rf_tx_begin();
	small = rf_realloc(small, 90);
	assert_int_equal(rf_usable(small), 90);
	assert_int_equal(rf_tx_commit(), 0);
}

/* ---- no false alarms ---- */

#define LIVE 400
static uint8_t **live;
static size_t *lengths;

static void random_transaction(void)
{
	size_t steps = random_below(30);

	rf_tx_begin();
	while (steps-- > 0) {
		size_t i = random_below(LIVE);
		size_t bytes = random_below(8) > 0 ? random_below(1500) + 1
						   : random_below(30000) + 1;

		rf_free(live[i]);
		RF_SET(live[i], rf_alloc_uninit(bytes));
		RF_SET(lengths[i], bytes);
		memset(live[i], 1, bytes);
	}
	if (random_below(3) > 0)
		assert_int_equal(rf_tx_commit(), 0);
	else
		rf_tx_abort();
}

static int transact_for_ever(void *unused)
{
	(void)unused;
	if (rf_lease_take(1000, false) < 0)
		return 1;
	for (;;)
		random_transaction();
}

static void sound_use_is_never_reported_whoever_dies(void **state)
{
	(void)state;
	make_blocks();
	rf_tx_begin();
	live = rf_alloc(LIVE * sizeof *live);
	lengths = rf_alloc(LIVE * sizeof *lengths);
	assert_int_equal(rf_tx_commit(), 0);
	for (int i = 0; i < 60; i++) {
		pid_t child;

		rf_lease_give();
		child = fork_child(transact_for_ever, NULL);
		nap_us((unsigned)random_below(10000));
		kill_child(child);
		painter = 0; /* as a new process */
		rf_paint_lift();
		assert_true(rf_lease_take(0, false) >= 0);
		rf_paint_anew();
		assert_int_equal(rf_heap_check(), 0);
		for (int n = 0; n < 50; n++)
			random_transaction();
		for (size_t n = 0; n < LIVE; n++)
			assert_true(live[n] == NULL ||
				    is_filled(live[n], lengths[n], 1));
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(misuse_of_a_block_ends_the_process),
		TEST(the_walker_finds_a_broken_red_zone),
		TEST(what_was_asked_for_is_all_there_is),
		TEST(sound_use_is_never_reported_whoever_dies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
