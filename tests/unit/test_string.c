/* SPDX-License-Identifier: MIT */
/* test_string.c -- strings against an array of bytes. */
#include "tight_log.h"
#include <refork/string.h>

#define MODEL_MAX 200000

static struct {
	size_t bytes;
	uint32_t user;
	char at[MODEL_MAX];
} model, before;

static struct rf_string **root;

static int set_up(void **state)
{
	(void)state;
	if (scratch_arena_create((uint64_t)256 << 20) != 0)
		return -1;
	memset(&model, 0, sizeof model);
	rf_tx_begin();
	root = rf_alloc(sizeof *root);
	RF_SET(*root, rf_string_set(NULL, "", 0));
	return rf_tx_commit();
}

static int tear_down(void **state)
{
	(void)state;
	scratch_arena_destroy();
	return 0;
}

static void keep(struct rf_string *string)
{
	assert_non_null(string);
	if (string != *root)
		RF_SET(*root, string);
}

static void set(size_t most)
{
	model.bytes = random_below(most);
	random_fill(model.at, model.bytes);
	keep(rf_string_set(*root, model.at, model.bytes));
}

static void write_at(size_t most)
{
	static char from[MODEL_MAX];
	size_t off = random_below(model.bytes + 20);
	size_t bytes = random_below(most / 4);

	if (random_below(2))
		off = model.bytes;
	if (off + bytes > MODEL_MAX)
		return;
	random_fill(from, bytes);
	if (off > model.bytes)
		memset(model.at + model.bytes, 0, off - model.bytes);
	memcpy(model.at + off, from, bytes);
	if (off + bytes > model.bytes)
		model.bytes = off + bytes;
	keep(rf_string_write(*root, off, from, bytes));
}

static void cut(void)
{
	size_t bytes = random_below(model.bytes + 5);

	keep(rf_string_cut(*root, bytes));
	if (bytes < model.bytes)
		model.bytes = bytes;
}

static void change(size_t most)
{
	switch (random_below(8)) {
	case 0:
	case 1:
		set(most);
		break;
	case 2:
		cut();
		break;
	case 3:
		model.user = (uint32_t)random_word();
		RF_SET((*root)->user, model.user);
		break;
	default:
		write_at(most);
	}
}

static void check_all(void)
{
	assert_int_equal(rf_string_check(*root, "test"), 0);
	assert_int_equal((*root)->bytes, model.bytes);
	assert_int_equal((*root)->user, model.user);
	assert_memory_equal((*root)->text, model.at, model.bytes);
	assert_true(rf_string_room(*root) >= model.bytes);
	assert_true(rf_string_room(*root) + 8 <= rf_usable(*root));
}

static void play(int rounds, size_t most)
{
	size_t used = rf_heap_used() - rf_usable(*root);

	for (int round = 0; round < rounds; round++) {
		bool aborts = random_below(4) == 0;

		if (aborts)
			before = model;
		rf_tx_begin();
		for (size_t n = random_below(6); n > 0; n--)
			change(most);
		if (aborts) {
			rf_tx_abort();
			model = before;
		} else {
			assert_int_equal(rf_tx_commit(), 0);
		}
		check_all();
	}
	assert_int_equal(rf_heap_used() - rf_usable(*root), used);
	assert_int_equal(rf_heap_check(), 0);
}

static void a_short_string_is_what_its_model_is(void **unused)
{
	(void)unused;
	play(10000, 100);
}

static void a_string_of_some_pages_is_what_its_model_is(void **unused)
{
	(void)unused;
	play(3000, 20000);
}

static void a_long_string_is_what_its_model_is(void **unused)
{
	(void)unused;
	play(1000, MODEL_MAX);
}

static void appending_takes_few_blocks(void **unused)
{
	unsigned moved = 0;

	(void)unused;
	for (unsigned i = 0; i < 300000; i++) {
		struct rf_string *old = *root;

		rf_tx_begin();
		keep(rf_string_write(old, old->bytes, "0123456789", 10));
		moved += *root != old;
		assert_int_equal(rf_tx_commit(), 0);
	}
	assert_in_range(moved, 5, 50);
	assert_true(rf_usable(*root) < (size_t)(*root)->bytes * 2);
}

static void a_write_logs_no_more_than_it_changes(void **unused)
{
	(void)unused;
	rf_tx_begin();
	keep(rf_string_write(*root, 99999, "x", 1));
	assert_int_equal(rf_tx_commit(), 0);
	rf_tx_begin();
	keep(rf_string_write(*root, 50000, "y", 1));
	assert_true(RF_SUPER->log_tail <= 64);
	keep(rf_string_write(*root, 100000, "z", 1)); /* a new block */
	assert_true(RF_SUPER->log_tail <= 512);
	keep(rf_string_write(*root, 100001, "z", 1));
	assert_int_equal(rf_tx_commit(), 0);
	rf_tx_begin();
	keep(rf_string_write(*root, 100002, "z", 1));
	assert_true(RF_SUPER->log_tail <= 64);
	assert_int_equal(rf_tx_commit(), 0);
}

static void what_is_too_long_is_refused(void **unused)
{
	size_t most = RF_STRING_BYTES_MAX;

	(void)unused;
	play(10, 100);
	for (int way = 0; way < 4; way++) {
		rf_tx_begin();
		if (way == 0)
			assert_null(rf_string_set(*root, "", most + 1));
		else if (way == 1)
			assert_null(rf_string_write(*root, most, "x", 1));
		else if (way == 2)
			assert_null(rf_string_write(*root, SIZE_MAX, "x", 1));
		else
			assert_null(rf_string_write(*root, 1, "x", SIZE_MAX));
		assert_int_equal(rf_tx_commit(), -EMSGSIZE);
		check_all();
	}
	rf_tx_begin();
	assert_null(rf_string_write(*root, most - 1, "x", 1)); /* no memory */
	assert_int_equal(rf_tx_commit(), -ENOMEM);
	check_all();
}

static void change_much(void)
{
	char text[1000];

	for (unsigned i = 0; i < 60 && rf_tx_error() == 0; i++) {
		size_t bytes = random_below(sizeof text);
		struct rf_string *to;

		random_fill(text, bytes);
		if (i % 4 == 0)
			to = rf_string_set(*root, text, bytes);
		else if (i % 4 == 1)
			to = rf_string_cut(*root, bytes);
		else
			to = rf_string_write(*root, bytes, text, bytes / 3);
		if (to != NULL && to != *root)
			RF_SET(*root, to);
	}
}

static void a_log_that_fills_anywhere_undoes_everything(void **unused)
{
	(void)unused;
	play(10, 1000);
	assert_true(under_every_log_limit(change_much, check_all) > 200);
}

static void the_check_sees_damage_and_survives_it(void **unused)
{
	struct rf_string *good;

	(void)unused;
	rf_tx_begin();
	keep(rf_string_set(*root, "0123456789012345678901", 22));
	assert_int_equal(rf_tx_commit(), 0);
	good = *root;
	for (int bit = 5; bit < 32; bit++) {
		good->bytes ^= 1u << bit;
		assert_int_equal(rf_string_check(good, "damaged"), -EBADMSG);
		good->bytes ^= 1u << bit;
	}
	for (int bit = 0; bit < 64; bit++) {
		struct rf_string *wild =
			(struct rf_string *)((uint64_t)good ^ UINT64_C(1)
								      << bit);

		if (!rf_is_block(wild, 8))
			assert_int_equal(
				rf_string_check(wild, "wild"), -EBADMSG);
	}
	assert_int_equal(rf_string_check(good, "test"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_short_string_is_what_its_model_is),
		TEST(a_string_of_some_pages_is_what_its_model_is),
		TEST(a_long_string_is_what_its_model_is),
		TEST(appending_takes_few_blocks),
		TEST(a_write_logs_no_more_than_it_changes),
		TEST(what_is_too_long_is_refused),
		TEST(a_log_that_fills_anywhere_undoes_everything),
		TEST(the_check_sees_damage_and_survives_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
