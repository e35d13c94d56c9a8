/* SPDX-License-Identifier: MIT */
/* test_history.c -- the ring log against an array that keeps everything. */
#include "tight_log.h"
#include <refork/history.h>

#define EVER	  40000u
#define ENTRY_MAX 60u

static struct entry {
	size_t bytes;
	char at[ENTRY_MAX];
} entries[EVER];

static struct model {
	uint64_t added, first;
	uint32_t keep;
} model, before;

static struct rf_history *history;

static int set_up(void **state)
{
	(void)state;
	if (scratch_arena_create((uint64_t)64 << 20) != 0)
		return -1;
	memset(&model, 0, sizeof model);
	rf_tx_begin();
	history = rf_alloc(sizeof *history);
	return rf_tx_commit();
}

static int tear_down(void **state)
{
	(void)state;
	scratch_arena_destroy();
	return 0;
}

static void add(void)
{
	struct entry *entry = &entries[model.added];

	if (model.added == EVER)
		return;
	entry->bytes = random_below(ENTRY_MAX + 1);
	random_fill(entry->at, entry->bytes);
	rf_history_add(history, entry->at, entry->bytes);
	model.added++;
	if (model.added - model.first > model.keep)
		model.first = model.added - model.keep;
}

static void resize(void)
{
	uint32_t keep = (uint32_t)random_below(random_below(10) ? 50 : 2);

	rf_history_resize(history, keep);
	model.keep = keep;
	if (model.added - model.first > keep)
		model.first = model.added - keep;
}

static void clear(void)
{
	rf_history_clear(history);
	model.first = model.added;
}

static void change(void)
{
	size_t dice = random_below(60);

	if (dice == 0)
		clear();
	else if (dice < 3)
		resize();
	else
		add();
}

static void check_all(void)
{
	uint32_t count = (uint32_t)(model.added - model.first);
	struct rf_bytes entry;

	assert_int_equal(rf_history_check(history, "test"), 0);
	assert_int_equal(history->added, model.added);
	assert_int_equal(rf_history_count(history), count);
	for (uint32_t ago = 0; ago < count; ago++) {
		const struct entry *known = &entries[model.added - 1 - ago];

		assert_true(rf_history_get(history, ago, &entry));
		assert_int_equal(entry.bytes, known->bytes);
		assert_memory_equal(entry.at, known->at, known->bytes);
	}
	assert_false(rf_history_get(history, count, &entry));
	assert_false(rf_history_get(history, UINT32_MAX, &entry));
}

static void play(int rounds)
{
	for (int round = 0; round < rounds; round++) {
		bool aborts = random_below(4) == 0;

		if (aborts)
			before = model;
		rf_tx_begin();
		for (size_t n = random_below(12); n > 0; n--)
			change();
		if (aborts) {
			rf_tx_abort();
			model = before;
		} else {
			assert_int_equal(rf_tx_commit(), 0);
		}
		check_all();
	}
	assert_int_equal(rf_heap_check(), 0);
}

static void a_history_is_what_its_model_is(void **unused)
{
	(void)unused;
	play(6000);
	assert_true(model.added > EVER / 2);
}

static void keeping_nothing_takes_no_memory(void **unused)
{
	size_t used = rf_heap_used();

	(void)unused;
	play(300);
	rf_tx_begin();
	rf_history_resize(history, 0);
	rf_history_add(history, "x", 1);
	assert_int_equal(rf_tx_commit(), 0);
	assert_int_equal(rf_heap_used(), used);
	assert_int_equal(history->added, model.added + 1);
}

static void change_much(void)
{
	for (unsigned i = 0; i < 80; i++) {
		if (i % 20 == 19)
			rf_history_resize(history, 10 + i % 7);
		if (i == 50)
			rf_history_clear(history);
		rf_history_add(history, "an entry", i % 9);
	}
}

static void a_log_that_fills_anywhere_undoes_everything(void **unused)
{
	(void)unused;
	assert_true(under_every_log_limit(change_much, check_all) > 100);
}

static void the_check_sees_damage_and_survives_it(void **unused)
{
	uint64_t *words;
	unsigned found = 0;

	(void)unused;
	rf_tx_begin();
	rf_history_resize(history, 10);
	model.keep = 10;
	for (unsigned i = 0; i < 8; i++)
		add();
	assert_int_equal(rf_tx_commit(), 0);
	words = (uint64_t *)history->ring;
	for (unsigned bit = 0; bit < 12 * 64; bit++) {
		words[bit / 64] ^= UINT64_C(1) << bit % 64;
		found += rf_history_check(history, "damaged") != 0;
		words[bit / 64] ^= UINT64_C(1) << bit % 64;
	}
	/* All pointers; some of the two numbers. */
	assert_in_range(found, 10 * 64, 12 * 64);
	words = (uint64_t *)words[2]; /* an entry */
	for (unsigned bit = 7; bit < 64; bit++) {
		words[0] ^= UINT64_C(1) << bit;
		assert_int_equal(
			rf_history_check(history, "damaged"), -EBADMSG);
		words[0] ^= UINT64_C(1) << bit;
	}
	words = (uint64_t *)&history->ring;
	for (unsigned bit = 0; bit < 64; bit++) {
		*words ^= UINT64_C(1) << bit;
		assert_int_equal(
			rf_history_check(history, "damaged"), -EBADMSG);
		*words ^= UINT64_C(1) << bit;
	}
	check_all();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_history_is_what_its_model_is),
		TEST(keeping_nothing_takes_no_memory),
		TEST(a_log_that_fills_anywhere_undoes_everything),
		TEST(the_check_sees_damage_and_survives_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
