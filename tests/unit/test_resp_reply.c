/* SPDX-License-Identifier: MIT */
/* test_resp_reply.c -- the bytes of each kind of reply, in RESP 2 and 3. */
#include "suite.h"
#include <stdio.h>

/* A reply that is a plain buffer. */
struct rf_reply {
	char bytes[4096];
	size_t used;
	bool refuse;
};

#define rf_reply_room	buffer_room
#define rf_reply_took	buffer_took
#define rf_reply_bytes	buffer_bytes
#define rf_reply_insert buffer_insert
#include "common/resp_reply.c"

static struct rf_reply reply;

char *rf_reply_room(struct rf_reply *to, size_t bytes)
{
	assert_true(bytes <= sizeof to->bytes - to->used);
	return to->refuse ? NULL : to->bytes + to->used;
}

void rf_reply_took(struct rf_reply *to, size_t bytes)
{
	to->used += bytes;
}

void rf_reply_bytes(struct rf_reply *to, const void *from, size_t bytes)
{
	if (to->refuse)
		return;
	memcpy(rf_reply_room(to, bytes), from, bytes);
	to->used += bytes;
}

void rf_reply_insert(
	struct rf_reply *to, size_t mark, const void *from, size_t bytes)
{
	memmove(to->bytes + mark + bytes, to->bytes + mark, to->used - mark);
	memcpy(to->bytes + mark, from, bytes);
	to->used += bytes;
}

static void expect(const char *text, size_t bytes)
{
	assert_int_equal(reply.used, bytes);
	assert_memory_equal(reply.bytes, text, bytes);
	reply.used = 0;
}

#define EXPECT(text) expect(text, sizeof(text) - 1)

static void lines_are_as_the_protocol_says(void **state)
{
	(void)state;
	rf_resp_simple(&reply, "OK");
	EXPECT("+OK\r\n");
	rf_resp_simple(&reply, "");
	EXPECT("+\r\n");
	rf_resp_int(&reply, 0);
	EXPECT(":0\r\n");
	rf_resp_int(&reply, INT64_MAX);
	EXPECT(":9223372036854775807\r\n");
	rf_resp_int(&reply, INT64_MIN);
	EXPECT(":-9223372036854775808\r\n");
	rf_resp_array(&reply, 12);
	EXPECT("*12\r\n");
}

static void strings_may_hold_any_byte(void **state)
{
	(void)state;
	rf_resp_bulk(&reply, "a\r\n\0b", 5);
	EXPECT("$5\r\na\r\n\0b\r\n");
	rf_resp_bulk(&reply, NULL, 0);
	EXPECT("$0\r\n\r\n");
	rf_resp_bulk_text(&reply, "text");
	EXPECT("$4\r\ntext\r\n");
	rf_resp_bulk_int(&reply, -120);
	EXPECT("$4\r\n-120\r\n");
}

static void an_error_stays_on_its_line(void **state)
{
	char text[3000];

	(void)state;
	rf_resp_error(&reply, "ERR no '%s'", "a\r\nb\n");
	EXPECT("-ERR no 'a  b '\r\n");
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	rf_resp_error(&reply, "%s", text);
	assert_in_range(reply.used, 1000, 1100);
	assert_memory_equal(reply.bytes + reply.used - 3, "x\r\n", 3);
	reply.used = 0;
}

static void the_protocols_differ_where_they_should(void **state)
{
	(void)state;
	rf_resp_null(&reply, 2);
	EXPECT("$-1\r\n");
	rf_resp_null(&reply, 3);
	EXPECT("_\r\n");
	rf_resp_map(&reply, 2, 3);
	EXPECT("*6\r\n");
	rf_resp_map(&reply, 3, 3);
	EXPECT("%3\r\n");
	rf_resp_set(&reply, 2, 3);
	EXPECT("*3\r\n");
	rf_resp_set(&reply, 3, 3);
	EXPECT("~3\r\n");
	rf_resp_verbatim(&reply, 2, "a\nb", 3);
	EXPECT("$3\r\na\nb\r\n");
	rf_resp_verbatim(&reply, 3, "a\nb", 3);
	EXPECT("=7\r\ntxt:a\nb\r\n");
}

static void doubles_have_17_digits_and_are_exact(void **state)
{
	double value;

	(void)state;
	rf_resp_double(&reply, 2, 0.1);
	EXPECT("$19\r\n0.10000000000000001\r\n");
	rf_resp_double(&reply, 3, 0.1);
	EXPECT(",0.10000000000000001\r\n");
	rf_resp_double(&reply, 3, 1.5);
	EXPECT(",1.5\r\n");
	rf_resp_double(&reply, 3, 3);
	EXPECT(",3\r\n");
	rf_resp_double(&reply, 3, 0);
	EXPECT(",0\r\n");
	rf_resp_double(&reply, 3, -0.0);
	EXPECT(",-0\r\n");
	rf_resp_double(&reply, 3, 9007199254740993.0);
	EXPECT(",9007199254740992\r\n");
	rf_resp_double(&reply, 3, -99999999999999984.0);
	EXPECT(",-99999999999999984\r\n");
	rf_resp_double(&reply, 3, 1e17);
	EXPECT(",1e+17\r\n");
	rf_resp_double(&reply, 3, -1e300);
	EXPECT(",-1.0000000000000001e+300\r\n");
	rf_resp_double(&reply, 3, -INFINITY);
	EXPECT(",-inf\r\n");
	rf_resp_double(&reply, 2, INFINITY);
	EXPECT("$3\r\ninf\r\n");
	rf_resp_double(&reply, 3, NAN);
	EXPECT(",nan\r\n");
	for (int i = 0; i < 10000; i++) {
		uint64_t word = random_word();

		memcpy(&value, &word, sizeof value);
		if (isnan(value) || isinf(value))
			continue;
		rf_resp_double(&reply, 3, value);
		reply.bytes[reply.used] = '\0';
		assert_true(strtod(reply.bytes + 1, NULL) == value);
		reply.used = 0;
	}
}

static void a_header_can_follow_its_values(void **state)
{
	(void)state;
	rf_resp_simple(&reply, "before");
	rf_resp_int(&reply, 1);
	rf_resp_int(&reply, 2);
	rf_resp_array_at(&reply, 9, 2);
	EXPECT("+before\r\n*2\r\n:1\r\n:2\r\n");
}

static void nothing_is_written_once_an_error_has_stuck(void **state)
{
	(void)state;
	reply.refuse = true;
	rf_resp_simple(&reply, "OK");
	rf_resp_error(&reply, "ERR");
	rf_resp_int(&reply, 1);
	rf_resp_bulk(&reply, "x", 1);
	rf_resp_null(&reply, 2);
	rf_resp_double(&reply, 2, 1.5);
	rf_resp_double(&reply, 3, 1.5);
	rf_resp_verbatim(&reply, 3, "x", 1);
	assert_int_equal(reply.used, 0);
	reply.refuse = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_as_the_protocol_says),
		cmocka_unit_test(strings_may_hold_any_byte),
		cmocka_unit_test(an_error_stays_on_its_line),
		cmocka_unit_test(the_protocols_differ_where_they_should),
		cmocka_unit_test(doubles_have_17_digits_and_are_exact),
		cmocka_unit_test(a_header_can_follow_its_values),
		cmocka_unit_test(nothing_is_written_once_an_error_has_stuck),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
