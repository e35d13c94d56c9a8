/* SPDX-License-Identifier: MIT */
/* test_sorted_check.c -- the ordered index: its two forms, scores to the last
 * bit, what its walker says about damage. */
#include "scratch_arena.h"
#include "suite.h"
#include <containers/pack_form.h>
#include <math.h>
#include <refork/log.h>
#include <refork/sorted.h>

static struct rf_sorted *sorted;
static const int silent = -1; /* a log level */

static int set_up(void **state)
{
	(void)state;
	if (scratch_arena_create(64 << 20) != 0)
		return -1;
	rf_tx_begin();
	sorted = rf_alloc(sizeof *sorted);
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

static void put(unsigned number, double score)
{
	char member[40];
	size_t bytes = (size_t)snprintf(member, sizeof member, "m:%u", number);

	assert_true(rf_sorted_put(sorted, member, bytes, score));
}

static void it_becomes_big_beyond_its_limits(void **state)
{
	char longer[66] = "";

	(void)state;
	rf_tx_begin();
	for (unsigned i = 0; i < 128; i++)
		put(i, i);
	assert_true(rf_sorted_is_compact(sorted));
	assert_false(rf_sorted_put(sorted, "m:0", 3, 100));
	assert_true(rf_sorted_is_compact(sorted));
	put(128, 5);
	assert_false(rf_sorted_is_compact(sorted));
	rf_sorted_remove_ranks(sorted, 0, 200);
	assert_true(rf_sorted_is_compact(sorted));
	rf_sorted_put(sorted, longer, 64, 1);
	assert_true(rf_sorted_is_compact(sorted));
	rf_sorted_put(sorted, longer, 65, 1);
	assert_false(rf_sorted_is_compact(sorted));
	assert_int_equal(rf_sorted_count(sorted), 2);
	commit();
	assert_int_equal(rf_sorted_check(sorted, "test"), 0);
}

static void every_score_is_given_back_to_the_bit(void **state)
{
	static const double odd[] = {0.0, -0.0, 0.1, -0.1, 0.05, -0.05, 1.5,
		1e-6, 123456.7, -123456.7, 999999.9, 9007199254740992.0,
		9007199254740994.0, -9007199254740992.0, 1e21, 4.9e-324,
		1.7976931348623157e308, INFINITY, -INFINITY, 1 / 3.0};
	double score;

	(void)state;
	rf_tx_begin();
	for (unsigned i = 0; i < 200000; i++) {
		double given = i < sizeof odd / sizeof *odd
				       ? odd[i]
				       : (double)(random_word() % 1000);

		if (i > 1000 && i % 2 == 0) {
			uint64_t word = random_word();

			memcpy(&given, &word, sizeof given);
			given = isnan(given) ? 0 : given;
		}
		if (i > 100000)
			given = (double)((int64_t)(random_word() % 20000001) -
					 10000000) /
				pow(10, (double)(random_word() % 8));
		rf_sorted_remove(sorted, "x", 1);
		rf_sorted_put(sorted, "x", 1, given);
		assert_true(rf_sorted_is_compact(sorted));
		assert_true(rf_sorted_score(sorted, "x", 1, &score));
		assert_memory_equal(&score, &given, sizeof score);
		if (i % 1000 == 0) {
			commit();
			assert_int_equal(rf_sorted_check(sorted, "test"), 0);
			rf_tx_begin();
		}
	}
	commit();
}

/* ---- the walker ---- */

static uint64_t *words_of(const uint64_t *word)
{
	return (uint64_t *)(*word & ~UINT64_C(15));
}

static void assert_found(uint64_t *at, uint64_t bad)
{
	uint64_t good = *at;

	*at = bad;
	assert_int_equal(rf_sorted_check(sorted, "planted"), -EBADMSG);
	*at = good;
}

static void the_walker_reports_each_planted_fault(void **state)
{
	uint64_t *big, *root, *leaf;

	(void)state;
	rf_tx_begin();
	for (unsigned i = 0; i < 3000; i++)
		put(i, i % 100);
	commit();
	big = words_of(&sorted->word);
	root = words_of(big + 6);
	leaf = root;
	while ((uint16_t)*leaf > 0)
		leaf = words_of(leaf + 1);
	assert_found(&sorted->word, sorted->word + 16);
	assert_found(&sorted->word, sorted->word - 1); /* as one pack */
	for (unsigned i = 6; i < 9; i++) {
		assert_found(&big[i], big[i] + 1);
		assert_found(&big[i], big[i] - 1);
	}
	assert_found(&big[0], big[0] - 1);
	for (unsigned i = 0; i < 5; i++) {
		assert_found(&root[i], root[i] + 1);
		assert_found(&root[i], root[i] ^ UINT64_C(1) << 40);
		assert_found(&leaf[i], leaf[i] + 1);
		assert_found(&leaf[i], leaf[i] ^ UINT64_C(1) << 40);
	}
	/* A member twice instead of another: right in number and in order. */
	assert_found(&leaf[3], leaf[1]);
	assert_int_equal(rf_sorted_check(sorted, "sound"), 0);
}

/* Of its tree; the dict is walked by its own walker. */
static void the_walker_survives_any_flipped_bit(void **state)
{
	uint64_t *big, *root;
	unsigned found = 0, rounds = 20000;

	(void)state;
	rf_log_follow_level(&silent);
	rf_tx_begin();
	for (unsigned i = 0; i < 200; i++)
		put(i, i % 10);
	commit();
	big = words_of(&sorted->word);
	root = words_of(big + 6);
	for (unsigned i = 0; i < rounds; i++) {
		size_t which = random_below(8);
		uint64_t *word = which < 3 ? &big[6 + which] : &root[which - 3];
		uint64_t good = *word;

		*word ^= UINT64_C(1) << random_below(64);
		found += rf_sorted_check(sorted, "planted") != 0;
		*word = good;
	}
	rf_log_set_level(RF_LOG_INFO);
	assert_int_equal(found, rounds);
	assert_int_equal(rf_sorted_check(sorted, "sound"), 0);
}

/* Members a, b, c with their scores; each item is two or three bytes. */
static void the_walker_reports_each_fault_in_a_pack(void **state)
{
	struct rf_pack *pack;
	uint8_t *at;
	unsigned crooked = 0;

	(void)state;
	rf_log_follow_level(&silent);
	rf_tx_begin();
	rf_sorted_put(sorted, "a", 1, 1);
	rf_sorted_put(sorted, "b", 1, 1);
	rf_sorted_put(sorted, "c", 1, 0.5);
	commit();
	assert_int_equal(rf_sorted_check(sorted, "sound"), 0);
	pack = (struct rf_pack *)sorted->word;
	at = pack->at + pack->head;
	assert_memory_equal(at,
		"\x81"
		"c\x81\x83"
		"0.5\x83\x81"
		"a",
		10);
	for (unsigned i = 0; i < 3; i++) {
		static const struct {
			unsigned at;
			char byte;
		} plant[] = {{4, '9'}, {5, 'x'}, {9, 'b'}};
		uint8_t good = at[plant[i].at];

		at[plant[i].at] = (uint8_t)plant[i].byte;
		assert_int_equal(rf_sorted_check(sorted, "planted"), -EBADMSG);
		at[plant[i].at] = good;
	}
	pack->count--;
	pack->end--; /* without the last score */
	assert_int_equal(rf_sorted_check(sorted, "planted"), -EBADMSG);
	pack->count++;
	pack->end++;
	for (unsigned i = 0; i < rf_usable(pack) * 8; i++) {
		uint8_t *byte = (uint8_t *)pack + i / 8;

		*byte ^= (uint8_t)(1u << i % 8);
		crooked += rf_sorted_check(sorted, "planted") != 0;
		*byte ^= (uint8_t)(1u << i % 8);
	}
	assert_in_range(crooked, 80, rf_usable(pack) * 8);
	rf_log_set_level(RF_LOG_INFO);
	assert_int_equal(rf_sorted_check(sorted, "sound"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_becomes_big_beyond_its_limits),
		TEST(every_score_is_given_back_to_the_bit),
		TEST(the_walker_reports_each_planted_fault),
		TEST(the_walker_survives_any_flipped_bit),
		TEST(the_walker_reports_each_fault_in_a_pack),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
