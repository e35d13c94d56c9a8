/* SPDX-License-Identifier: MIT */
/* test_log_events.c -- the table of events: complete, distinct, readable. */
#include "common/events.h"
#include "suite.h"

#define MESSAGE_ID_DIGITS 32
#define SUBJECT_BYTES_MAX 72

static const char lower[] = "abcdefghijklmnopqrstuvwxyz_";
static const char hex[] = "0123456789abcdef";

static void every_event_is_whole(void **state)
{
	(void)state;
	for (int i = 0; i < RF_EVENT_COUNT; i++) {
		const struct rf_event *event = &rf_events[i];
		const char *text = event->explanation;

		assert_non_null(event->name);
		assert_true(*event->name != '\0');
		assert_int_equal(
			strspn(event->name, lower), strlen(event->name));
		assert_int_equal(strlen(event->message_id), MESSAGE_ID_DIGITS);
		assert_int_equal(
			strspn(event->message_id, hex), MESSAGE_ID_DIGITS);
		assert_in_range(event->level, RF_LOG_ERROR, RF_LOG_INFO);
		assert_in_range(strlen(event->subject), 10, SUBJECT_BYTES_MAX);
		assert_null(strpbrk(event->subject, "\n."));
		assert_int_equal(text[strlen(text) - 1], '\n');
		assert_null(strstr(text, "\n\n"));
	}
}

static void no_two_events_are_alike(void **state)
{
	(void)state;
	for (int i = 0; i < RF_EVENT_COUNT; i++)
		for (int j = 0; j < i; j++) {
			const struct rf_event *a = &rf_events[i];
			const struct rf_event *b = &rf_events[j];

			assert_string_not_equal(a->message_id, b->message_id);
			assert_string_not_equal(a->name, b->name);
			assert_string_not_equal(a->subject, b->subject);
		}
}

/* At 3 a.m.: what happened, and then where to look or that there is nothing to
 * do. */
static void every_event_says_what_to_do(void **state)
{
	static const char *const ways[] = {
		"Look", "Nothing to do", "When ", "To ", "This is a bug"};

	(void)state;
	for (int i = 0; i < RF_EVENT_COUNT; i++) {
		const char *last = strchr(rf_events[i].explanation, '\n');
		bool found = false;

		assert_true(last[1] != '\0');
		for (size_t w = 0; w < sizeof ways / sizeof *ways; w++)
			found |= strncmp(last + 1, ways[w], strlen(ways[w])) ==
					 0 ||
				 strstr(last, "\nLook") != NULL;
		if (!found)
			fail_msg("%s does not", rf_events[i].name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_event_is_whole),
		cmocka_unit_test(no_two_events_are_alike),
		cmocka_unit_test(every_event_says_what_to_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
