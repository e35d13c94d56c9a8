/* SPDX-License-Identifier: MIT */
/* test_heap_shape.c -- blocks that are aligned, made longer or shorter; memory
 * that goes back to the system and comes from there. The model of taking and
 * giving is in test_heap.c. */
#include "scratch_arena.h"
#include "suite.h"
#include <errno.h>
#include <heap/pages.h>
#include <sys/stat.h>

#define KIB	  ((size_t)1 << 10)
#define MIB	  ((size_t)1 << 20)
#define ARENA_MAX (64 * MIB)

static int set_up(void **state)
{
	(void)state;
	return scratch_arena_create(ARENA_MAX);
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

static void undo(void)
{
	rf_tx_abort();
	assert_int_equal(rf_heap_check(), 0);
	rf_tx_begin();
}

static struct rf_heap_stats stats(void)
{
	struct rf_heap_stats now;

	rf_heap_stats(&now);
	return now;
}

static uint8_t *filled(size_t bytes, uint8_t fill)
{
	uint8_t *at = rf_alloc_uninit(bytes);

	assert_non_null(at);
	return memset(at, fill, bytes);
}

/* ---- alignment ---- */

static void blocks_stand_at_multiples_of_what_is_asked(void **state)
{
	static const size_t sizes[] = {
		1, 24, 100, 1000, 5000, 8192, 8193, 100000, 3000000};
	void *blocks[9 * 19];
	size_t count = 0;

	(void)state;
	rf_tx_begin();
	for (size_t alignment = 8; alignment <= RF_ALIGNMENT_MAX;
		alignment *= 2)
		for (size_t i = 0; i < 9; i++) {
			uint8_t *at = rf_alloc_aligned(sizes[i], alignment);

			if (at == NULL) { /* 8 times 3 MB and the gaps */
				undo();
				continue;
			}
			assert_int_equal((uintptr_t)at % alignment, 0);
			assert_true(rf_is_block(at, sizes[i]));
			memset(at, 0xab, sizes[i]);
			if (sizes[i] < MIB)
				blocks[count++] = at;
			else
				rf_free(at);
			commit();
		}
	assert_true(count > 100);
	while (count > 0)
		rf_free(blocks[--count]);
	commit();
	assert_int_equal(rf_heap_used(), 0);
	rf_tx_abort();
}

/* ---- longer and shorter ---- */

static void a_block_is_made_longer_where_it_stands(void **state)
{
	uint8_t *at;

	(void)state;
	rf_tx_begin();
	at = filled(20 * KIB, 7);
	commit();
	for (size_t bytes = 24 * KIB; bytes < 40 * MIB; bytes *= 2) {
		assert_ptr_equal(rf_realloc(at, bytes), at);
		assert_true(rf_usable(at) >= bytes);
		assert_true(is_filled(at, 20 * KIB, 7));
		memset(at + 20 * KIB, 9, bytes - 20 * KIB);
		commit();
		assert_int_equal(rf_heap_used(), rf_usable(at));
	}
	rf_tx_abort();
}

static void a_longer_block_that_is_aborted_is_as_it_was(void **state)
{
	struct rf_heap_stats before;
	uint8_t *at;

	(void)state;
	rf_tx_begin();
	at = filled(20 * KIB, 7);
	commit();
	before = stats();
	assert_ptr_equal(rf_realloc(at, 3 * MIB), at);
	memset(at + 20 * KIB, 9, 3 * MIB - 20 * KIB);
	undo();
	assert_int_equal(rf_usable(at), 20 * KIB);
	assert_true(is_filled(at, 20 * KIB, 7));
	assert_int_equal(stats().free_run_bytes, before.free_run_bytes);
	assert_ptr_equal(rf_realloc(at, 4 * KIB + 1) != NULL, true);
	rf_tx_abort();
}

static void a_shorter_block_gives_its_tail_back_at_the_commit(void **state)
{
	struct rf_heap_stats before, after;
	uint8_t *at, *next;

	(void)state;
	rf_tx_begin();
	at = filled(MIB, 7);
	next = filled(20 * KIB, 8); /* nothing free right behind it */
	commit();
	before = stats();
	assert_ptr_equal(rf_realloc(at, 20 * KIB), at);
	/* Nobody gets the tail before. */
	for (int i = 0; i < 100; i++)
		filled(9 * KIB, 9);
	assert_true(is_filled(at, MIB, 7));
	undo();
	assert_int_equal(rf_usable(at), MIB);
	assert_true(is_filled(at, MIB, 7));
	assert_ptr_equal(rf_realloc(at, 20 * KIB), at);
	commit();
	after = stats();
	assert_int_equal(rf_usable(at), 20 * KIB);
	assert_int_equal(after.used_bytes, before.used_bytes - MIB + 20 * KIB);
	assert_int_equal(
		after.free_run_bytes, before.free_run_bytes + MIB - 20 * KIB);
	assert_true(is_filled(next, 20 * KIB, 8));
	rf_tx_abort();
}

static void a_block_made_shorter_may_be_changed_again(void **state)
{
	uint8_t *at;

	(void)state;
	rf_tx_begin();
	at = filled(MIB, 7);
	commit();
	assert_ptr_equal(rf_realloc(at, 20 * KIB), at);
	assert_ptr_equal(rf_realloc(at, 2 * MIB), at);
	commit();
	assert_int_equal(rf_usable(at), 2 * MIB);
	assert_ptr_equal(rf_realloc(at, 20 * KIB), at);
	rf_free(at);
	commit();
	assert_int_equal(rf_heap_used(), 0);
	rf_tx_abort();
}

static void a_block_that_moves_takes_its_bytes_along(void **state)
{
	uint8_t *at, *other;

	(void)state;
	rf_tx_begin();
	at = filled(100, 7);
	assert_ptr_equal(rf_realloc(at, 110), at); /* of one class */
	other = rf_realloc(at, 2000);
	assert_ptr_not_equal(other, at);
	assert_true(is_filled(other, 100, 7));
	at = rf_realloc(other, 50);
	assert_true(is_filled(at, 50, 7));
	other = rf_realloc(at, 100000);
	assert_true(is_filled(other, 50, 7));
	commit();
	assert_int_equal(rf_heap_used(), rf_usable(other));
	at = rf_realloc(other, 60);
	commit();
	assert_true(is_filled(at, 50, 7));
	other = rf_realloc(at, 9000);
	memset(other, 9, 9000);
	undo();
	assert_true(is_filled(at, 50, 7));
	assert_int_equal(rf_heap_used(), rf_usable(at));
	assert_null(rf_realloc(at, ARENA_MAX));
	assert_int_equal(rf_tx_error(), -ENOMEM);
	undo();
	assert_true(is_filled(at, 50, 7));
	assert_ptr_equal(rf_realloc(NULL, 64) != NULL, true);
	rf_tx_abort();
}

/* ---- classes ---- */

static void classes_add_up_to_what_is_used(void **state)
{
	struct rf_heap_class all[RF_HEAP_CLASSES];
	uint64_t bytes = 0, runs_bytes = 0;

	(void)state;
	rf_tx_begin();
	for (size_t size = 1; size < 20000; size += 37)
		filled(size, 1);
	commit();
	assert_int_equal(rf_heap_classes(NULL, 0), RF_HEAP_CLASSES);
	assert_int_equal(
		rf_heap_classes(all, RF_HEAP_CLASSES), RF_HEAP_CLASSES);
	for (size_t i = 0; i < RF_HEAP_CLASSES; i++) {
		assert_true(all[i].used_blocks <= all[i].blocks);
		runs_bytes += all[i].runs_bytes;
		bytes += all[i].block_bytes != 0
				 ? all[i].used_blocks * all[i].block_bytes
				 : all[i].runs_bytes;
	}
	assert_int_equal(bytes, rf_heap_used());
	assert_int_equal(
		runs_bytes, stats().size_bytes - stats().free_run_bytes);
	assert_int_equal(all[RF_HEAP_CLASSES - 1].block_bytes, 0);
	assert_true(all[RF_HEAP_CLASSES - 1].used_blocks > 300);
	rf_tx_abort();
}

/* ---- back to the system ---- */

static size_t backed(void)
{
	struct stat st;

	assert_int_equal(fstat(scratch_segment.fd, &st), 0);
	return (size_t)st.st_blocks * 512;
}

/* One block of each two stays, of `bytes` each. */
static void *kept[64];
static void make_gaps(size_t bytes)
{
	void *gap[64];

	rf_tx_begin();
	for (size_t i = 0; i < 64 && i * 2 * bytes < 40 * MIB; i++) {
		kept[i] = filled(bytes, (uint8_t)i);
		gap[i] = filled(bytes, 0xee);
	}
	assert_int_equal(rf_tx_commit(), 0);
	rf_tx_begin();
	for (size_t i = 0; i < 64 && i * 2 * bytes < 40 * MIB; i++)
		rf_free(gap[i]);
	assert_int_equal(rf_tx_commit(), 0);
}

static void trim_all(void)
{
	while (rf_heap_trim(ARENA_MAX) > 0)
		assert_int_equal(rf_heap_check(), 0);
}

static void what_is_free_goes_back_and_comes_again(void **state)
{
	size_t full, low;

	(void)state;
	make_gaps(300 * KIB);
	full = backed();
	trim_all();
	low = backed();
	assert_true(stats().returned_bytes > 10 * MIB);
	assert_true(full - low >= stats().returned_bytes - 64 * KIB);
	assert_true(stats().free_run_bytes <= 5 * MIB);
	/* Memory is there before anybody touches it. */
	rf_tx_begin();
	for (int i = 0; i < 30; i++)
		assert_non_null(rf_alloc_uninit(300 * KIB));
	assert_true(backed() >= low + 30 * 300 * KIB - 5 * MIB);
	undo();
	rf_tx_abort();
	rf_tx_begin();
	for (int i = 0; i < 50; i++)
		memset(rf_alloc(300 * KIB), 1, 300 * KIB);
	commit();
	for (int i = 0; i < 64; i++)
		assert_true(is_filled(kept[i], 300 * KIB, (uint8_t)i));
	rf_tx_abort();
}

static void a_budget_bounds_what_one_call_gives_back(void **state)
{
	size_t size;

	(void)state;
	make_gaps(300 * KIB);
	size = stats().size_bytes;
	assert_true(rf_heap_trim(MIB) <= MIB);
	assert_true(stats().size_bytes >= size - MIB);
	assert_int_equal(rf_heap_trim(0), 0);
	assert_int_equal(rf_heap_trim(4 * KIB), 0);
}

static void what_is_used_soon_is_kept(void **state)
{
	(void)state;
	assert_int_equal(rf_heap_trim(ARENA_MAX), 0); /* arena.size */
	rf_tx_begin();
	rf_free(filled(4 * MIB, 1));
	assert_int_equal(rf_tx_commit(), 0);
	trim_all();
	assert_true(stats().free_run_bytes >= 4 * MIB);
}

static void a_hole_at_the_end_shortens_the_heap(void **state)
{
	uint32_t pages;

	(void)state;
	rf_tx_begin();
	rf_free(filled(40 * MIB, 1));
	assert_int_equal(rf_tx_commit(), 0);
	pages = RF_HEAP->page_count;
	trim_all();
	assert_true(RF_HEAP->page_count < pages / 4);
	assert_int_equal(stats().returned_bytes, 0);
	rf_tx_begin();
	assert_non_null(filled(50 * MIB, 1));
	commit();
	rf_tx_abort();
}

static void holes_and_free_runs_side_by_side_serve_one_block(void **state)
{
	void *all;

	(void)state;
	make_gaps(300 * KIB);
	trim_all();
	assert_true(stats().returned_bytes > 0);
	rf_tx_begin();
	for (int i = 0; i < 64; i++)
		rf_free(kept[i]);
	commit();
	assert_true(stats().returned_bytes > 0);
	/* Aborted, they are as before. */
	all = rf_try_alloc(ARENA_MAX);
	assert_non_null(all);
	memset(all, 1, ARENA_MAX);
	undo();
	assert_true(stats().returned_bytes > 0);
	all = rf_try_alloc(ARENA_MAX);
	assert_non_null(all);
	commit();
	assert_int_equal(stats().returned_bytes, 0);
	rf_tx_abort();
}

static void a_block_grows_into_a_hole(void **state)
{
	uint8_t *at;

	(void)state;
	make_gaps(300 * KIB);
	trim_all();
	rf_tx_begin();
	at = kept[10];
	assert_ptr_equal(rf_realloc(at, 400 * KIB), at);
	memset(at + 300 * KIB, 1, 100 * KIB);
	commit();
	rf_tx_abort();
}

/* ---- deaths ---- */

static int trim_for_ever(void *unused)
{
	(void)unused;
	if (rf_lease_take(1000, false) < 0)
		return 1;
	for (;;) {
		void *blocks[16];

		rf_tx_begin();
		for (int i = 0; i < 16; i++)
			blocks[i] = filled(500 * KIB + random_below(MIB), 1);
		if (rf_tx_commit() != 0)
			return 1;
		rf_tx_begin();
		for (int i = 0; i < 16; i++)
			if (random_below(8) > 0)
				rf_free(blocks[i]);
			else
				RF_SET(RF_SUPER->slots[0].root, blocks[i]);
		rf_tx_abort();
		rf_tx_begin();
		for (int i = 0; i < 16; i++)
			rf_free(blocks[i]);
		rf_tx_commit();
		rf_heap_trim(1 + random_below(16 * MIB));
	}
}

static void a_kill_while_memory_goes_back_leaves_a_whole_heap(void **state)
{
	(void)state;
	for (int i = 0; i < 60; i++) {
		pid_t child;

		rf_lease_give();
		child = fork_child(trim_for_ever, NULL);
		nap_us((unsigned)random_below(30000));
		kill_child(child);
		assert_true(rf_lease_take(0, false) >= 0);
		assert_int_equal(rf_heap_check(), 0);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(blocks_stand_at_multiples_of_what_is_asked),
		TEST(a_block_is_made_longer_where_it_stands),
		TEST(a_longer_block_that_is_aborted_is_as_it_was),
		TEST(a_shorter_block_gives_its_tail_back_at_the_commit),
		TEST(a_block_made_shorter_may_be_changed_again),
		TEST(a_block_that_moves_takes_its_bytes_along),
		TEST(classes_add_up_to_what_is_used),
		TEST(what_is_free_goes_back_and_comes_again),
		TEST(a_budget_bounds_what_one_call_gives_back),
		TEST(what_is_used_soon_is_kept),
		TEST(a_hole_at_the_end_shortens_the_heap),
		TEST(holes_and_free_runs_side_by_side_serve_one_block),
		TEST(a_block_grows_into_a_hole),
		TEST(a_kill_while_memory_goes_back_leaves_a_whole_heap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
