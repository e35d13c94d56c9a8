/* SPDX-License-Identifier: MIT */
/* test_request_text.c -- requests as text, whatever stands in them. */
#include "suite.h"
#include <request_text.h>

#define ROOM 64

static uint8_t payload[4096];
static char text[ROOM];

/* `count` arguments of these lengths, their bytes one after another. */
static size_t put(
	uint32_t count, const uint32_t *lengths, const void *bytes, size_t size)
{
	memcpy(payload, &count, sizeof count);
	memcpy(payload + sizeof count, lengths, count * sizeof count);
	memcpy(payload + sizeof count * (1 + count), bytes, size);
	return sizeof count * (1 + count) + size;
}

static size_t put_set(void)
{
	static const uint32_t lengths[] = {3, 7, 0, 6};

	return put(4, lengths, "SETtwo keyA\"\\\r\0\xff", 16);
}

static void expect(size_t bytes, uint32_t words_max, const char *want)
{
	size_t length = rf_request_text(payload, bytes, words_max, text, ROOM);

	assert_string_equal(text, want);
	assert_int_equal(length, strlen(want));
}

static void words_are_quoted_where_they_must_be(void **state)
{
	size_t bytes = put_set();

	(void)state;
	expect(bytes, UINT32_MAX,
		"SET \"two key\" \"\" \"A\\\"\\\\\\r\\x00\\xff\"");
	expect(bytes, 1, "SET");
	expect(bytes, 2, "SET \"two key\"");
}

static void what_was_cut_short_ends_in_dots(void **state)
{
	static const uint32_t huge[] = {UINT32_MAX, UINT32_MAX};
	size_t bytes = put_set();

	(void)state;
	expect(bytes - 5, UINT32_MAX, "SET \"two key\" \"\" A...");
	expect(bytes - 6, 2, "SET \"two key\"");
	expect(10, UINT32_MAX, "...");
	expect(3, UINT32_MAX, "...");
	expect(0, UINT32_MAX, "...");
	expect(put(2, huge, "GET", 3), UINT32_MAX, "GET...");
	memset(payload, 0xff, sizeof payload);
	expect(sizeof payload, UINT32_MAX, "...");
}

static void nothing_is_written_beyond_the_room(void **state)
{
	uint8_t out[ROOM + 1];
	uint32_t lengths[] = {3, 200};
	char words[203];
	size_t bytes;

	(void)state;
	memset(words, 'x', sizeof words);
	bytes = put(2, lengths, words, sizeof words);
	for (size_t room = 8; room <= ROOM; room++) {
		size_t length;

		memset(out, 0xaa, sizeof out);
		length = rf_request_text(
			payload, bytes, UINT32_MAX, (char *)out, room);
		assert_true(length < room);
		assert_int_equal(out[length], 0);
		assert_int_equal(out[room], 0xaa);
		assert_string_equal(out + length - 3, "...");
	}
}

static void any_bytes_become_printable_text(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		uint32_t argc = (uint32_t)random_below(8);
		size_t bytes = random_below(200), length;

		random_fill(payload, bytes);
		memcpy(payload, &argc, sizeof argc);
		for (size_t at = 4; at + 4 < bytes && random_below(4); at += 4)
			memset(payload + at + 1, 0, 3);
		length =
			rf_request_text(payload, bytes, UINT32_MAX, text, ROOM);
		assert_true(length < ROOM && text[length] == '\0');
		for (size_t at = 0; at < length; at++)
			assert_true(text[at] >= ' ' && text[at] < 0x7f);
	}
}

static void arguments_are_taken_only_when_all_lengths_fit(void **state)
{
	size_t bytes = put_set();
	struct rf_bytes args[4] = {{0}};

	(void)state;
	assert_int_equal(rf_request_args(payload, bytes, NULL, 0), 4);
	assert_int_equal(rf_request_args(payload, bytes, args, 2), 4);
	assert_null(args[2].at);
	assert_int_equal(rf_request_args(payload, bytes, args, 4), 4);
	assert_int_equal(args[3].bytes, 6);
	assert_memory_equal(args[3].at, "A\"\\\r\0\xff", 6);
	for (size_t cut = 0; cut < bytes; cut++)
		assert_int_equal(rf_request_args(payload, cut, args, 4), 0);
	assert_int_equal(rf_request_args(payload, bytes + 1, args, 4), 0);
	memset(payload, 0, 4);
	assert_int_equal(rf_request_args(payload, 4, args, 4), 0);
	memset(payload, 0xff, 64);
	assert_int_equal(rf_request_args(payload, 64, args, 4), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_quoted_where_they_must_be),
		cmocka_unit_test(what_was_cut_short_ends_in_dots),
		cmocka_unit_test(nothing_is_written_beyond_the_room),
		cmocka_unit_test(any_bytes_become_printable_text),
		cmocka_unit_test(arguments_are_taken_only_when_all_lengths_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
