/* SPDX-License-Identifier: MIT */
/* test_wire.c -- requests between reforkctl and the daemon. */
#include "suite.h"

#include "daemon/wire.c"

static char line[WIRE_LINE_BYTES_MAX];
static char *words[WIRE_WORDS_MAX];

/* What arrives when these words are sent. */
static int carry(char *const *sent, int count)
{
	int bytes = wire_pack(line, sent, count);

	if (bytes <= 0)
		return bytes;
	assert_int_equal(line[bytes - 1], '\n');
	assert_null(memchr(line, '\n', (size_t)bytes - 1));
	line[bytes - 1] = 0;
	return wire_unpack(line, words);
}

static void what_is_packed_is_unpacked(void **unused)
{
	char *sent[] = {(char *)"upgrade", (char *)"text",
		(char *)"/a b/100%\n\t\x01\xff.so", (char *)"", (char *)"%"};

	(void)unused;
	assert_int_equal(carry(sent, 5), 5);
	for (int i = 0; i < 5; i++)
		assert_string_equal(words[i], sent[i]);
}

static void every_byte_survives(void **unused)
{
	char all[256];
	char *sent[] = {all};

	(void)unused;
	for (int i = 0; i < 255; i++)
		all[i] = (char)(i + 1);
	all[255] = 0;
	assert_int_equal(carry(sent, 1), 1);
	assert_string_equal(words[0], all);
}

static void plain_words_are_sent_as_they_are(void **unused)
{
	char *sent[] = {(char *)"crash-show", (char *)"json", (char *)"7"};

	(void)unused;
	assert_int_equal(wire_pack(line, sent, 3), 18);
	assert_memory_equal(line, "crash-show json 7\n", 18);
}

static void a_path_fits_whatever_it_holds(void **unused)
{
	char path[4096];
	char *sent[] = {(char *)"upgrade", (char *)"color", path};

	(void)unused;
	memset(path, '\xe4', sizeof(path) - 1);
	path[sizeof(path) - 1] = 0;
	assert_int_equal(carry(sent, 3), 3);
	assert_string_equal(words[2], path);
}

static void what_does_not_fit_is_refused_whole(void **unused)
{
	static char much[2 * WIRE_LINE_BYTES_MAX];
	char *sent[] = {much, much};

	(void)unused;
	memset(much, 'x', sizeof(much) - 1);
	assert_int_equal(carry(sent, 1), -EMSGSIZE);
	much[WIRE_LINE_BYTES_MAX / 3 - 2] = 0;
	assert_int_equal(carry(sent, 1), 1);
	memset(much, ' ', strlen(much));
	assert_int_equal(carry(sent, 1), 1);
	assert_int_equal(carry(sent, 2), -EMSGSIZE);
}

static int unpack(const char *text)
{
	snprintf(line, sizeof(line), "%s", text);
	return wire_unpack(line, words);
}

static void what_is_no_request_is_refused(void **unused)
{
	static const char *const bad[] = {"%4", "a %4", "%zz", "%00", "%4g",
		"\x01", "a\tb", "caf\xc3\xa9", "a %%", "a%"};

	(void)unused;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(unpack(bad[i]), -EBADMSG);
	assert_int_equal(unpack("a %"), 2);
	assert_string_equal(words[1], "");
	assert_int_equal(unpack("1 2 3 4 5 6"), 6);
	assert_int_equal(unpack("1 2 3 4 5 6 7"), -E2BIG);
	assert_int_equal(unpack(""), 0);
	assert_int_equal(unpack("   "), 0);
}

static void no_bytes_are_read_beyond_the_line(void **unused)
{
	(void)unused;
	for (int round = 0; round < 20000; round++) {
		size_t bytes = random_below(40);
		char *exact = malloc(bytes + 1);
		int count;

		assert_non_null(exact);
		random_fill(exact, bytes);
		for (size_t i = 0; i < bytes; i++)
			if (random_below(3))
				exact[i] = "% 40Az"[random_below(6)];
		exact[bytes] = 0;
		count = wire_unpack(exact, words);
		assert_true(count <= WIRE_WORDS_MAX);
		for (int i = 0; i < count; i++)
			assert_true(strlen(words[i]) <= bytes);
		free(exact);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_packed_is_unpacked),
		cmocka_unit_test(every_byte_survives),
		cmocka_unit_test(plain_words_are_sent_as_they_are),
		cmocka_unit_test(a_path_fits_whatever_it_holds),
		cmocka_unit_test(what_does_not_fit_is_refused_whole),
		cmocka_unit_test(what_is_no_request_is_refused),
		cmocka_unit_test(no_bytes_are_read_beyond_the_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
