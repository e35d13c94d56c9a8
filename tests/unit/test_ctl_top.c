/* SPDX-License-Identifier: MIT */
/* test_ctl_top.c -- what top shows: samples from JSON, bars from samples. */
#include "suite.h"

#include "common/flat.h"
#include "daemon/ctl/top_page.c"

static struct top_history history;

static int start(void **unused)
{
	(void)unused;
	history = (struct top_history){0};
	return 0;
}

static void sample(int64_t now_ms, unsigned requests, unsigned crashes,
	unsigned recoveries)
{
	char json[256];

	snprintf(json, sizeof(json),
		"{\"schema\": 1, \"requests\": %u, \"bytes_in\": %u, "
		"\"bytes_out\": 0, \"crashes\": %u, \"recoveries\": %u, "
		"\"recovery_us\": 210}",
		requests, 10 * requests, crashes, recoveries);
	top_sample(&history, json, now_ms);
}

/* To be freed. */
static char *sparks(enum top_series which, int width)
{
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);

	assert_non_null(out);
	top_sparks(&history, which, width, true, out);
	assert_return_code(fclose(out), errno);
	assert_int_equal(bytes, width);
	return text;
}

static void a_sample_is_the_growth_since_the_last_one(void **unused)
{
	(void)unused;
	sample(1000, 500, 0, 0);
	assert_int_equal(history.count, 0);
	sample(3000, 700, 2, 2);
	assert_int_equal(history.count, 1);
	assert_true(history.values[TOP_REQUESTS][0] == 100);
	assert_true(history.values[TOP_BYTES_IN][0] == 1000);
	assert_true(history.values[TOP_CRASHES][0] == 2);
	assert_true(history.values[TOP_RECOVERY][0] == 210);
	sample(4000, 700, 2, 2);
	assert_true(history.values[TOP_RECOVERY][1] == 0);
}

static void a_daemon_that_began_anew_gives_no_nonsense(void **unused)
{
	(void)unused;
	sample(1000, 500, 9, 9);
	sample(2000, 3, 0, 0);
	for (int i = 0; i < TOP_SERIES_COUNT; i++)
		assert_true(history.values[i][0] == 0);
	sample(2000, 4, 0, 0); /* no time has passed */
	assert_int_equal(history.count, 1);
}

static void the_highest_bar_is_the_highest_sample(void **unused)
{
	char *text;

	(void)unused;
	sample(1000, 0, 0, 0);
	sample(2000, 100, 0, 0);
	sample(3000, 100, 0, 0);
	sample(4000, 900, 0, 0);
	text = sparks(TOP_REQUESTS, 6);
	assert_string_equal(text, "   . @");
	free(text);
	text = sparks(TOP_CRASHES, 4);
	assert_string_equal(text, "    ");
	free(text);
}

static void the_ring_of_samples_goes_round(void **unused)
{
	char *text;

	(void)unused;
	for (unsigned i = 0; i < 3 * TOP_SAMPLE_COUNT; i++)
		sample(1000 * (int64_t)(i + 1), 10 * i, 0, 0);
	text = sparks(TOP_REQUESTS, TOP_SAMPLE_COUNT);
	for (int i = 0; i < TOP_SAMPLE_COUNT; i++)
		assert_int_equal(text[i], '@');
	free(text);
}

static void flat_values_are_found_by_their_whole_key(void **unused)
{
	const char *json =
		"{\"schema\": 1, \"a\": \"\\\"b\\\": 7\", \"xb\": 5, "
		"\"b\": 8, \"t\": \"q\\\\\\\"\"}";
	char text[8];

	(void)unused;
	assert_int_equal(rf_flat_number(json, "b"), 8);
	assert_int_equal(rf_flat_number(json, "c"), 0);
	assert_true(rf_flat_text(json, "t", text, sizeof(text)));
	assert_string_equal(text, "q\\\"");
	assert_true(rf_flat_text(json, "a", text, 3));
	assert_string_equal(text, "\"b");
	assert_false(rf_flat_text(json, "b", text, sizeof(text)));
	assert_false(rf_flat_text(json, "none", text, sizeof(text)));
	assert_string_equal(text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(
			a_sample_is_the_growth_since_the_last_one, start),
		cmocka_unit_test_setup(
			a_daemon_that_began_anew_gives_no_nonsense, start),
		cmocka_unit_test_setup(
			the_highest_bar_is_the_highest_sample, start),
		cmocka_unit_test_setup(the_ring_of_samples_goes_round, start),
		cmocka_unit_test(flat_values_are_found_by_their_whole_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
