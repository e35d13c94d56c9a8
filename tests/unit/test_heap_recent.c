/* SPDX-License-Identifier: MIT */
/* test_heap_recent.c -- the places that a process remembers are hints.
 *
 * What was given back last is handed out first; but not when the block, or its
 * whole run, has become something else since: by another process, an abort, or
 * a run that was given away.
 */
#include "scratch_arena.h"
#include "suite.h"
#include "tight_log.h"
#include <heap/heap_private.h>

#define MANY 2000

static int set_up(void **state)
{
	(void)state;
	return scratch_arena_create((uint64_t)16 << 20);
}

static int tear_down(void **state)
{
	(void)state;
	scratch_arena_destroy();
	return 0;
}

static void commit(void)
{
	assert_int_equal(rf_tx_commit(), 0);
	assert_int_equal(rf_heap_check(), 0);
	rf_tx_begin();
}

static void *blocks[MANY];

static void take(size_t count, size_t bytes)
{
	for (size_t i = 0; i < count; i++)
		assert_non_null(blocks[i] = rf_alloc(bytes));
	commit();
}

static void give(size_t count)
{
	while (count-- > 0)
		rf_free(blocks[count]);
	commit();
}

static void what_was_given_back_last_is_handed_out_first(void **state)
{
	(void)state;
	rf_tx_begin();
	take(200, 40);
	rf_free(blocks[30]);
	rf_free(blocks[150]);
	rf_free(blocks[70]);
	commit();
	assert_ptr_equal(rf_alloc(40), blocks[70]);
	assert_ptr_equal(rf_alloc(40), blocks[150]);
	assert_ptr_equal(rf_alloc(40), blocks[30]);
	commit();
}

static void what_waits_for_the_commit_is_not_handed_out(void **state)
{
	void *other;

	(void)state;
	rf_tx_begin();
	take(10, 40);
	rf_free(blocks[5]);
	other = rf_alloc(40);
	assert_ptr_not_equal(other, blocks[5]);
	rf_tx_abort();
	rf_tx_begin();
	assert_ptr_equal(rf_alloc(40), other);
	commit();
}

/* The child takes what the parent has remembered. */
static void what_another_process_took_is_not_handed_out_again(void **state)
{
	pid_t child;
	int status;

	(void)state;
	rf_tx_begin();
	take(10, 40);
	rf_free(blocks[5]);
	assert_int_equal(rf_tx_commit(), 0);
	child = fork();
	if (child == 0) {
		rf_tx_begin();
		_exit(rf_alloc(40) == blocks[5] && rf_tx_commit() == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	rf_tx_begin();
	assert_ptr_not_equal(rf_alloc(40), blocks[5]);
	commit();
}

/* ---- a commit that fails has remembered what it took back ---- */

static void give_some(void)
{
	for (size_t i = 0; i < 8; i++)
		rf_free(blocks[i * 70]);
}

static void nothing_is_handed_out_twice(void)
{
	rf_tx_begin();
	for (size_t n = 0; n < 20; n++) {
		void *block = rf_alloc(16);

		for (size_t i = 0; i < 8; i++)
			assert_ptr_not_equal(block, blocks[i * 70]);
	}
	assert_int_equal(rf_heap_check(), 0);
	rf_tx_abort();
}

static void frees_of_a_commit_that_failed_are_none(void **state)
{
	(void)state;
	rf_tx_begin();
	take(600, 16);
	assert_int_equal(rf_tx_commit(), 0);
	assert_true(under_every_log_limit(
			    give_some, nothing_is_handed_out_twice) > 8);
}

/* ---- runs that are given away ---- */

static void a_run_that_changed_its_class_is_not_believed(void **state)
{
	(void)state;
	rf_tx_begin();
	take(MANY, 16);
	give(MANY);
	/* One block each, so most places of the new runs are free. */
	for (size_t bytes = 24; bytes <= 512; bytes += 8)
		assert_non_null(rf_alloc(bytes));
	commit();
	take(20, 16);
}

static void a_run_of_other_blocks_is_not_believed(void **state)
{
	(void)state;
	rf_tx_begin();
	for (size_t bytes = 16; bytes <= 512; bytes *= 2) {
		take(MANY, bytes);
		give(MANY);
	}
	for (size_t bytes = 512; bytes >= 16; bytes /= 2)
		take(MANY / 8, bytes);
}

/* A run of its own, which becomes empty, is kept, and must stay empty. */
static void a_spare_run_stays_empty_while_others_have_room(void **state)
{
	uint32_t spare;

	(void)state;
	rf_tx_begin();
	take(rf_class_table.classes[rf_class_of(512)].blocks + 1u,
		512 - RF_ZONE_BYTES);
	give(rf_class_table.classes[rf_class_of(512)].blocks);
	spare = RF_HEAP->spares[rf_class_of(512)];
	assert_int_not_equal(spare, RF_RUN_NONE);
	take(4, 512 - RF_ZONE_BYTES);
	assert_int_equal(RF_HEAP->spares[rf_class_of(512)], spare);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_given_back_last_is_handed_out_first),
		TEST(what_waits_for_the_commit_is_not_handed_out),
		TEST(what_another_process_took_is_not_handed_out_again),
		TEST(frees_of_a_commit_that_failed_are_none),
		TEST(a_run_that_changed_its_class_is_not_believed),
		TEST(a_run_of_other_blocks_is_not_believed),
		TEST(a_spare_run_stays_empty_while_others_have_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
