/* SPDX-License-Identifier: MIT */
/* test_log_flood.c -- token buckets, by a clock of the test's own. */
#include "common/log/flood.h"
#include "suite.h"

static struct rf_flood flood;
static int64_t now_ms;
static char places[4096]; /* each byte is a call's address */

static int set_up(void **state)
{
	(void)state;
	memset(&flood, 0, sizeof flood);
	now_ms = 1000000;
	return 0;
}

static bool say(int place)
{
	struct rf_flood_site *site;
	bool admitted = rf_flood_admits(&flood, &places[place], now_ms, &site);

	if (admitted && site != NULL)
		rf_flood_show(site, RF_LOG_WARNING, "a line", 6);
	return admitted;
}

static int say_often(int place, int count)
{
	int admitted = 0;

	for (int i = 0; i < count; i++)
		admitted += say(place);
	return admitted;
}

static void a_burst_passes_then_so_many_a_second(void **state)
{
	(void)state;
	assert_int_equal(say_often(1, 1000), RF_FLOOD_BURST);
	now_ms += 1000;
	assert_int_equal(say_often(1, 1000), RF_FLOOD_PER_S);
	now_ms += 99;
	assert_int_equal(say_often(1, 1000), 0);
	now_ms += 1;
	assert_int_equal(say_often(1, 1000), 1);
}

static void a_slow_line_is_never_left_out(void **state)
{
	(void)state;
	for (int i = 0; i < 10000; i++, now_ms += 1000 / RF_FLOOD_PER_S)
		assert_true(say(1));
	assert_int_equal(flood.pending, 0);
}

static void a_silence_fills_the_bucket_and_no_more(void **state)
{
	(void)state;
	say_often(1, 1000);
	now_ms += INT64_C(1000) * 3600 * 24 * 365;
	assert_int_equal(say_often(1, 1000), RF_FLOOD_BURST);
}

static void a_clock_that_goes_back_does_no_harm(void **state)
{
	(void)state;
	say_often(1, 1000);
	now_ms -= 500000;
	assert_int_equal(say_often(1, 10), 0);
	now_ms += 1000;
	assert_int_equal(say_often(1, 1000), RF_FLOOD_PER_S);
}

static void what_was_left_out_is_told_once_and_in_time(void **state)
{
	struct rf_flood_site told;

	(void)state;
	say_often(1, RF_FLOOD_BURST + 17);
	assert_false(rf_flood_next(&flood, now_ms, &told));
	now_ms += RF_FLOOD_TELL_MS - 1;
	assert_false(rf_flood_next(&flood, now_ms, &told));
	now_ms++;
	assert_true(rf_flood_next(&flood, now_ms, &told));
	assert_int_equal(told.left_out, 17);
	assert_string_equal(told.text, "a line");
	assert_int_equal(told.level, RF_LOG_WARNING);
	assert_false(rf_flood_next(&flood, now_ms, &told));
	assert_int_equal(flood.pending, 0);
}

static void whatever_there_is_can_be_asked_for(void **state)
{
	struct rf_flood_site told;
	uint64_t sum = 0;

	(void)state;
	for (int place = 0; place < 5; place++)
		say_often(place, RF_FLOOD_BURST + 1 + place);
	while (rf_flood_next(&flood, INT64_MAX, &told))
		sum += told.left_out;
	assert_int_equal(sum, 1 + 2 + 3 + 4 + 5);
}

static void a_flood_of_one_kind_takes_nothing_from_another(void **state)
{
	(void)state;
	for (int place = 0; place < (int)sizeof places; place++)
		assert_true(say(place)); /* also beyond the table's size */
	say_often(0, 10000);
	for (int place = 1; place < (int)sizeof places; place++)
		assert_true(say(place));
}

/* As a naive model: every line is passed or told. More places than the table
 * has room for, and silences in which a full bucket may be given away. */
static void no_line_is_forgotten(void **state)
{
	struct rf_flood_site told;
	uint64_t lines = 0, passed = 0, left_out = 0;

	(void)state;
	for (int i = 0; i < 3000; i++) {
		int place = (int)random_below(sizeof places);
		int count = (int)random_below(2 * RF_FLOOD_BURST);

		passed += (uint64_t)say_often(place, count);
		lines += (uint64_t)count;
		now_ms += (int64_t)random_below(1000);
		if (random_below(200) != 0)
			continue;
		while (rf_flood_next(&flood, now_ms, &told))
			left_out += told.left_out;
	}
	while (rf_flood_next(&flood, INT64_MAX, &told))
		left_out += told.left_out;
	assert_int_equal(lines, passed + left_out);
	assert_true(left_out > 0);
}

static void a_shown_text_is_cut_between_characters(void **state)
{
	struct rf_flood_site *site;
	char text[2 * RF_FLOOD_TEXT_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof text; i += 2)
		memcpy(text + i, "\xc3\xa9", 2);
	assert_true(rf_flood_admits(&flood, places, now_ms, &site));
	rf_flood_show(site, RF_LOG_INFO, text, sizeof text);
	assert_int_equal(strlen(site->text), RF_FLOOD_TEXT_BYTES - 2);
	rf_flood_show(site, RF_LOG_INFO, text, RF_FLOOD_TEXT_BYTES - 1);
	assert_int_equal(strlen(site->text), RF_FLOOD_TEXT_BYTES - 1);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_burst_passes_then_so_many_a_second),
		TEST(a_slow_line_is_never_left_out),
		TEST(a_silence_fills_the_bucket_and_no_more),
		TEST(a_clock_that_goes_back_does_no_harm),
		TEST(what_was_left_out_is_told_once_and_in_time),
		TEST(whatever_there_is_can_be_asked_for),
		TEST(a_flood_of_one_kind_takes_nothing_from_another),
		TEST(no_line_is_forgotten),
		TEST(a_shown_text_is_cut_between_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
