/* SPDX-License-Identifier: MIT */
/* test_read_after_error.c -- containers that are read after an error has stuck
 * to the transaction: what they say then means nothing, but each walk ends, and
 * in live memory.
 *
 * The memory, or the log, ends at each place in turn; what is done goes on, as
 * the commands of one MULTI would.
 */
#include "tight_log.h"
#include <heap/pages.h>
#include <refork/list.h>
#include <refork/map.h>
#include <refork/set.h>
#include <refork/sorted.h>

#define NAMES 40u

static struct roots {
	struct rf_map map;
	struct rf_set set;
	struct rf_sorted sorted;
	struct rf_list list;
} * roots;

static uint32_t sum; /* of all that is read */

static int set_up(void **state)
{
	(void)state;
	random_state = 1;
	if (scratch_arena_create((uint64_t)4 << 20) != 0)
		return -1;
	rf_tx_begin();
	roots = rf_alloc(sizeof *roots);
	rf_list_limit(100);
	rf_map_limits(NAMES, 64);
	rf_sorted_limits(NAMES, 64);
	rf_set_limit(8);
	return rf_tx_commit();
}

static int tear_down(void **state)
{
	(void)state;
	scratch_arena_destroy();
	return 0;
}

/* ---- reading ---- */

static void touch(const struct rf_item *item)
{
	for (size_t i = 0; i < item->text.bytes; i++)
		sum += (uint8_t)item->text.at[i];
}

static void visit_field(
	const struct rf_item *field, const struct rf_item *value, void *context)
{
	(void)context;
	touch(field);
	touch(value);
}

static void visit_score(
	const struct rf_item *member, double score, void *context)
{
	(void)context;
	(void)score;
	touch(member);
}

static void visit_member(const struct rf_item *member, void *context)
{
	(void)context;
	touch(member);
}

static size_t name_of(unsigned number, char name[24])
{
	return (size_t)snprintf(
		name, 24, number % 3 ? "name:%u" : "%u", number);
}

static void read_map(void)
{
	struct rf_item field, value;
	uint64_t cursor = 0;
	char name[24];

	do
		cursor = rf_map_scan(&roots->map, cursor, visit_field, NULL);
	while (cursor != 0);
	for (unsigned i = 0; i < NAMES; i++)
		if (rf_map_get(&roots->map, name, name_of(i, name), &value))
			touch(&value);
	for (unsigned i = 0; i < 8; i++)
		if (rf_map_random(&roots->map, random_word(), &field, &value))
			visit_field(&field, &value, NULL);
}

static void read_set(void)
{
	struct rf_item member;
	uint64_t cursor = 0;

	do
		cursor = rf_set_scan(&roots->set, cursor, visit_member, NULL);
	while (cursor != 0);
	for (unsigned i = 0; i < 8; i++)
		if (rf_set_random(&roots->set, random_word(), &member))
			touch(&member);
}

static void read_sorted(void)
{
	struct rf_sorted_at at;
	struct rf_item member;
	uint64_t rank, cursor = 0;
	double score;
	char name[24];

	rf_sorted_seek_rank(&roots->sorted, 0, &at);
	while (rf_sorted_next(&at, &member, &score))
		touch(&member);
	while (rf_sorted_prev(&at, &member, &score))
		touch(&member);
	rf_sorted_seek_score(&roots->sorted, 3, true, &at);
	while (rf_sorted_prev(&at, &member, &score))
		touch(&member);
	for (unsigned i = 0; i < NAMES; i++) {
		size_t bytes = name_of(i, name);

		rf_sorted_rank(&roots->sorted, name, bytes, &rank);
		rf_sorted_seek_rank(&roots->sorted, i, &at);
		if (rf_sorted_next(&at, &member, &score))
			touch(&member);
	}
	do
		cursor = rf_sorted_scan(
			&roots->sorted, cursor, visit_score, NULL);
	while (cursor != 0);
}

static void read_list(void)
{
	struct rf_list_at at;
	struct rf_item item;

	rf_list_seek(&roots->list, 0, &at);
	while (rf_list_next(&at, &item))
		touch(&item);
	for (uint64_t i = 0; i < rf_list_count(&roots->list); i++)
		if (rf_list_get(&roots->list, i, &item))
			touch(&item);
	if (rf_list_count(&roots->list) > 0)
		rf_list_seek(
			&roots->list, rf_list_count(&roots->list) - 1, &at);
	while (rf_list_prev(&at, &item))
		touch(&item);
}

static void read_all(void)
{
	read_map();
	read_set();
	read_sorted();
	read_list();
}

/* ---- changing ---- */

static void change(unsigned steps)
{
	static const char text[300] = "some text";

	for (unsigned i = 0; i < steps; i++) {
		char name[24];
		size_t bytes = name_of((unsigned)random_below(NAMES), name);
		size_t most = random_below(16) > 0 ? 20 : sizeof text;

		if (random_below(5) < 3) {
			rf_map_put(&roots->map, name, bytes, text,
				random_below(most));
			rf_set_add(&roots->set, name, bytes);
			rf_sorted_put(&roots->sorted, name, bytes,
				(double)random_below(50) / 4);
			rf_list_push(&roots->list, random_word() & 1, text,
				random_below(most));
		} else {
			rf_map_remove(&roots->map, name, bytes);
			rf_set_remove(&roots->set, name, bytes);
			rf_sorted_remove(&roots->sorted, name, bytes);
			rf_list_remove(&roots->list, random_below(NAMES),
				random_below(3));
		}
	}
}

static uint64_t chance; /* to do the same again */

static void change_and_read(void)
{
	random_state = chance;
	for (unsigned i = 0; i < 3; i++) {
		change(8);
		read_all();
	}
	rf_map_clear_step(&roots->map, 3);
	rf_set_clear_step(&roots->set, 3);
	rf_sorted_clear_step(&roots->sorted, 3);
	rf_list_clear_step(&roots->list, 3);
	read_all();
}

static void check_all(void)
{
	assert_int_equal(rf_map_check(&roots->map, "map"), 0);
	assert_int_equal(rf_set_check(&roots->set, "set"), 0);
	assert_int_equal(rf_sorted_check(&roots->sorted, "sorted"), 0);
	assert_int_equal(rf_list_check(&roots->list, "list"), 0);
}

/* Such a state as `steps` changes make of nothing. */
static void start(unsigned steps)
{
	rf_tx_begin();
	change(steps);
	assert_int_equal(rf_tx_commit(), 0);
	chance = random_state;
}

static void a_log_that_ends_anywhere_leaves_what_can_be_read(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		start(i * 4);
		assert_true(
			under_every_log_limit(change_and_read, check_all) > 50);
	}
}

static void *fill[100000];
static size_t fill_count;

/* Nothing is left but `few` blocks of any size. */
static void end_memory(size_t few)
{
	rf_tx_begin();
	for (size_t bytes = 1 << 16; bytes >= 16; bytes -= bytes / 8) {
		void *block;

		while ((block = rf_try_alloc(bytes)) != NULL)
			fill[fill_count++] = block;
	}
	assert_int_equal(rf_tx_commit(), 0);
	rf_tx_begin();
	for (; few > 0 && fill_count > 0; few--) {
		size_t which = random_below(fill_count);

		rf_free(fill[which]);
		fill[which] = fill[--fill_count];
	}
	assert_int_equal(rf_tx_commit(), 0);
}

static void free_memory(void)
{
	rf_tx_begin();
	while (fill_count > 0)
		rf_free(fill[--fill_count]);
	assert_int_equal(rf_tx_commit(), 0);
}

static void memory_that_ends_anywhere_leaves_what_can_be_read(void **state)
{
	unsigned refused = 0;

	(void)state;
	RF_HEAP->page_max = RF_HEAP->page_count;
	for (unsigned step = 0; step < 600; step++) {
		if (step % 100 == 0)
			start(step / 25);
		end_memory(step % 100 / 2);
		rf_tx_begin();
		change_and_read();
		refused += rf_tx_error() != 0;
		rf_tx_abort();
		check_all();
		free_memory();
		chance += step;
	}
	assert_true(refused > 200);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_log_that_ends_anywhere_leaves_what_can_be_read),
		TEST(memory_that_ends_anywhere_leaves_what_can_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
