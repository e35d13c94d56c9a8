/* SPDX-License-Identifier: MIT */
/* test_list.c -- the recoverable list against a naive model.
 *
 * The model is an array of texts. Transactions of random length end in a commit
 * or in an abort, after which list and model must agree again. The root, where
 * the list stands, is a block of the arena.
 */
#include "scratch_arena.h"
#include "suite.h"
#include <refork/list.h>
#include <refork/log.h>

#define ELEMENTS   100000
#define TEXT_BYTES 40000

struct text {
	uint32_t bytes;
	uint32_t seed;
};

static struct rf_list *list;
static const int silent = -1; /* a log level */
static struct text model[ELEMENTS], model_before[ELEMENTS];
static size_t model_count;

/* The text of a seed: a number, or letters. */
static size_t spell(struct text text, char *to)
{
	if (text.bytes == 0)
		return (size_t)sprintf(
			to, "%d", (int)(text.seed % 70000) - 5000);
	for (uint32_t i = 0; i < text.bytes; i++)
		to[i] = (char)('a' + (text.seed + i) % 26);
	return text.bytes;
}

static struct text random_text(size_t longest)
{
	size_t kind = random_below(20);
	size_t bytes = 1 + random_below(20);

	if (kind < 5)
		bytes = 0;
	else if (kind == 5)
		bytes = 1 + random_below(longest);
	return (struct text){(uint32_t)bytes, (uint32_t)random_word()};
}

static void assert_is(const struct rf_item *item, struct text text)
{
	static char expected[TEXT_BYTES];
	size_t bytes = spell(text, expected);

	assert_int_equal(item->text.bytes, bytes);
	assert_memory_equal(item->text.at, expected, bytes);
}

/* ---- each call, in both ---- */

static void insert(size_t index, struct text text)
{
	static char bytes[TEXT_BYTES];
	size_t count = spell(text, bytes);

	if (index == 0 && random_below(2) == 0)
		rf_list_push(list, RF_HEAD, bytes, count);
	else if (index == model_count && random_below(2) == 0)
		rf_list_push(list, RF_TAIL, bytes, count);
	else
		rf_list_insert(list, index, bytes, count);
	memmove(&model[index + 1], &model[index],
		(model_count - index) * sizeof *model);
	model[index] = text;
	model_count++;
}

static void take(size_t index, size_t count)
{
	rf_list_remove(list, index, count);
	if (count > model_count - index)
		count = model_count - index;
	model_count -= count;
	memmove(&model[index], &model[index + count],
		(model_count - index) * sizeof *model);
}

static void set(size_t index, struct text text)
{
	static char bytes[TEXT_BYTES];

	rf_list_set(list, index, bytes, spell(text, bytes));
	model[index] = text;
}

static void agree_on(size_t index)
{
	struct rf_item item;

	assert_int_equal(rf_list_get(list, index, &item), index < model_count);
	if (index < model_count)
		assert_is(&item, model[index]);
}

static void agree(void)
{
	struct rf_list_at at;
	struct rf_item item;

	assert_int_equal(rf_list_check(list, "test"), 0);
	assert_int_equal(rf_list_count(list), model_count);
	rf_list_seek(list, 0, &at);
	for (size_t i = 0; i < model_count; i++) {
		assert_int_equal(at.index, i);
		assert_true(rf_list_next(&at, &item));
		assert_is(&item, model[i]);
	}
	assert_false(rf_list_next(&at, &item));
	rf_list_seek(list, model_count - 1, &at);
	for (size_t i = model_count; i-- > 0;) {
		assert_int_equal(at.index, i);
		assert_true(rf_list_prev(&at, &item));
		assert_is(&item, model[i]);
	}
	assert_false(rf_list_prev(&at, &item));
	for (size_t i = 0; i < 30; i++)
		agree_on(random_below(model_count + 2));
}

static int set_up(void **state)
{
	(void)state;
	if (scratch_arena_create(512 << 20) != 0)
		return -1;
	rf_tx_begin();
	list = rf_alloc(sizeof *list);
	model_count = 0;
	rf_list_limit(8192);
	return rf_tx_commit();
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
}

/* ---- */

static void an_empty_list_has_nothing_and_owns_nothing(void **state)
{
	size_t used = rf_heap_used();
	struct rf_list_at at;
	struct rf_item item;

	(void)state;
	rf_tx_begin();
	rf_list_remove(list, 0, 5);
	assert_false(rf_list_get(list, 0, &item));
	rf_list_seek(list, 0, &at);
	assert_false(rf_list_next(&at, &item));
	assert_false(rf_list_prev(&at, &item));
	assert_true(rf_list_clear_step(list, 1));
	assert_int_equal(rf_list_memory(list), 0);
	assert_true(rf_list_is_compact(list));
	commit();
	assert_int_equal(rf_heap_used(), used);
	assert_int_equal(rf_list_check(list, "test"), 0);
}

/* Growing in even phases, shrinking in odd ones. */
static void random_step(bool grows, size_t longest)
{
	size_t index = random_below(model_count + 1);
	size_t kind = random_below(10);

	if (kind < 3)
		index = kind == 0 ? 0 : model_count;
	else if (kind < 5 && model_count > 100)
		index = model_count / 2 + random_below(3);
	if (random_below(10) < (grows ? 8u : 3u))
		insert(index, random_text(longest));
	else if (random_below(4) == 0 && index < model_count)
		set(index, random_text(longest));
	else if (random_below(8) == 0)
		take(index,
			random_below(grows ? 50 : 1 + model_count / 20 + 50));
	else if (index < model_count)
		take(index, 1);
	else if (index > 0)
		take(index - 1, 1);
}

static void random_transaction(bool grows, size_t longest)
{
	size_t steps = 1 + random_below(100);
	size_t count_before = model_count;

	memcpy(model_before, model, model_count * sizeof *model);
	rf_tx_begin();
	for (size_t i = 0; i < steps; i++)
		random_step(grows, longest);
	if (random_below(3) == 0) {
		rf_tx_abort();
		memcpy(model, model_before, count_before * sizeof *model);
		model_count = count_before;
	} else {
		commit();
	}
}

static void agree_through_aborts(unsigned rounds, size_t longest)
{
	for (unsigned round = 0; round < rounds; round++) {
		random_transaction(round / 200 % 3 != 2, longest);
		if (round % 20 == 0)
			agree();
	}
	agree();
	rf_tx_begin();
	take(0, model_count);
	commit();
	agree();
	assert_int_equal(rf_list_memory(list), 0);
	assert_int_equal(rf_heap_check(), 0);
}

static void it_agrees_with_a_naive_model_through_aborts(void **state)
{
	(void)state;
	agree_through_aborts(1200, 300);
}

static void it_agrees_with_long_elements(void **state)
{
	(void)state;
	agree_through_aborts(400, TEXT_BYTES);
}

/* A deep tree out of few elements. */
static void it_agrees_with_tiny_packs(void **state)
{
	(void)state;
	rf_list_limit(60);
	agree_through_aborts(2000, 40);
}

static void it_agrees_with_packs_of_few_items(void **state)
{
	(void)state;
	rf_list_limit(-3);
	agree_through_aborts(1000, 300);
}

static void it_agrees_when_the_limit_changes_all_the_time(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 40; round++) {
		rf_list_limit(round % 3 == 0 ? -(int64_t)round - 1
					     : (int64_t)random_below(3000) + 1);
		for (unsigned i = 0; i < 20; i++)
			random_transaction(round % 2 == 0, 500);
		agree();
	}
}

static void an_abort_gives_all_memory_back(void **state)
{
	size_t used;

	(void)state;
	rf_tx_begin();
	for (size_t i = 0; i < 3000; i++)
		insert(i, random_text(100));
	commit();
	used = rf_heap_used();
	memcpy(model_before, model, sizeof model);
	rf_tx_begin();
	for (size_t i = 0; i < 3000; i++)
		insert(random_below(model_count), random_text(100));
	take(100, 5000);
	rf_tx_abort();
	memcpy(model, model_before, sizeof model);
	model_count = 3000;
	agree();
	assert_int_equal(rf_heap_used(), used);
}

static void a_queue_of_any_age_stays_small(void **state)
{
	size_t most = 0;

	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		rf_tx_begin();
		insert(model_count, (struct text){12, i});
		if (model_count > 2000)
			take(0, 1);
		commit();
		if (rf_list_memory(list) > most)
			most = rf_list_memory(list);
	}
	agree();
	/* 2000 of 14 bytes in their packs, two of those partly empty. */
	assert_in_range(most, 28000, 48000);
}

static void the_memory_it_tells_is_that_of_the_heap(void **state)
{
	size_t before = rf_heap_used();

	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		random_transaction(i < 200, 300);
		assert_int_equal(rf_heap_used() - before, rf_list_memory(list));
	}
}

static void it_is_one_pack_again_when_it_has_become_small(void **state)
{
	(void)state;
	rf_tx_begin();
	while (rf_list_is_compact(list))
		insert(model_count, (struct text){20, 1});
	commit();
	assert_in_range(model_count, 330, 380);
	/* Not at once. */
	rf_tx_begin();
	take(0, 2);
	assert_false(rf_list_is_compact(list));
	while (!rf_list_is_compact(list))
		take(random_below(2) * (model_count - 1), 1);
	commit();
	assert_in_range(model_count, 100, 300);
	agree();
}

static void clearing_in_steps_keeps_a_valid_list_at_each(void **state)
{
	size_t used = rf_heap_used();
	unsigned steps = 0;
	bool done = false;

	(void)state;
	rf_tx_begin();
	for (size_t i = 0; i < ELEMENTS; i++)
		insert(i, (struct text){8, 1});
	commit();
	while (!done) {
		rf_tx_begin();
		done = rf_list_clear_step(list, 1000);
		commit();
		model_count = rf_list_count(list);
		if (steps++ % 10 == 0)
			agree();
	}
	/* A step ends with the pack that it has begun. */
	assert_in_range(steps, ELEMENTS / 2000, ELEMENTS / 1000);
	assert_int_equal(rf_heap_used(), used);
}

/* ---- what the walker says ---- */

static uint64_t *words_of(uint64_t *word)
{
	return (uint64_t *)(*word & ~UINT64_C(15));
}

static void assert_found(uint64_t *at, uint64_t bad)
{
	uint64_t good = *at;

	*at = bad;
	assert_int_equal(rf_list_check(list, "planted"), -EBADMSG);
	*at = good;
}

static void the_walker_reports_each_planted_fault(void **state)
{
	uint64_t *big, *root, *leaf;

	(void)state;
	rf_list_limit(200);
	rf_tx_begin();
	for (size_t i = 0; i < 3000; i++)
		insert(i, random_text(20));
	commit();
	big = words_of(&list->word);
	root = words_of(big);
	leaf = words_of(root + 1);
	assert_found(&list->word, list->word + 16);
	assert_found(&list->word, list->word - 1); /* as one pack */
	for (unsigned i = 0; i < 4; i++) {
		assert_found(&big[i], big[i] + 1);
		assert_found(&big[i], big[i] - 1);
		assert_found(&big[i], 0);
	}
	for (unsigned i = 0; i < 7; i++) {
		assert_found(&root[i], root[i] + 1);
		assert_found(&root[i], root[i] ^ UINT64_C(1) << 40);
		assert_found(&leaf[i], leaf[i] + 1);
		assert_found(&leaf[i], leaf[i] ^ UINT64_C(1) << 40);
	}
	agree();
}

/* Any one bit of the tree. A pointer may happen to lead to a pack just like
 * the right one. */
static void the_walker_survives_any_flipped_bit(void **state)
{
	uint64_t *big, *root, *at[3];
	unsigned found = 0, rounds = 20000;

	(void)state;
	rf_log_follow_level(&silent);
	rf_list_limit(100);
	rf_tx_begin();
	for (size_t i = 0; i < 500; i++)
		insert(i, random_text(20));
	commit();
	big = words_of(&list->word);
	root = words_of(big);
	at[0] = big;
	at[1] = root;
	at[2] = words_of(root + 1);
	for (unsigned i = 0; i < rounds; i++) {
		size_t which = random_below(3);
		uint64_t *word = &at[which][random_below(which == 0 ? 4 : 5)];
		uint64_t good = *word;

		*word ^= UINT64_C(1) << random_below(64);
		found += rf_list_check(list, "planted") != 0;
		*word = good;
	}
	rf_log_set_level(RF_LOG_INFO);
	assert_in_range(found, rounds / 100 * 99, rounds);
	agree();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_empty_list_has_nothing_and_owns_nothing),
		TEST(it_agrees_with_a_naive_model_through_aborts),
		TEST(it_agrees_with_long_elements),
		TEST(it_agrees_with_tiny_packs),
		TEST(it_agrees_with_packs_of_few_items),
		TEST(it_agrees_when_the_limit_changes_all_the_time),
		TEST(an_abort_gives_all_memory_back),
		TEST(a_queue_of_any_age_stays_small),
		TEST(the_memory_it_tells_is_that_of_the_heap),
		TEST(it_is_one_pack_again_when_it_has_become_small),
		TEST(clearing_in_steps_keeps_a_valid_list_at_each),
		TEST(the_walker_reports_each_planted_fault),
		TEST(the_walker_survives_any_flipped_bit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
