/* SPDX-License-Identifier: MIT */
/* test_resp.c -- the RESP codec: what it reads, refuses, and when.
 *
 * A stream is turned into a transcript, "[SET|k|v]" for each request and
 * "!error" at its end. The same bytes must give the same transcript however
 * they are cut. Every piece stands in a block of its own, of exactly its size,
 * so that a sanitizer sees a read behind what has arrived.
 */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include "worker/network/codec.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array)   (sizeof(array) / sizeof((array)[0]))
#define LINE_MAX_BYTES 65536

struct stream {
	struct codec_request req;
	struct codec_limits limits;
	uint8_t *bytes; /* what is not understood yet */
	size_t count;
	bool broken;
	char *text;
	size_t text_bytes;
	FILE *transcript;
};

static void stream_init(struct stream *s, size_t limit)
{
	memset(s, 0, sizeof(*s));
	s->limits.request_bytes_max = limit;
	s->transcript = open_memstream(&s->text, &s->text_bytes);
}

static void stream_fini(struct stream *s)
{
	fclose(s->transcript);
	free(s->text);
	free(s->bytes);
	codec_request_fini(&s->req);
}

static void note_request(struct stream *s, const uint8_t *in)
{
	const uint8_t *from = s->req.text ? s->req.text : in;

	for (uint32_t i = 0; i < s->req.argc; i++) {
		fputc(i ? '|' : '[', s->transcript);
		fwrite(from + s->req.argv[i].off, 1, s->req.argv[i].bytes,
			s->transcript);
	}
	if (s->req.argc)
		fputc(']', s->transcript);
}

/* Drop what was understood, add a piece; all in a new, exact block. */
static void stream_move(
	struct stream *s, size_t done, const void *piece, size_t bytes)
{
	size_t rest = s->count - done;
	uint8_t *block = malloc(rest + bytes + !(rest + bytes));

	if (rest)
		memcpy(block, s->bytes + done, rest);
	if (bytes)
		memcpy(block + rest, piece, bytes);
	free(s->bytes);
	s->bytes = block;
	s->count = rest + bytes;
}

static void feed(struct stream *s, const void *piece, size_t bytes)
{
	size_t at = 0;
	enum codec_result got = CODEC_REQUEST;

	stream_move(s, 0, piece, bytes);
	while (!s->broken && at < s->count && got == CODEC_REQUEST) {
		got = codec_resp.parse(
			&s->req, s->bytes + at, s->count - at, &s->limits);
		if (got == CODEC_ERROR) {
			fprintf(s->transcript, "!%s", s->req.error);
			s->broken = true;
		} else if (got == CODEC_REQUEST) {
			note_request(s, s->bytes + at);
			at += s->req.bytes;
			assert_true(at <= s->count);
			codec_request_reset(&s->req);
		}
	}
	stream_move(s, at, NULL, 0);
}

static const char *transcript_of(struct stream *s)
{
	fflush(s->transcript);
	return s->text;
}

#define E "!ERR Protocol error: "

static const struct sample {
	const char *bytes;
	const char *transcript;
} samples[] = {
	/* arrays */
	{"*1\r\n$4\r\nPING\r\n", "[PING]"},
	{"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\na\r\n\nb\r\n",
		"[SET|k|a\r\n\nb]"},
	{"*2\r\n$4\r\nECHO\r\n$0\r\n\r\n", "[ECHO|]"},
	{"*2\r\n$3\r\nGET\r\n$10\r\n0123456789\r\n*1\r\n$4\r\nPING\r\n",
		"[GET|0123456789][PING]"},
	{"*0\r\n*-1\r\n*-17\r\n*1\r\n$1\r\nx\r\n", "[x]"},
	{"*2\r\n$3\r\nGET\r\n", ""},
	/* redis looks at neither of these two bytes */
	{"*1\rX$1\rXyZZ*1\r\n$1\r\nz\r\n", "[y][z]"},
	/* inline commands */
	{"PING\r\n", "[PING]"},
	{"PING\n", "[PING]"},
	{"\r\n\n  \r\nGET k\r\n", "[GET|k]"},
	{" \t SET  k\t v \r\n", "[SET|k|v]"},
	{"SET k \"a b\\x41\\x4g\\n\\\"\\q\"\r\n", "[SET|k|a bAx4g\n\"q]"},
	{"SET k 'a \\' \\n'\r\n", "[SET|k|a ' \\n]"},
	{"ECHO \"\" ''\r\n", "[ECHO||]"},
	{"ECHO a\"b c\"\r\nPING\r\n", "[ECHO|ab c][PING]"},
	{"PING\r\n*1\r\n$4\r\nPING\r\nPING\r\n", "[PING][PING][PING]"},
	/* what is refused */
	{"*x\r\n", E "invalid multibulk length"},
	{"*\r\n", E "invalid multibulk length"},
	{"*1x\r\n", E "invalid multibulk length"},
	{"*01\r\n", E "invalid multibulk length"},
	{"*+1\r\n", E "invalid multibulk length"},
	{"*-\r\n", E "invalid multibulk length"},
	{"*-0\r\n", E "invalid multibulk length"},
	{"*1048577\r\n", E "invalid multibulk length"},
	{"*99999999999999999999\r\n", E "invalid multibulk length"},
	{"*1\r\n!4\r\n", E "expected '$', got '!'"},
	{"*1\r\n\r\n", E "expected '$', got '\r'"},
	{"*1\r\n\r1\r\n", E "expected '$', got '\r'"},
	{"*1\r\n$\r\n", E "invalid bulk length"},
	{"*1\r\n$-1\r\n", E "invalid bulk length"},
	{"*1\r\n$4x\r\n", E "invalid bulk length"},
	{"*1\r\n$10000000000\r\n", E "invalid bulk length"},
	{"*1\r\n$18446744073709551615\r\n", E "invalid bulk length"},
	{"PING\r\n*1\r\nbad\r\n", "[PING]" E "expected '$', got 'b'"},
	{"GET \"k\r\n", E "unbalanced quotes in request"},
	{"GET 'k\r\n", E "unbalanced quotes in request"},
	{"GET \"k\"x\r\n", E "unbalanced quotes in request"},
	{"GET \"k\\\"\r\n", E "unbalanced quotes in request"},
};

static void expect_cut(const char *bytes, size_t count, size_t a, size_t b,
	const char *transcript)
{
	struct stream s;

	stream_init(&s, 1 << 20);
	feed(&s, bytes, a);
	feed(&s, bytes + a, b - a);
	feed(&s, bytes + b, count - b);
	assert_string_equal(transcript_of(&s), transcript);
	stream_fini(&s);
}

static void any_two_cuts_give_the_same_requests(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(samples); i++) {
		const struct sample *at = &samples[i];
		size_t count = strlen(at->bytes);

		for (size_t a = 0; a <= count; a++)
			for (size_t b = a; b <= count; b++)
				expect_cut(
					at->bytes, count, a, b, at->transcript);
	}
}

/* ---- limits ---- */

/* A line of `count` bytes before its end, starting with `head`. */
static void expect_line(
	const char *head, size_t count, const char *end, const char *transcript)
{
	static const size_t pieces[] = {1 << 20, LINE_MAX_BYTES, 4096, 1000};
	size_t bytes = count + strlen(end);
	char *line = malloc(bytes);

	memset(line, '1', count);
	memcpy(line, head, strlen(head));
	memcpy(line + count, end, strlen(end));
	for (size_t i = 0; i < COUNT(pieces); i++) {
		struct stream s;

		stream_init(&s, 1 << 20);
		for (size_t at = 0; at < bytes; at += pieces[i])
			feed(&s, line + at,
				bytes - at < pieces[i] ? bytes - at
						       : pieces[i]);
		assert_string_equal(transcript_of(&s), transcript);
		stream_fini(&s);
	}
	free(line);
}

static void a_line_may_have_64_kib(void **state)
{
	const size_t max = LINE_MAX_BYTES;
	const char head[] = "*1\r\n$";

	(void)state;
	expect_line("a \"", max, "\n", E "unbalanced quotes in request");
	expect_line("a \"", max + 1, "\n", E "too big inline request");
	expect_line("a \"", max + 1, "", E "too big inline request");
	expect_line("a \"", max, "", "");
	expect_line("*", max, "\r\n", E "invalid multibulk length");
	expect_line("*", max + 1, "\r\n", E "too big mbulk count string");
	expect_line("*", max + 1, "", E "too big mbulk count string");
	expect_line("*", max, "", "");
	expect_line(head, max + 4, "\r\n", E "invalid bulk length");
	expect_line(head, max + 5, "\r\n", E "too big bulk count string");
	expect_line(head, max + 5, "", E "too big bulk count string");
	expect_line(head, max + 4, "", "");
}

static void expect_limited(size_t limit, const char *bytes, const char *want)
{
	struct stream s;

	stream_init(&s, limit);
	feed(&s, bytes, strlen(bytes));
	assert_string_equal(transcript_of(&s), want);
	stream_fini(&s);
}

static void a_request_may_have_max_request_bytes(void **state)
{
	/* 4 for argc, 4 for each length, then the bytes */
	(void)state;
	expect_limited(13, "*2\r\n$1\r\na\r\n$0\r\n\r\n", "[a|]");
	expect_limited(12, "*2\r\n$1\r\na\r\n$0\r\n\r\n",
		E "request exceeds max_request (12 bytes)");
	expect_limited(
		11, "*2\r\n", E "request exceeds max_request (11 bytes)");
	expect_limited(12, "*2\r\n", "");
	expect_limited(16, "*2\r\n$17\r\n", E "invalid bulk length");
	expect_limited(
		16, "*2\r\n$5\r\n", E "request exceeds max_request (16 bytes)");
	expect_limited(
		14, "a bc\r\n", E "request exceeds max_request (14 bytes)");
	expect_limited(15, "a bc\r\n", "[a|bc]");
}

static void an_announced_length_takes_no_memory(void **state)
{
	struct stream s;

	(void)state;
	stream_init(&s, (size_t)1 << 30);
	feed(&s, "*1048576\r\n$500000000\r\n", 22);
	assert_string_equal(transcript_of(&s), "");
	assert_int_equal(s.req.argv_room, 0);
	stream_fini(&s);
}

/* ---- round trip ---- */

static uint32_t random_below(uint32_t limit)
{
	static uint64_t seed = 0x9e3779b97f4a7c15u;

	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % limit;
}

/* One random request, as RESP and as the payload it should become. */
static void make_request(FILE *wire, FILE *lengths, FILE *bytes)
{
	uint32_t argc = 1 + random_below(random_below(8) ? 5 : 300);

	fprintf(wire, "*%u\r\n", argc);
	fwrite(&argc, sizeof(argc), 1, lengths);
	for (uint32_t i = 0; i < argc; i++) {
		uint32_t size = random_below(random_below(4) ? 20 : 3000);

		fprintf(wire, "$%u\r\n", size);
		fwrite(&size, sizeof(size), 1, lengths);
		while (size--) {
			int c = (int)random_below(256);

			fputc(c, wire);
			fputc(c, bytes);
		}
		fputs("\r\n", wire);
	}
}

static void a_request_comes_out_as_it_went_in(void **state)
{
	char *text[3];
	size_t size[3];
	FILE *out[3];
	struct stream s;
	enum codec_result got = CODEC_MORE;
	uint8_t *payload;

	(void)state;
	for (int i = 0; i < 3; i++)
		out[i] = open_memstream(&text[i], &size[i]);
	make_request(out[0], out[1], out[2]);
	for (int i = 0; i < 3; i++)
		fclose(out[i]);
	stream_init(&s, 1 << 24);
	for (size_t at = 0; at < size[0];) {
		size_t piece = 1 + random_below(2000);

		assert_int_equal(got, CODEC_MORE);
		if (piece > size[0] - at)
			piece = size[0] - at;
		stream_move(&s, 0, text[0] + at, piece);
		got = codec_resp.parse(&s.req, s.bytes, s.count, &s.limits);
		at += piece;
	}
	assert_int_equal(got, CODEC_REQUEST);
	assert_int_equal(s.req.bytes, size[0]);
	assert_int_equal(codec_payload_bytes(&s.req), size[1] + size[2]);
	payload = malloc(size[1] + size[2]);
	codec_payload_write(payload, &s.req, s.bytes);
	assert_memory_equal(payload, text[1], size[1]);
	if (size[2])
		assert_memory_equal(payload + size[1], text[2], size[2]);
	free(payload);
	for (int i = 0; i < 3; i++)
		free(text[i]);
	stream_fini(&s);
}

static void random_requests_come_out_as_they_went_in(void **state)
{
	for (int i = 0; i < 500; i++)
		a_request_comes_out_as_it_went_in(state);
}

/* ---- the rest ---- */

static void a_copied_request_goes_on_where_it_was(void **state)
{
	struct stream s;
	struct codec_request copy = {0};

	(void)state;
	stream_init(&s, 1 << 20);
	feed(&s, "*3\r\n$1\r\na\r\n$1\r\nb\r\n$", 19);
	assert_int_equal(codec_request_copy(&copy, &s.req), 0);
	codec_request_fini(&s.req);
	s.req = copy;
	feed(&s, "1\r\nc\r\n", 6);
	assert_string_equal(transcript_of(&s), "[a|b|c]");
	stream_fini(&s);
}

static void an_error_is_one_line(void **state)
{
	static const char text[] = "OOM out\r\nof memory";
	uint8_t out[sizeof(text) - 1 + CODEC_ERROR_FRAME];
	size_t bytes = codec_resp.encode_error(out, text, sizeof(text) - 1);

	(void)state;
	assert_int_equal(bytes, sizeof(out));
	assert_memory_equal(out, "-OOM out  of memory\r\n", bytes);
}

static void codecs_are_found_by_name(void **state)
{
	(void)state;
	assert_ptr_equal(codec_find("resp"), &codec_resp);
	assert_null(codec_find("resp "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_two_cuts_give_the_same_requests),
		cmocka_unit_test(a_line_may_have_64_kib),
		cmocka_unit_test(a_request_may_have_max_request_bytes),
		cmocka_unit_test(an_announced_length_takes_no_memory),
		cmocka_unit_test(random_requests_come_out_as_they_went_in),
		cmocka_unit_test(a_copied_request_goes_on_where_it_was),
		cmocka_unit_test(an_error_is_one_line),
		cmocka_unit_test(codecs_are_found_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
