/* SPDX-License-Identifier: MIT */
/* test_log_forms.c -- a line as text, JSON and fields, of any bytes. */
#include "common/log/said.h"
#include "suite.h"

static char out[RF_SAID_JSON_BYTES + 1];
static size_t out_bytes;

static struct rf_said line_of(const char *text, size_t bytes)
{
	return (struct rf_said){
		.level = RF_LOG_WARNING,
		.service = "kv",
		.role = "business",
		.generation = 7,
		.pid = 812,
		.at_ms = INT64_C(1767225600123), /* 2026-01-01 */
		.text = text,
		.text_bytes = bytes,
	};
}

static void as_text(const char *text, size_t bytes)
{
	struct rf_said said = line_of(text, bytes);

	memset(out, 'Z', sizeof out);
	out_bytes = rf_said_as_text(&said, false, out);
	assert_in_range(out_bytes, 1, RF_SAID_TEXT_BYTES);
	assert_int_equal(out[out_bytes], 'Z');
	out[out_bytes] = '\0';
}

static void as_json(const char *text, size_t bytes)
{
	struct rf_said said = line_of(text, bytes);

	memset(out, 'Z', sizeof out);
	out_bytes = rf_said_as_json(&said, false, out);
	assert_in_range(out_bytes, 1, RF_SAID_JSON_BYTES);
	assert_int_equal(out[out_bytes], 'Z');
	out[out_bytes] = '\0';
}

/* ---- time ---- */

static void the_time_is_that_of_the_calendar(void **state)
{
	static const int64_t odd_ms[] = {0, 951782399999, /* 2000-02-28 */
		951782400000, 951868799999, 951868800000, 4107542399000,
		4107542400000, INT64_C(253402300799999)};
	char ours[RF_SAID_TIME_BYTES], libcs[64];
	struct tm parts;

	(void)state;
	for (size_t i = 0; i < 100000; i++) {
		int64_t at_ms =
			i < sizeof odd_ms / sizeof *odd_ms
				? odd_ms[i]
				: (int64_t)(random_word() % 253402300800000u);
		time_t at = at_ms / 1000;

		gmtime_r(&at, &parts);
		strftime(libcs, sizeof libcs, "%Y-%m-%dT%H:%M:%S", &parts);
		snprintf(libcs + 19, sizeof libcs - 19, ".%03dZ",
			(int)(at_ms % 1000));
		assert_int_equal(rf_said_time(at_ms, ours), 24);
		assert_string_equal(ours, libcs);
	}
}

/* ---- UTF-8 ---- */

static void a_cut_is_between_characters(void **state)
{
	static const char text[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z";
	static const size_t whole[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11};

	(void)state;
	for (size_t n = 0; n <= sizeof text - 1; n++)
		assert_int_equal(rf_said_cut(text, n), whole[n]);
	/* What is no UTF-8 is not made shorter for it. */
	assert_int_equal(rf_said_cut("\x80\x80\x80\x80", 4), 4);
	assert_int_equal(rf_said_cut("ab\xff", 3), 3);
}

static void only_utf8_is_a_character(void **state)
{
	(void)state;
	assert_int_equal(rf_said_character("a", 1), 1);
	assert_int_equal(rf_said_character("\xc3\xa9", 2), 2);
	assert_int_equal(rf_said_character("\xc3\xa9", 1), 0);
	assert_int_equal(rf_said_character("\xe2\x82\xac", 3), 3);
	assert_int_equal(rf_said_character("\xf4\x8f\xbf\xbf", 4), 4);
	assert_int_equal(rf_said_character("\xf4\x90\x80\x80", 4), 0);
	assert_int_equal(rf_said_character("\xc0\xaf", 2), 0);
	assert_int_equal(rf_said_character("\xe0\x9f\xbf", 3), 0);
	assert_int_equal(rf_said_character("\xf0\x8f\xbf\xbf", 4), 0);
	assert_int_equal(rf_said_character("\xed\xa0\x80", 3), 0);
	assert_int_equal(rf_said_character("\x80", 1), 0);
	assert_int_equal(rf_said_character("\xf5\x80\x80\x80", 4), 0);
	assert_int_equal(rf_said_character("\xe2\x82z", 3), 0);
}

/* ---- text ---- */

#define LEAD "2026-01-01T00:00:00.123Z kv business[812]/7 warning: "

static void a_message_cannot_forge_a_line(void **state)
{
	(void)state;
	as_text("a\nb\x1b[31m\x7f\tz\r", 12);
	assert_string_equal(out, LEAD "a\\x0ab\\x1b[31m\\x7f\tz\\x0d\n");
	as_text("h\xc3\xa9", 3);
	assert_string_equal(out, LEAD "h\xc3\xa9\n");
	as_text("", 0);
	assert_string_equal(out, LEAD "\n");
}

static void text_is_cut_to_one_whole_line(void **state)
{
	char text[3000];

	(void)state;
	for (size_t n = 1960; n <= sizeof text; n++) {
		for (size_t i = 0; i < n; i++) /* one of three bytes each */
			text[i] = "\xe2\x82\xac"[i % 3];
		as_text(text, n);
		assert_int_equal(out[out_bytes - 1], '\n');
		if (n > RF_SAID_TEXT_BYTES)
			assert_in_range(out_bytes, RF_SAID_TEXT_BYTES - 3,
				RF_SAID_TEXT_BYTES);
		if (n % 3 == 0 || n > RF_SAID_TEXT_BYTES)
			assert_int_equal(out[out_bytes - 2], '\xac');
	}
	/* Plain bytes are not lost to a code that does not fit behind them. */
	for (size_t n = 0; n <= sizeof text; n++) {
		memset(text, 'x', n);
		memset(text + n, '\n', sizeof text - n);
		as_text(text, sizeof text);
		assert_int_equal(strchr(out, '\n') - out, (long)out_bytes - 1);
		assert_in_range(
			out_bytes, RF_SAID_TEXT_BYTES - 3, RF_SAID_TEXT_BYTES);
	}
}

/* ---- JSON ---- */

#define HEAD                                                                   \
	"{\"schema\":1,\"time\":\"2026-01-01T00:00:00.123Z\","                 \
	"\"level\":\"warning\",\"service\":\"kv\",\"role\":\"business\","      \
	"\"pid\":812,\"generation\":7,\"message\":\""

/* The message as JSON says it. */
static const char *message(void)
{
	static char found[RF_SAID_JSON_BYTES];

	assert_int_equal(strncmp(out, HEAD, sizeof HEAD - 1), 0);
	assert_string_equal(out + out_bytes - 3, "\"}\n");
	snprintf(found, sizeof found, "%.*s",
		(int)(out_bytes - 3 - (sizeof HEAD - 1)),
		out + sizeof HEAD - 1);
	return found;
}

static void every_byte_alone_is_escaped_as_it_must_be(void **state)
{
	static const char shorts[] = "\b\t\n\f\r\"\\", codes[] = "btnfr\"\\";

	(void)state;
	for (int byte = 0; byte < 256; byte++) {
		const char text[] = {'<', (char)byte, '>'};
		const char *at = byte ? strchr(shorts, byte) : NULL;
		char expected[32];

		as_json(text, 3);
		if (at != NULL)
			snprintf(expected, sizeof expected, "<\\%c>",
				codes[at - shorts]);
		else if (byte < 0x20 || byte == 0x7f)
			snprintf(expected, sizeof expected, "<\\u%04x>", byte);
		else if (byte < 0x80)
			snprintf(expected, sizeof expected, "<%c>", byte);
		else
			snprintf(expected, sizeof expected, "<\\ufffd>");
		assert_string_equal(message(), expected);
	}
}

static void characters_pass_and_what_is_none_is_replaced(void **state)
{
	(void)state;
	as_json("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9);
	assert_string_equal(message(), "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
	as_json("\xe2\x82"
		"a\xc3",
		4);
	assert_string_equal(message(), "\\ufffd\\ufffda\\ufffd");
	as_json("\xed\xa0\x80", 3); /* half of a pair of UTF-16 */
	assert_string_equal(message(), "\\ufffd\\ufffd\\ufffd");
}

static void json_is_cut_to_a_whole_object(void **state)
{
	static const struct {
		const char *unit, *end;
	} kinds[] = {{"x", "x"}, {"\xe2\x82\xac", "\xe2\x82\xac"},
		{"\x01", "\\u0001"}, {"\"", "\\\""}};
	char text[RF_SAID_MESSAGE_BYTES * 3];

	(void)state;
	for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
		size_t n = strlen(kinds[k].unit), end = strlen(kinds[k].end);

		for (size_t i = 0; i < sizeof text; i++)
			text[i] = kinds[k].unit[i % n];
		as_json(text, sizeof text);
		assert_in_range(
			out_bytes, RF_SAID_JSON_BYTES - 6, RF_SAID_JSON_BYTES);
		assert_string_equal(
			message() + strlen(message()) - end, kinds[k].end);
	}
}

static void the_message_has_room_beside_long_fields(void **state)
{
	static char large[5000];
	const struct rf_log_field fields[] = {{.name = "small", .text = "\"\n"},
		{.name = "large", .text = large},
		{.name = "last", .number = UINT64_MAX}, {0}};
	struct rf_said said = line_of("the message", 11);

	(void)state;
	memset(large, '\n', sizeof large - 1);
	said.fields = fields;
	said.event = &rf_events[RF_EVENT_READY];
	out_bytes = rf_said_as_json(&said, true, out);
	out[out_bytes] = '\0';
	assert_int_equal(strncmp(out, "<4>{", 4), 0);
	assert_non_null(
		strstr(out, ",\"event\":\"ready\",\"small\":\"\\\"\\n\","
			    "\"last\":18446744073709551615,\"message\":\"the "
			    "message\"}\n"));
}

static void fields_leave_the_message_its_room(void **state)
{
	static char large[5000], text[900];
	const struct rf_log_field fields[] = {
		{.name = "large", .text = large}, {0}};
	struct rf_said said = line_of(text, sizeof text);

	(void)state;
	memset(text, 'm', sizeof text);
	said.fields = fields;
	for (size_t n = 0; n < sizeof large - 1; n++) {
		const char *at;

		large[n] = 'x';
		out_bytes = rf_said_as_json(&said, false, out);
		out[out_bytes] = '\0';
		at = strstr(out, "\"message\":\"m");
		assert_non_null(at);
		assert_int_equal(strspn(at + 11, "m"), sizeof text);
		assert_string_equal(at + 11 + sizeof text, "\"}\n");
	}
}

/* ---- the journal's fields ---- */

static size_t length_at(const char *at)
{
	size_t length = 0;

	for (int i = 7; i >= 0; i--)
		length = length << 8 | (unsigned char)at[i];
	return length;
}

static void fields_are_those_of_the_journal(void **state)
{
	const struct rf_log_field fields[] = {{.name = "crash_id", .number = 7},
		{.name = "signal", .text = "SIGBUS"},
		{.name = "code_file", .text = "tx.c"}, {0}};
	struct rf_said said = line_of("plain", 5);

	(void)state;
	said.fields = fields;
	said.event = &rf_events[RF_EVENT_BUSINESS_CRASH];
	out_bytes = rf_said_as_fields(&said, out);
	out[out_bytes] = '\0';
	assert_string_equal(out,
		"PRIORITY=4\nSYSLOG_IDENTIFIER=refork\nREFORK_SERVICE=kv\n"
		"REFORK_ROLE=business\nREFORK_GENERATION=7\n"
		"MESSAGE_ID=2e62dbb3cf894c9689ab6c83814dc0e3\n"
		"REFORK_EVENT=business_crash\nREFORK_CRASH_ID=7\n"
		"REFORK_SIGNAL=SIGBUS\nCODE_FILE=tx.c\nMESSAGE=");
}

static void a_value_with_a_newline_is_framed_by_its_length(void **state)
{
	const struct rf_log_field fields[] = {
		{.name = "client", .text = "a\nPRIORITY=0"}, {0}};
	struct rf_said said = line_of("two\nlines", 9);
	const char *at;

	(void)state;
	said.fields = fields;
	out_bytes = rf_said_as_fields(&said, out);
	at = memmem(out, out_bytes, "\nREFORK_CLIENT\n", 15);
	assert_non_null(at);
	assert_int_equal(length_at(at + 15), 12);
	assert_memory_equal(at + 23, "a\nPRIORITY=0\nMESSAGE\n", 21);
	assert_int_equal(length_at(at + 44), 9);
	assert_ptr_equal(at + 52, out + out_bytes);
}

static void fields_that_do_not_fit_are_left_out_whole(void **state)
{
	static char large[RF_SAID_HEAD_BYTES];
	struct rf_log_field fields[] = {{.name = "large", .text = large},
		{.name = "last", .number = 5}, {0}};
	struct rf_said said = line_of("two\nlines", 9);

	(void)state;
	said.fields = fields;
	for (size_t n = 0; n < sizeof large - 1; n++) {
		const char *end;

		large[n] = 'x';
		out_bytes = rf_said_as_fields(&said, out);
		assert_in_range(out_bytes, 1, RF_SAID_HEAD_BYTES);
		end = out + out_bytes - sizeof "\nMESSAGE\n" + 1 - 8;
		assert_memory_equal(end, "\nMESSAGE\n", 9);
		if (n == sizeof large - 2)
			assert_memory_equal(end - 14, "\nREFORK_LAST=5", 14);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_time_is_that_of_the_calendar),
		cmocka_unit_test(a_cut_is_between_characters),
		cmocka_unit_test(only_utf8_is_a_character),
		cmocka_unit_test(a_message_cannot_forge_a_line),
		cmocka_unit_test(text_is_cut_to_one_whole_line),
		cmocka_unit_test(every_byte_alone_is_escaped_as_it_must_be),
		cmocka_unit_test(characters_pass_and_what_is_none_is_replaced),
		cmocka_unit_test(json_is_cut_to_a_whole_object),
		cmocka_unit_test(the_message_has_room_beside_long_fields),
		cmocka_unit_test(fields_leave_the_message_its_room),
		cmocka_unit_test(fields_are_those_of_the_journal),
		cmocka_unit_test(
			a_value_with_a_newline_is_framed_by_its_length),
		cmocka_unit_test(fields_that_do_not_fit_are_left_out_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
