/* SPDX-License-Identifier: MIT */
/* test_set.c -- sets in both forms against a table of what is in. */
#include "tight_log.h"
#include <refork/dict.h>
#include <refork/set.h>

#define MEMBERS 600u

struct model {
	uint64_t count;
	bool there[MEMBERS];
};

static struct model model, before;
static struct rf_set *set;
static unsigned seen[MEMBERS];
static unsigned words_from; /* members from here on are no numbers */

static int set_up(void **state)
{
	(void)state;
	if (scratch_arena_create((uint64_t)64 << 20) != 0)
		return -1;
	memset(&model, 0, sizeof model);
	words_from = MEMBERS;
	rf_set_limit(100);
	rf_tx_begin();
	set = rf_alloc(sizeof *set);
	return rf_tx_commit();
}

static int tear_down(void **state)
{
	(void)state;
	scratch_arena_destroy();
	return 0;
}

/* Numbers of all widths, so that each tells its index. */
static int64_t number_of(unsigned i)
{
	static const int64_t scales[] = {1, 50, 3000000, INT64_MAX / 700};
	int64_t number = (int64_t)i * scales[i / 150];

	return i % 2 ? -number : number;
}

static size_t member_of(unsigned i, char *text)
{
	if (i >= words_from)
		return (size_t)snprintf(text, 40, "member:%u", i);
	return (size_t)snprintf(text, 40, "%lld", (long long)number_of(i));
}

static unsigned index_of(const struct rf_item *item)
{
	char text[40] = "", known[40];

	assert_in_range(item->text.bytes, 1, sizeof text - 1);
	memcpy(text, item->text.at, item->text.bytes);
	for (unsigned i = 0; i < MEMBERS; i++) {
		member_of(i, known);
		if (strcmp(text, known) == 0)
			return i;
	}
	fail_msg("%s is no member", text);
	return 0;
}

static void change(unsigned members, bool grow)
{
	unsigned i = (unsigned)random_below(members);
	struct rf_item any;
	char text[40];
	size_t bytes = member_of(i, text);

	if (random_below(8) < (grow ? 5u : 2u)) {
		model.count += !model.there[i];
		assert_int_equal(rf_set_add(set, text, bytes), !model.there[i]);
		model.there[i] = true;
	} else if (random_below(4) > 0) {
		model.count -= model.there[i];
		assert_int_equal(
			rf_set_remove(set, text, bytes), model.there[i]);
		model.there[i] = false;
	} else if (rf_set_random(set, random_word(), &any)) {
		i = index_of(&any);
		assert_true(model.there[i]);
		assert_true(rf_set_remove(set, any.text.at, any.text.bytes));
		model.there[i] = false;
		model.count--;
	} else {
		assert_int_equal(model.count, 0);
	}
	if (model.count == 0)
		assert_int_equal(set->word, 0);
}

static void visit(const struct rf_item *member, void *context)
{
	seen[index_of(member)]++;
	(void)context;
}

static void check_all(void)
{
	uint64_t cursor = 0;
	char text[40];

	assert_int_equal(rf_set_check(set, "test"), 0);
	assert_int_equal(rf_set_count(set), model.count);
	memset(seen, 0, sizeof seen);
	do
		cursor = rf_set_scan(set, cursor, visit, NULL);
	while (cursor != 0);
	for (unsigned i = 0; i < MEMBERS; i++) {
		assert_int_equal(seen[i], model.there[i]);
		assert_int_equal(rf_set_has(set, text, member_of(i, text)),
			model.there[i]);
	}
}

static void play(int rounds, unsigned members)
{
	for (int round = 0; round < rounds; round++) {
		bool aborts = random_below(4) == 0;

		if (aborts)
			before = model;
		rf_tx_begin();
		for (size_t n = random_below(8); n > 0; n--)
			change(members, round / 300 % 2 == 0);
		if (aborts) {
			rf_tx_abort();
			model = before;
		} else {
			assert_int_equal(rf_tx_commit(), 0);
		}
		if (round % 64 == 0)
			check_all();
	}
	check_all();
	assert_int_equal(rf_heap_check(), 0);
}

static void a_set_of_numbers_is_what_its_model_is(void **unused)
{
	(void)unused;
	rf_set_limit(MEMBERS);
	play(6000, MEMBERS);
	assert_true(rf_set_is_compact(set));
}

static void a_set_with_words_is_what_its_model_is(void **unused)
{
	(void)unused;
	words_from = 300;
	play(6000, MEMBERS);
}

static void a_set_that_grows_and_ends_is_what_its_model_is(void **unused)
{
	(void)unused;
	play(6000, 130);
}

static void visit_in_order(const struct rf_item *member, void *context)
{
	int64_t number, *last = context;
	char text[40] = "";

	memcpy(text, member->text.at, member->text.bytes);
	number = atoll(text);
	assert_true(number > *last);
	*last = number;
}

static void an_array_is_scanned_in_order(void **unused)
{
	int64_t last = INT64_MIN;

	(void)unused;
	play(100, 90);
	assert_int_equal(rf_set_scan(set, 0, visit_in_order, &last), 0);
}

static void what_is_no_number_makes_a_table(void **unused)
{
	static const char *const texts[] = {
		"", "-", "01", "+1", "-0", "9223372036854775808", "1 "};
	static const char *const numbers[] = {
		"0", "-1", "9223372036854775807", "-9223372036854775808"};

	(void)unused;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		rf_tx_begin();
		for (size_t n = 0; n < 4; n++)
			assert_true(rf_set_add(
				set, numbers[n], strlen(numbers[n])));
		assert_true(rf_set_is_compact(set));
		assert_false(rf_set_has(set, texts[i], strlen(texts[i])));
		assert_false(rf_set_remove(set, texts[i], strlen(texts[i])));
		assert_true(rf_set_add(set, texts[i], strlen(texts[i])));
		assert_false(rf_set_is_compact(set));
		for (size_t n = 0; n < 4; n++)
			assert_true(rf_set_has(
				set, numbers[n], strlen(numbers[n])));
		assert_int_equal(rf_set_count(set), 5);
		rf_tx_abort();
	}
}

static void an_array_holds_what_the_limit_says(void **unused)
{
	char text[40];

	(void)unused;
	rf_tx_begin();
	for (unsigned i = 0; i < 100; i++)
		assert_true(rf_set_add(set, text, member_of(i, text)));
	assert_false(rf_set_add(set, text, member_of(5, text)));
	assert_true(rf_set_is_compact(set));
	assert_true(rf_set_memory(set) >= 200);
	assert_true(rf_set_memory(set) <= 600);
	assert_true(rf_set_add(set, text, member_of(100, text)));
	assert_false(rf_set_is_compact(set));
	assert_int_equal(rf_tx_commit(), 0);
}

static void clearing_frees_everything_step_by_step(void **unused)
{
	size_t used = rf_heap_used();
	unsigned steps = 0;
	bool done;

	(void)unused;
	rf_tx_begin();
	for (int i = 0; i < 5000; i++) {
		char text[40];

		rf_set_add(set, text, (size_t)sprintf(text, "%d", i));
	}
	assert_in_range(rf_set_memory(set), (rf_heap_used() - used) * 9 / 10,
		(rf_heap_used() - used) * 11 / 10);
	assert_int_equal(rf_tx_commit(), 0);
	do {
		rf_tx_begin();
		done = rf_set_clear_step(set, 500);
		assert_int_equal(rf_tx_commit(), 0);
		assert_int_equal(rf_set_check(set, "test"), 0);
		steps++;
	} while (!done);
	assert_in_range(steps, 10, 40);
	assert_int_equal(set->word, 0);
	assert_int_equal(rf_heap_used(), used);
}

static void change_much(void)
{
	char text[40];

	for (unsigned i = 0; i < 120 && rf_tx_error() == 0; i++)
		if (i % 3 < 2)
			rf_set_add(set, text, member_of(i * 4, text));
		else
			rf_set_remove(set, text, member_of(i * 2, text));
}

static void a_log_that_fills_anywhere_undoes_everything(void **unused)
{
	(void)unused;
	words_from = 300;
	play(64, 40);
	assert_true(under_every_log_limit(change_much, check_all) > 200);
}

static void the_check_sees_damage_and_survives_it(void **unused)
{
	uint64_t *words;
	unsigned found = 0;
	char text[40];

	(void)unused;
	rf_tx_begin();
	for (unsigned i = 0; i < 300; i += 10)
		rf_set_add(set, text, member_of(i, text));
	assert_int_equal(rf_tx_commit(), 0);
	for (int form = 0; form < 2; form++) {
		words = (uint64_t *)(set->word & ~UINT64_C(1));
		for (unsigned bit = 0; bit < 6 * 64; bit++) {
			words[bit / 64] ^= UINT64_C(1) << bit % 64;
			found += rf_set_check(set, "damaged") != 0;
			words[bit / 64] ^= UINT64_C(1) << bit % 64;
		}
		for (int bit = 0; bit < 64; bit++) {
			set->word ^= UINT64_C(1) << bit;
			assert_int_equal(
				rf_set_check(set, "damaged"), -EBADMSG);
			set->word ^= UINT64_C(1) << bit;
		}
		assert_in_range(found, 150, 6 * 64);
		found = 0;
		rf_tx_begin();
		rf_set_add(set, "word", 4);
		assert_int_equal(rf_tx_commit(), 0);
	}
	assert_int_equal(rf_set_check(set, "test"), 0);
}

static void the_check_sees_numbers_out_of_order(void **unused)
{
	int16_t *numbers;

	(void)unused;
	rf_tx_begin();
	rf_set_add(set, "1", 1);
	rf_set_add(set, "2", 1);
	rf_set_add(set, "4", 1);
	assert_int_equal(rf_tx_commit(), 0);
	numbers = (int16_t *)(set->word + 8);
	assert_int_equal(numbers[1], 2);
	for (int16_t wrong = 0; wrong < 6; wrong++) {
		numbers[1] = wrong;
		assert_int_equal(rf_set_check(set, "damaged"),
			wrong == 2 || wrong == 3 ? 0 : -EBADMSG);
	}
	numbers[1] = 2;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_set_of_numbers_is_what_its_model_is),
		TEST(a_set_with_words_is_what_its_model_is),
		TEST(a_set_that_grows_and_ends_is_what_its_model_is),
		TEST(an_array_is_scanned_in_order),
		TEST(what_is_no_number_makes_a_table),
		TEST(an_array_holds_what_the_limit_says),
		TEST(clearing_frees_everything_step_by_step),
		TEST(a_log_that_fills_anywhere_undoes_everything),
		TEST(the_check_sees_damage_and_survives_it),
		TEST(the_check_sees_numbers_out_of_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
