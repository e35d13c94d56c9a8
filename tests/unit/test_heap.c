/* SPDX-License-Identifier: MIT */
/* test_heap.c -- the heap against a model that knows who owns every 8 bytes.
 *
 * The model is a list of live blocks, each filled with bytes that follow from
 * its number, and a map of owned 8-byte cells. Transactions of random length
 * take, give and end in a commit or an abort; then no two blocks may overlap,
 * every block holds its bytes, the used bytes add up and the walker is content.
 */
#include "scratch_arena.h"
#include "suite.h"
#include <super.h>

#define KIB	   ((size_t)1 << 10)
#define MIB	   ((size_t)1 << 20)
#define ARENA_MAX  (32 * MIB)
#define BLOCKS_MAX 8000

struct block {
	uint8_t *at;
	size_t bytes;
	uint8_t fill;
};

static struct block blocks[BLOCKS_MAX], blocks_before[BLOCKS_MAX];
static size_t count, count_before;
static uint8_t *freed[BLOCKS_MAX]; /* in the open transaction */
static size_t freed_usable[BLOCKS_MAX], freed_count;
static uint8_t owned[ARENA_MAX / 8];
static size_t used;

static int set_up(void **state)
{
	(void)state;
	count = used = freed_count = 0;
	memset(owned, 0, sizeof owned);
	return scratch_arena_create(ARENA_MAX);
}

static int tear_down(void **state)
{
	(void)state;
	scratch_arena_destroy();
	return 0;
}

static size_t heap_off(const void *at)
{
	return (size_t)((const uint8_t *)at - (uint8_t *)RF_ARENA_BASE) -
	       RF_SUPER->heap_off;
}

/* Every cell of the range changes hands. */
static void own(const void *at, size_t usable, uint8_t owner)
{
	uint8_t *cells = owned + heap_off(at) / 8;

	for (size_t i = 0; i < usable / 8; i++)
		if (cells[i] == owner)
			fail_msg("%p: block %s twice", at,
				owner ? "taken" : "given");
	memset(cells, owner, usable / 8);
}

static void assert_filled(const struct block *block)
{
	assert_true(is_filled(block->at, block->bytes, block->fill));
}

/* Mostly small, some of many pages. */
static size_t random_bytes(size_t largest)
{
	static const size_t up_to[] = {64, 256, 1024, 8192, 65536, 1 << 20};
	size_t weight = random_below(32);
	size_t limit = up_to[weight < 8	   ? 0
			     : weight < 18 ? 1
			     : weight < 26 ? 2
			     : weight < 29 ? 3
			     : weight < 31 ? 4
					   : 5];

	return random_below(limit < largest ? limit : largest) + 1;
}

/* False: the arena is full. */
static bool take(size_t bytes)
{
	struct block *block = &blocks[count];
	size_t usable;

	block->at = rf_try_alloc(bytes);
	if (block->at == NULL)
		return false;
	block->bytes = bytes;
	block->fill = (uint8_t)random_word();
	usable = rf_usable(block->at);
	assert_true(usable >= bytes);
	assert_true(usable <= bytes + bytes / 4 + 16 || bytes > 8 * KIB);
	assert_true(usable < bytes + 4 * KIB);
	assert_int_equal((uintptr_t)block->at % (usable % 16 == 0 ? 16 : 8), 0);
	assert_true(heap_off(block->at) + usable <= ARENA_MAX);
	own(block->at, usable, 1);
	used += usable;
	memset(block->at, block->fill, bytes);
	count++;
	return true;
}

static void give(size_t index)
{
	struct block *block = &blocks[index];

	assert_filled(block);
	freed[freed_count] = block->at;
	freed_usable[freed_count] = rf_usable(block->at);
	used -= freed_usable[freed_count++];
	rf_free(block->at);
	*block = blocks[--count];
}

static void begin(void)
{
	rf_tx_begin();
	memcpy(blocks_before, blocks, sizeof blocks);
	count_before = count;
	freed_count = 0;
}

/* Blocks freed stay owned until here: nobody else may have got them. */
static void commit(void)
{
	assert_int_equal(rf_tx_commit(), 0);
	for (size_t i = 0; i < freed_count; i++)
		own(freed[i], freed_usable[i], 0);
	freed_count = 0;
	assert_int_equal(rf_heap_used(), used);
}

static void abort_and_restore(void)
{
	rf_tx_abort();
	memcpy(blocks, blocks_before, sizeof blocks);
	count = count_before;
	freed_count = 0;
	memset(owned, 0, sizeof owned);
	used = 0;
	for (size_t i = 0; i < count; i++) {
		size_t usable = rf_usable(blocks[i].at);

		own(blocks[i].at, usable, 1);
		used += usable;
	}
	assert_int_equal(rf_heap_used(), used);
}

static void agree(void)
{
	assert_int_equal(rf_heap_check(), 0);
	for (size_t i = 0; i < count; i++)
		assert_filled(&blocks[i]);
}

static void random_transaction(size_t rising, size_t largest)
{
	size_t steps = random_below(40);

	begin();
	while (steps-- > 0)
		if (random_below(10) < rising && count < BLOCKS_MAX - 1)
			take(random_bytes(largest));
		else if (count > 0)
			give(random_below(count));
	if (rf_tx_error() == 0 && random_below(3) > 0)
		commit();
	else
		abort_and_restore();
}

static void give_all(void)
{
	begin();
	while (count > 0)
		give(count - 1);
	commit();
}

static void run_model(size_t rounds, size_t largest)
{
	for (size_t round = 0; round < rounds; round++) {
		random_transaction(round / 300 % 2 == 0 ? 8 : 3, largest);
		if (round % 50 == 0)
			agree();
	}
	agree();
	give_all();
	agree();
}

static void small_blocks_agree_with_the_model(void **state)
{
	(void)state;
	run_model(3000, 1024);
}

static void blocks_of_all_sizes_agree_with_the_model(void **state)
{
	(void)state;
	run_model(3000, MIB);
}

/* ---- every freed page can serve any later use ---- */

static void everything_given_back_is_one_run_again(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++) {
		struct rf_heap_stats stats;
		void *all;

		run_model(300, i % 2 == 0 ? 1024 : MIB);
		rf_heap_stats(&stats);
		assert_int_equal(stats.used_bytes, 0);
		/* Each class may keep an empty run: 64 KiB at most. */
		assert_true(stats.free_run_bytes + 32 * 64 * KIB >=
			    stats.size_bytes);
		assert_int_equal(stats.max_bytes, ARENA_MAX);
		/* Unless somebody needs all there is. */
		begin();
		all = rf_try_alloc(ARENA_MAX);
		assert_non_null(all);
		assert_null(rf_try_alloc(1));
		rf_free(all);
		assert_int_equal(rf_tx_commit(), 0);
		rf_heap_stats(&stats);
		assert_int_equal(stats.largest_run_bytes, ARENA_MAX);
		assert_int_equal(rf_heap_check(), 0);
	}
}

static void pages_of_one_size_serve_every_other(void **state)
{
	static const size_t sizes[] = {16, 48, 1024, 8192, 8193, 100000, 24};

	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		size_t taken = 0;
		uint8_t *last = NULL;

		for (bool full = false; !full;) {
			rf_tx_begin();
			for (int n = 0; n < 1000 && !full; n++) {
				uint8_t *at = rf_try_alloc(sizes[i]);

				full = at == NULL;
				if (full)
					break;
				memcpy(at, &last, sizeof last);
				last = at;
				taken += rf_usable(at);
			}
			assert_int_equal(rf_tx_commit(), 0);
		}
		assert_true(taken > ARENA_MAX / 10 * 9);
		assert_int_equal(rf_heap_check(), 0);
		rf_tx_begin();
		while (last != NULL) {
			uint8_t *at = last;

			memcpy(&last, at, sizeof last);
			rf_free(at);
		}
		assert_int_equal(rf_tx_commit(), 0);
		assert_int_equal(rf_heap_used(), 0);
	}
}

static void a_lone_block_keeps_its_run(void **state)
{
	size_t before;
	struct rf_heap_stats stats;

	(void)state;
	rf_tx_begin();
	rf_free(rf_alloc(100));
	assert_int_equal(rf_tx_commit(), 0);
	rf_heap_stats(&stats);
	before = stats.free_run_bytes;
	for (int i = 0; i < 10; i++) {
		rf_tx_begin();
		rf_free(rf_alloc(100));
		assert_int_equal(rf_tx_commit(), 0);
		rf_heap_stats(&stats);
		assert_int_equal(stats.free_run_bytes, before);
	}
}

/* ---- the end of the arena ---- */

static void a_full_arena_is_an_error_that_an_abort_cures(void **state)
{
	void *at;

	(void)state;
	begin();
	while (take(64 * KIB))
		;
	commit();
	rf_tx_begin();
	at = rf_try_alloc(64 * KIB);
	assert_null(at);
	assert_int_equal(rf_tx_error(), 0); /* still usable */
	rf_tx_commit();
	rf_tx_begin();
	at = rf_alloc(64 * KIB);
	assert_null(at);
	assert_int_equal(rf_tx_error(), -ENOMEM);
	assert_null(rf_alloc(1));
	rf_free(blocks[0].at); /* does nothing any more */
	assert_int_equal(rf_tx_commit(), -ENOMEM);
	agree();
	begin();
	give(5);
	commit();
	begin();
	assert_true(take(64 * KIB));
	commit();
	agree();
}

static void a_block_longer_than_any_arena_is_refused(void **state)
{
	(void)state;
	rf_tx_begin();
	assert_null(rf_try_alloc(RF_BLOCK_BYTES_MAX));
	assert_null(rf_try_alloc(RF_BLOCK_BYTES_MAX + 1));
	assert_null(rf_try_alloc(SIZE_MAX));
	assert_int_equal(rf_tx_error(), 0);
	assert_null(rf_alloc(ARENA_MAX + 1));
	assert_int_equal(rf_tx_commit(), -ENOMEM);
	assert_int_equal(rf_heap_check(), 0);
}

/* An empty run that a class keeps stands at the end of the heap: only with it
 * and all the growth behind it is there enough. */
static void reclaimed_pages_and_growth_serve_together(void **state)
{
	struct rf_heap_stats stats;
	size_t most;
	void *small;

	(void)state;
	rf_heap_stats(&stats);
	most = stats.size_bytes - 64 * KIB;
	rf_tx_begin();
	assert_non_null(rf_alloc(most));
	small = rf_alloc(8 * KIB);
	assert_int_equal(heap_off(small), most);
	rf_free(small);
	assert_int_equal(rf_tx_commit(), 0);
	rf_tx_begin();
	assert_non_null(rf_try_alloc(ARENA_MAX - most));
	assert_int_equal(rf_tx_commit(), 0);
	assert_int_equal(rf_heap_check(), 0);
}

/* ---- a transaction decides ---- */

static void memory_is_zeroed_whoever_had_it(void **state)
{
	(void)state;
	for (int i = 0; i < 1000; i++) {
		size_t bytes = random_bytes(MIB);
		uint8_t *at;

		rf_tx_begin();
		at = rf_alloc(bytes);
		assert_true(is_filled(at, bytes, 0));
		memset(at, 0xff, rf_usable(at));
		rf_free(at);
		assert_int_equal(rf_tx_commit(), 0);
	}
}

static void a_freed_block_keeps_its_bytes_until_the_commit(void **state)
{
	uint8_t *at;

	(void)state;
	begin();
	take(1000);
	commit();
	at = blocks[0].at;
	rf_tx_begin();
	rf_free(at);
	for (int i = 0; i < 1000; i++) {
		uint8_t *other = rf_alloc(1000);

		assert_true(other != at);
		memset(other, 0xee, 1000);
	}
	assert_filled(&blocks[0]);
	rf_tx_abort();
	agree();
	assert_int_equal(rf_usable(at), 1024);
}

static void an_aborted_growth_can_be_made_again(void **state)
{
	struct rf_heap_stats before, after;

	(void)state;
	rf_heap_stats(&before);
	for (int i = 0; i < 10; i++) {
		rf_tx_begin();
		assert_non_null(rf_alloc(20 * MIB));
		rf_tx_abort();
		rf_heap_stats(&after);
		assert_memory_equal(&before, &after, sizeof after);
		assert_int_equal(rf_heap_check(), 0);
	}
	begin();
	take(20 * MIB);
	commit();
	agree();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(small_blocks_agree_with_the_model),
		TEST(blocks_of_all_sizes_agree_with_the_model),
		TEST(everything_given_back_is_one_run_again),
		TEST(pages_of_one_size_serve_every_other),
		TEST(a_lone_block_keeps_its_run),
		TEST(a_full_arena_is_an_error_that_an_abort_cures),
		TEST(a_block_longer_than_any_arena_is_refused),
		TEST(reclaimed_pages_and_growth_serve_together),
		TEST(memory_is_zeroed_whoever_had_it),
		TEST(a_freed_block_keeps_its_bytes_until_the_commit),
		TEST(an_aborted_growth_can_be_made_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
