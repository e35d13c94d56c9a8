/* SPDX-License-Identifier: MIT */
/* test_tree_faults.c -- list and ordered index when the undo log or the memory
 * ends, wherever in a transaction that happens.
 *
 * The same transaction is tried under every limit, up to the first that
 * suffices. Until its end the caller need not look whether an error has stuck:
 * whatever is read or changed after it must find something that can be read.
 */
#include "scratch_arena.h"
#include "suite.h"
#include <heap/pages.h>
#include <refork/list.h>
#include <refork/sorted.h>

static struct roots {
	struct rf_list list;
	struct rf_sorted sorted;
} * roots;

static uint32_t page_max;

/* Blocks that take up all there is. */
static void *fill[100000];
static size_t fill_count;

static int set_up(void **state)
{
	(void)state;
	if (scratch_arena_create(256 << 20) != 0)
		return -1;
	rf_tx_begin();
	roots = rf_alloc(sizeof *roots);
	fill_count = 0;
	rf_list_limit(100);
	rf_sorted_limits(8, 64);
	return rf_tx_commit();
}

static int tear_down(void **state)
{
	(void)state;
	scratch_arena_destroy();
	return 0;
}

/* ---- what is done ---- */

static void read_list(void)
{
	struct rf_list_at at;
	struct rf_item item;

	rf_list_seek(&roots->list, rf_list_count(&roots->list) / 2, &at);
	for (int i = 0; i < 5 && rf_list_next(&at, &item); i++)
		;
	for (int i = 0; i < 9 && rf_list_prev(&at, &item); i++)
		;
	rf_list_get(&roots->list, 7, &item);
}

static void push(unsigned from, unsigned count, enum rf_end end)
{
	char text[40];

	for (unsigned i = from; i < from + count; i++) {
		size_t bytes = (size_t)snprintf(
			text, sizeof text, i % 3 ? "element:%u" : "%u", i);

		rf_list_push(&roots->list, end, text, bytes);
	}
	read_list();
}

static void change_list(void)
{
	uint64_t count;
	char text[300] = "long";

	push(1000, 40, RF_HEAD);
	push(1000, 40, RF_TAIL);
	for (uint64_t i = 5; i < rf_list_count(&roots->list); i += 17) {
		rf_list_insert(&roots->list, i, text, i % 2 ? 4 : 250);
		read_list();
	}
	count = rf_list_count(&roots->list);
	rf_list_set(&roots->list, count / 2, text, 90);
	rf_list_remove(&roots->list, 13, count / 2);
	read_list();
	rf_list_remove(&roots->list, 0, 3);
	rf_list_remove(&roots->list, count / 3, UINT64_MAX);
	read_list();
	rf_list_clear_step(&roots->list, 20);
	read_list();
	rf_list_clear_step(&roots->list, 1000);
	read_list();
}

static void read_sorted(void)
{
	struct rf_sorted_at at;
	struct rf_item item;
	uint64_t rank;
	double score;

	rf_sorted_seek_rank(
		&roots->sorted, rf_sorted_count(&roots->sorted) / 2, &at);
	for (int i = 0; i < 40 && rf_sorted_next(&at, &item, &score); i++)
		;
	for (int i = 0; i < 80 && rf_sorted_prev(&at, &item, &score); i++)
		;
	rf_sorted_seek_score(&roots->sorted, 20, true, &at);
	rf_sorted_next(&at, &item, &score);
	rf_sorted_rank(&roots->sorted, "member:7", 8, &rank);
}

/* Of every second one another score. */
static void put(unsigned from, unsigned count, double score)
{
	char text[40];

	for (unsigned i = from; i < from + count; i++)
		rf_sorted_put(&roots->sorted, text,
			(size_t)snprintf(text, sizeof text, "member:%u", i),
			score + i % 7);
	read_sorted();
	for (unsigned i = from; i < from + count; i += 2)
		rf_sorted_put(&roots->sorted, text,
			(size_t)snprintf(text, sizeof text, "member:%u", i),
			score - i);
	read_sorted();
}

static void change_sorted(void)
{
	char text[40];

	put(1000, 100, 3);
	for (unsigned i = 0; i < 100; i += 3) {
		rf_sorted_remove(&roots->sorted, text,
			(size_t)snprintf(text, sizeof text, "member:%u", i));
		read_sorted();
	}
	rf_sorted_remove_ranks(&roots->sorted, 20, 70);
	read_sorted();
	rf_sorted_clear_step(&roots->sorted, 20);
	read_sorted();
	rf_sorted_clear_step(&roots->sorted, 1000);
	read_sorted();
}

/* ---- what ends ---- */

static struct rf_super log_whole; /* its limits */

static void end_log(uint64_t step)
{
	struct rf_super *super = RF_SUPER;

	log_whole.log_max_bytes = super->log_max_bytes;
	log_whole.log_ready_bytes = super->log_ready_bytes;
	log_whole.log_fixed_bytes = super->log_fixed_bytes;
	super->log_max_bytes = super->log_ready_bytes = 64 + step * 56;
	super->log_fixed_bytes = super->log_max_bytes;
}

static void extend_log(void)
{
	struct rf_super *super = RF_SUPER;

	super->log_max_bytes = log_whole.log_max_bytes;
	super->log_ready_bytes = log_whole.log_ready_bytes;
	super->log_fixed_bytes = log_whole.log_fixed_bytes;
}

static void fill_up(void)
{
	page_max = RF_HEAP->page_max;
	RF_HEAP->page_max = RF_HEAP->page_count;
	rf_tx_begin();
	for (size_t bytes = 1 << 16; bytes >= 16; bytes -= bytes / 8) {
		void *block;

		while ((block = rf_try_alloc(bytes)) != NULL)
			fill[fill_count++] = block;
	}
	assert_int_equal(rf_tx_commit(), 0);
}

/* But for a few, of any size. */
static void end_memory(uint64_t step)
{
	fill_up();
	rf_tx_begin();
	for (uint64_t i = 0; i < step * 3 && fill_count > 0; i++) {
		size_t which = random_below(fill_count);

		rf_free(fill[which]);
		fill[which] = fill[--fill_count];
	}
	assert_int_equal(rf_tx_commit(), 0);
}

static void extend_memory(void)
{
	RF_HEAP->page_max = page_max;
}

static const struct end {
	int error;
	void (*make)(uint64_t step);
	void (*unmake)(void);
} of_log = {-ENOSPC, end_log, extend_log},
  of_memory = {-ENOMEM, end_memory, extend_memory};

static void end_anywhere(
	unsigned elements, unsigned members, const struct end *end)
{
	uint64_t step = 0;
	int error = end->error;

	rf_tx_begin();
	push(0, elements, RF_TAIL);
	put(0, members, 5);
	assert_int_equal(rf_tx_commit(), 0);
	for (; error != 0; step++) {
		size_t used;

		end->make(step);
		used = rf_heap_used();
		rf_tx_begin();
		change_list();
		change_sorted();
		error = rf_tx_commit();
		end->unmake();
		if (error == 0)
			break;
		assert_int_equal(error, end->error);
		assert_int_equal(rf_heap_used(), used);
		assert_int_equal(rf_list_count(&roots->list), elements);
		assert_int_equal(rf_sorted_count(&roots->sorted), members);
		assert_int_equal(rf_list_check(&roots->list, "list"), 0);
		assert_int_equal(rf_sorted_check(&roots->sorted, "sorted"), 0);
	}
	assert_true(step > 10);
	assert_int_equal(rf_list_memory(&roots->list), 0);
	assert_int_equal(rf_sorted_memory(&roots->sorted), 0);
	assert_int_equal(rf_heap_check(), 0);
}

static void a_log_that_fills_anywhere_undoes_all_of_few(void **state)
{
	(void)state;
	end_anywhere(5, 7, &of_log);
}

static void a_log_that_fills_anywhere_undoes_all_of_many(void **state)
{
	(void)state;
	end_anywhere(160, 200, &of_log);
}

static void memory_that_ends_anywhere_undoes_all_of_few(void **state)
{
	(void)state;
	end_anywhere(5, 7, &of_memory);
}

static void memory_that_ends_anywhere_undoes_all_of_many(void **state)
{
	(void)state;
	end_anywhere(160, 200, &of_memory);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_log_that_fills_anywhere_undoes_all_of_few),
		TEST(a_log_that_fills_anywhere_undoes_all_of_many),
		TEST(memory_that_ends_anywhere_undoes_all_of_few),
		TEST(memory_that_ends_anywhere_undoes_all_of_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
