/* SPDX-License-Identifier: MIT */
/* test_sorted.c -- the recoverable ordered index against a naive model.
 *
 * The model knows the score of MEMBERS members, or that one is absent; its
 * order is sorted anew whenever the two are compared. Transactions of random
 * length end in a commit or in an abort.
 */
#include "scratch_arena.h"
#include "suite.h"
#include <math.h>
#include <refork/sorted.h>

#define MEMBERS	   20000
#define NAME_BYTES 128

static struct rf_sorted *sorted;
static double model[MEMBERS], model_before[MEMBERS]; /* NAN: absent */
static size_t model_count;
static unsigned order[MEMBERS]; /* see sort_model() */

static char names[MEMBERS][NAME_BYTES];
static uint32_t name_bytes[MEMBERS];

/* Numbers, texts, texts with the same start, one that is empty. */
static void make_names(void)
{
	for (unsigned i = 1; i < MEMBERS; i++)
		name_bytes[i] = (uint32_t)snprintf(names[i], NAME_BYTES,
			i % 3 == 0 ? "%u" : "m:%u%.*s", i,
			i % 3 == 1 ? 0 : (int)(i % 50),
			"--------------------------------------------------");
}

/* Whole, short, long, huge, without end; often the same. */
static double random_score(void)
{
	static const double few[] = {0, 1, -1, 0.5, 1e300, -1e-300, 3.14,
		123456789012345678.0, 0.1 + 0.2};
	uint64_t word = random_word();

	switch (word >> 60) {
	case 0:
		return INFINITY;
	case 1:
		return -INFINITY;
	case 2:
	case 3:
		return few[word % 9];
	case 4:
		return (double)(int64_t)(word << 4);
	case 5:
		return (double)(word % 1000000) / 100;
	case 6:
		return (double)(word % 1000003) / 7;
	default:
		return (double)(int)(word % 200) - 100;
	}
}

/* ---- each call, in both ---- */

static void put(unsigned i, double score)
{
	bool created = rf_sorted_put(sorted, names[i], name_bytes[i], score);

	assert_int_equal(created, isnan(model[i]));
	model_count += created;
	model[i] = score;
}

static void take(unsigned i)
{
	bool removed = rf_sorted_remove(sorted, names[i], name_bytes[i]);

	assert_int_equal(removed, !isnan(model[i]));
	model_count -= removed;
	model[i] = NAN;
}

static int by_name(unsigned a, unsigned b)
{
	uint32_t both =
		name_bytes[a] < name_bytes[b] ? name_bytes[a] : name_bytes[b];
	int found = memcmp(names[a], names[b], both);

	return found != 0 ? found : (int)name_bytes[a] - (int)name_bytes[b];
}

static int by_score(const void *left, const void *right)
{
	unsigned a = *(const unsigned *)left, b = *(const unsigned *)right;

	if (model[a] != model[b])
		return model[a] < model[b] ? -1 : 1;
	return by_name(a, b);
}

static void sort_model(void)
{
	size_t count = 0;

	for (unsigned i = 0; i < MEMBERS; i++)
		if (!isnan(model[i]))
			order[count++] = i;
	assert_int_equal(count, model_count);
	qsort(order, count, sizeof *order, by_score);
}

static void take_ranks(size_t rank, size_t count)
{
	sort_model();
	rf_sorted_remove_ranks(sorted, rank, count);
	for (size_t i = rank; i < rank + count && i < model_count; i++)
		model[order[i]] = NAN;
	if (rank < model_count)
		model_count -=
			count < model_count - rank ? count : model_count - rank;
}

/* ---- agreement ---- */

static void assert_is(const struct rf_item *item, double score, unsigned i)
{
	assert_int_equal(item->text.bytes, name_bytes[i]);
	assert_memory_equal(item->text.at, names[i], name_bytes[i]);
	assert_memory_equal(&score, &model[i], sizeof score);
}

static void agree_in_order(void)
{
	struct rf_sorted_at at;
	struct rf_item item;
	double score;

	rf_sorted_seek_rank(sorted, 0, &at);
	assert_false(rf_sorted_prev(&at, &item, &score));
	for (size_t i = 0; i < model_count; i++) {
		assert_int_equal(at.rank, i);
		assert_true(rf_sorted_next(&at, &item, &score));
		assert_is(&item, score, order[i]);
	}
	assert_false(rf_sorted_next(&at, &item, &score));
	for (size_t i = model_count; i-- > 0;) {
		assert_true(rf_sorted_prev(&at, &item, &score));
		assert_int_equal(at.rank, i);
		assert_is(&item, score, order[i]);
	}
	assert_false(rf_sorted_prev(&at, &item, &score));
	rf_sorted_seek_rank(sorted, model_count + 1, &at);
	assert_false(rf_sorted_next(&at, &item, &score));
	assert_int_equal(rf_sorted_prev(&at, &item, &score), model_count > 0);
}

static void agree_on(unsigned i)
{
	uint64_t rank;
	double score;

	assert_int_equal(
		rf_sorted_score(sorted, names[i], name_bytes[i], &score),
		!isnan(model[i]));
	assert_int_equal(rf_sorted_rank(sorted, names[i], name_bytes[i], &rank),
		!isnan(model[i]));
	if (isnan(model[i]))
		return;
	assert_memory_equal(&score, &model[i], sizeof score);
	assert_in_range(rank, 0, model_count - 1);
	assert_int_equal(order[rank], i);
}

static void agree_from(double score, bool beyond)
{
	struct rf_sorted_at at;
	struct rf_item item;
	size_t rank = 0;
	double found;

	while (rank < model_count &&
		(model[order[rank]] < score ||
			(beyond && model[order[rank]] == score)))
		rank++;
	rf_sorted_seek_score(sorted, score, beyond, &at);
	assert_int_equal(at.rank, rank);
	if (random_below(2) == 0) {
		assert_int_equal(
			rf_sorted_next(&at, &item, &found), rank < model_count);
		if (rank < model_count)
			assert_is(&item, found, order[rank]);
	} else {
		assert_int_equal(rf_sorted_prev(&at, &item, &found), rank > 0);
		if (rank > 0)
			assert_is(&item, found, order[rank - 1]);
	}
}

static void agree(void)
{
	assert_int_equal(rf_sorted_check(sorted, "test"), 0);
	assert_int_equal(rf_sorted_count(sorted), model_count);
	sort_model();
	agree_in_order();
	for (unsigned i = 0; i < 200; i++)
		agree_on((unsigned)random_below(MEMBERS));
	for (unsigned i = 0; i < 40 && i < model_count; i++) {
		agree_on(order[random_below(model_count)]);
		agree_from(random_score(), i % 2);
	}
}

static int set_up(void **state)
{
	(void)state;
	make_names();
	if (scratch_arena_create(256 << 20) != 0)
		return -1;
	rf_tx_begin();
	sorted = rf_alloc(sizeof *sorted);
	for (unsigned i = 0; i < MEMBERS; i++)
		model[i] = NAN;
	model_count = 0;
	rf_sorted_limits(128, 64);
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

static void an_empty_index_has_nothing_and_owns_nothing(void **state)
{
	size_t used = rf_heap_used();
	double score;
	uint64_t rank;

	(void)state;
	rf_tx_begin();
	assert_false(rf_sorted_score(sorted, "x", 1, &score));
	assert_false(rf_sorted_rank(sorted, "x", 1, &rank));
	assert_false(rf_sorted_remove(sorted, "x", 1));
	rf_sorted_remove_ranks(sorted, 0, 1);
	assert_int_equal(rf_sorted_scan(sorted, 0, NULL, NULL), 0);
	assert_true(rf_sorted_clear_step(sorted, 1));
	assert_int_equal(rf_sorted_memory(sorted), 0);
	commit();
	agree();
	assert_int_equal(rf_heap_used(), used);
}

static void random_transaction(bool grows, unsigned members)
{
	size_t steps = 1 + random_below(100);
	size_t count_before = model_count;

	memcpy(model_before, model, sizeof model);
	rf_tx_begin();
	for (size_t i = 0; i < steps; i++) {
		unsigned number = (unsigned)random_below(members);

		if (random_below(10) < (grows ? 8u : 2u))
			put(number, random_score());
		else if (random_below(100) == 0)
			take_ranks(random_below(model_count + 1),
				random_below(model_count / 10 + 2));
		else
			take(number);
	}
	if (random_below(3) == 0) {
		rf_tx_abort();
		memcpy(model, model_before, sizeof model);
		model_count = count_before;
	} else {
		commit();
	}
}

static void agree_through_aborts(unsigned rounds, unsigned members)
{
	for (unsigned round = 0; round < rounds; round++) {
		random_transaction(round / 200 % 2 == 0, members);
		if (round % 20 == 0)
			agree();
	}
	agree();
	rf_tx_begin();
	take_ranks(0, model_count);
	commit();
	agree();
	assert_int_equal(rf_sorted_memory(sorted), 0);
	assert_int_equal(rf_heap_check(), 0);
}

static void it_agrees_with_a_naive_model_through_aborts(void **state)
{
	(void)state;
	agree_through_aborts(800, 300);
	agree_through_aborts(800, MEMBERS);
}

static void a_compact_one_agrees_with_a_naive_model(void **state)
{
	(void)state;
	rf_sorted_limits(1000, 100);
	agree_through_aborts(800, 300);
	assert_true(rf_sorted_is_compact(sorted));
}

static void it_agrees_when_it_is_big_from_the_start(void **state)
{
	(void)state;
	rf_sorted_limits(0, 0);
	agree_through_aborts(800, 60);
	agree_through_aborts(400, 3000);
}

static void with_equal_scores_members_can_be_sought(void **state)
{
	struct rf_sorted_at at;
	struct rf_item item;
	double score;

	(void)state;
	for (unsigned count = 100; count <= 5000; count += 4900) {
		rf_tx_begin();
		for (unsigned i = 0; i < count; i++)
			if (i % 2 == 0)
				put(i, 7);
		commit();
		sort_model();
		for (unsigned i = 0; i < count; i++) {
			size_t rank = 0;
			bool beyond = i % 4 < 2;

			while (rank < model_count &&
				(by_name(order[rank], i) < 0 ||
					(beyond && order[rank] == i)))
				rank++;
			rf_sorted_seek_member(
				sorted, names[i], name_bytes[i], beyond, &at);
			assert_int_equal(at.rank, rank);
			assert_int_equal(rf_sorted_next(&at, &item, &score),
				rank < model_count);
			if (rank < model_count)
				assert_is(&item, score, order[rank]);
		}
	}
}

static uint32_t visits[MEMBERS];

static void note(const struct rf_item *member, double score, void *context)
{
	unsigned *count = context;

	for (unsigned i = 0; i < 400; i++)
		if (member->text.bytes == name_bytes[i] &&
			memcmp(member->text.at, names[i], name_bytes[i]) == 0) {
			visits[i]++;
			assert_true(score == model[i]);
		}
	++*count;
}

static void a_scan_sees_each_member_once(void **state)
{
	(void)state;
	for (unsigned few = 50; few <= 400; few += 350) {
		uint64_t cursor = 0;
		unsigned count = 0;

		memset(visits, 0, sizeof visits);
		rf_tx_begin();
		for (unsigned i = 0; i < few; i++)
			put(i, i);
		commit();
		do
			cursor = rf_sorted_scan(sorted, cursor, note, &count);
		while (cursor != 0);
		assert_int_equal(count, few);
		for (unsigned i = 0; i < few; i++)
			assert_int_equal(visits[i], 1);
	}
}

static void an_item_of_it_may_name_what_is_removed(void **state)
{
	struct rf_sorted_at at;
	struct rf_item item;
	double score;

	(void)state;
	for (unsigned count = 100; count <= 1000; count += 900) {
		rf_tx_begin();
		for (unsigned i = 0; i < count; i++)
			put(i, i % 10);
		while (rf_sorted_count(sorted) > 0) {
			rf_sorted_seek_rank(
				sorted, rf_sorted_count(sorted) / 2, &at);
			assert_true(rf_sorted_next(&at, &item, &score));
			assert_true(rf_sorted_remove(
				sorted, item.text.at, item.text.bytes));
		}
		for (unsigned i = 0; i < count; i++)
			model[i] = NAN;
		model_count = 0;
		commit();
		agree();
	}
}

static void an_abort_gives_all_memory_back(void **state)
{
	size_t used;

	(void)state;
	rf_tx_begin();
	for (unsigned i = 0; i < 700; i++)
		put(i, random_score());
	commit();
	used = rf_heap_used();
	memcpy(model_before, model, sizeof model);
	rf_tx_begin();
	for (unsigned i = 0; i < MEMBERS; i++)
		put(i, random_score());
	take_ranks(100, 9000);
	rf_tx_abort();
	memcpy(model, model_before, sizeof model);
	model_count = 700;
	agree();
	assert_int_equal(rf_heap_used(), used);
}

/* Some of its members speak for all: here they are about as long. */
static void the_memory_it_tells_is_about_that_of_the_heap(void **state)
{
	size_t before = rf_heap_used(), used;

	(void)state;
	for (unsigned i = 0; i < MEMBERS; i++) {
		rf_tx_begin();
		if (i % 3 == 1)
			put(i, random_score());
		commit();
		used = rf_heap_used() - before;
		if (i % 100 == 99)
			assert_in_range(rf_sorted_memory(sorted),
				used - used / 5, used + used / 5);
	}
}

static void clearing_in_steps_keeps_a_valid_index_at_each(void **state)
{
	size_t used = rf_heap_used();
	unsigned steps = 0;
	bool done = false;

	(void)state;
	rf_tx_begin();
	for (unsigned i = 0; i < MEMBERS; i++)
		put(i, random_score());
	commit();
	while (!done) {
		rf_tx_begin();
		done = rf_sorted_clear_step(sorted, 100);
		commit();
		assert_int_equal(rf_sorted_check(sorted, "test"), 0);
		steps++;
	}
	assert_in_range(steps, MEMBERS / 100, MEMBERS / 100 + 1);
	assert_int_equal(rf_heap_used(), used);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_empty_index_has_nothing_and_owns_nothing),
		TEST(it_agrees_with_a_naive_model_through_aborts),
		TEST(a_compact_one_agrees_with_a_naive_model),
		TEST(it_agrees_when_it_is_big_from_the_start),
		TEST(with_equal_scores_members_can_be_sought),
		TEST(a_scan_sees_each_member_once),
		TEST(an_item_of_it_may_name_what_is_removed),
		TEST(an_abort_gives_all_memory_back),
		TEST(the_memory_it_tells_is_about_that_of_the_heap),
		TEST(clearing_in_steps_keeps_a_valid_index_at_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
