/* SPDX-License-Identifier: MIT */
/* resp.c -- the Redis protocol: arrays of bulk strings, and inline commands.
 *
 *   *2\r\n $3\r\n GET\r\n $1\r\n k\r\n        or        GET k\r\n
 *
 * The idea. A request is a count, then heads and bodies in turn. After each
 * part that was understood, `done` moves behind it, and parsing resumes there:
 * nothing is read twice, however the bytes were cut.
 *
 *                  parse_start              parse_head
 *   CODEC_AT_START ------------> AT_HEAD ------------> AT_BODY
 *         | inline, *0, *-1         ^                     |
 *         v                         +---------------------+ parse_body
 *   CODEC_AT_END <----------------------------------------+ (the last one)
 *
 * Rules:
 *   R1  a length is a claim: it is compared with the limits, and decides when
 *       to stop reading, never how much memory to take
 *   R2  the result is a function of the bytes: a limit is on the position of
 *       the line's end, not on how much happened to be there
 *   R3  what redis 7.0 accepts or refuses, and its words, are ours. It does
 *       not look at the byte after a \r, nor at the two after a body.
 */
#include "codec.h"
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A line: an inline command, or the head of an array or a bulk string. */
#define LINE_BYTES_MAX	 65536
#define NUMBER_BYTES_MAX 18 /* digits that cannot overflow an int64_t */

static enum codec_result fail(struct codec_request *req, const char *what)
{
	snprintf(
		req->error, sizeof(req->error), "ERR Protocol error: %s", what);
	return CODEC_ERROR;
}

static enum codec_result fail_memory(struct codec_request *req)
{
	snprintf(req->error, sizeof(req->error),
		"OOM the front end has no memory for this request");
	return CODEC_ERROR;
}

/* The message must fit what carries it: argc, lengths, bytes. */
static bool exceeds(const struct codec_request *req, uint64_t more,
	const struct codec_limits *limits)
{
	uint64_t need = sizeof(uint32_t) * (1 + (uint64_t)req->argc_declared) +
			req->argv_bytes;

	return need > limits->request_bytes_max ||
	       more > limits->request_bytes_max - need;
}

static enum codec_result fail_exceeds(
	struct codec_request *req, const struct codec_limits *limits)
{
	snprintf(req->error, sizeof(req->error),
		"ERR Protocol error: request exceeds max_request (%zu bytes)",
		limits->request_bytes_max);
	return CODEC_ERROR;
}

static enum codec_result whole(struct codec_request *req)
{
	req->state = CODEC_AT_END;
	req->bytes = req->done;
	return CODEC_REQUEST;
}

/* ---- numbers ---- */

/* The number between in[from] and the next \r, in its one valid spelling (no
 * sign but -, no leading zero).
 * Returns the position of the \r; 0 when it is no such number, or not all of
 * it is here. */
static size_t read_number(
	const uint8_t *in, size_t bytes, size_t from, int64_t *value)
{
	size_t at = from + (from < bytes && in[from] == '-');
	size_t digits = at;
	int64_t number = 0;

	while (at < bytes && in[at] >= '0' && in[at] <= '9' &&
		at - digits < NUMBER_BYTES_MAX)
		number = number * 10 + (in[at++] - '0');
	if (at == digits || at >= bytes || in[at] != '\r')
		return 0;
	if (in[digits] == '0' && (at - from) != 1)
		return 0;
	*value = digits > from ? -number : number;
	return at;
}

/* One head line at `done`: mark, number, \r and any byte. Moves `done` behind
 * it and returns CODEC_REQUEST (meaning: go on). Not *valid: the line is
 * something else. */
static enum codec_result read_head(struct codec_request *req, const uint8_t *in,
	size_t bytes, uint8_t mark, int64_t *value, bool *valid)
{
	const uint8_t *found;
	size_t end = 0;

	if (req->done < bytes && in[req->done] == mark)
		end = read_number(in, bytes, req->done + 1, value);
	*valid = end != 0;
	if (!end) {
		if (req->seen < req->done)
			req->seen = req->done;
		found = memchr(in + req->seen, '\r', bytes - req->seen);
		end = found ? (size_t)(found - in) : bytes;
		req->seen = end;
	}
	if (end - req->done > LINE_BYTES_MAX)
		return CODEC_ERROR;
	if (end + 1 >= bytes)
		return CODEC_MORE;
	req->done = end + 2;
	return CODEC_REQUEST;
}

/* ---- arrays ---- */

static enum codec_result parse_array(struct codec_request *req,
	const uint8_t *in, size_t bytes, const struct codec_limits *limits)
{
	int64_t count = 0;
	bool valid;
	enum codec_result got = read_head(req, in, bytes, '*', &count, &valid);

	if (got == CODEC_ERROR)
		return fail(req, "too big mbulk count string");
	if (got == CODEC_MORE)
		return got;
	if (!valid || count > CODEC_ARGC_MAX)
		return fail(req, "invalid multibulk length");
	if (count <= 0)
		return whole(req);
	req->argc_declared = (uint32_t)count;
	if (exceeds(req, 0, limits))
		return fail_exceeds(req, limits);
	req->state = CODEC_AT_HEAD;
	return CODEC_MORE;
}

static enum codec_result parse_head(struct codec_request *req,
	const uint8_t *in, size_t bytes, const struct codec_limits *limits)
{
	size_t start = req->done;
	int64_t length = 0;
	bool valid;
	enum codec_result got = read_head(req, in, bytes, '$', &length, &valid);

	if (got == CODEC_ERROR)
		return fail(req, "too big bulk count string");
	if (got == CODEC_MORE)
		return got;
	if (in[start] != '$') {
		char what[] = "expected '$', got '?'";

		what[sizeof(what) - 3] = (char)in[start];
		return fail(req, what);
	}
	if (!valid || length < 0 ||
		(uint64_t)length > limits->request_bytes_max)
		return fail(req, "invalid bulk length");
	if (exceeds(req, (uint64_t)length, limits))
		return fail_exceeds(req, limits);
	req->body_bytes = (uint32_t)length;
	req->state = CODEC_AT_BODY;
	return CODEC_MORE;
}

static enum codec_result parse_body(struct codec_request *req, size_t bytes)
{
	size_t need = (size_t)req->body_bytes + 2;

	if (bytes - req->done < need)
		return CODEC_MORE;
	if (codec_request_add(req, req->done, req->body_bytes))
		return fail_memory(req);
	req->done += need;
	if (req->argc == req->argc_declared)
		return whole(req);
	req->state = CODEC_AT_HEAD;
	return CODEC_MORE;
}

/* ---- inline commands ---- */

struct line { /* its words are not longer than itself */
	const uint8_t *at;
	size_t bytes;
	size_t read;
	uint8_t *words;
	size_t written;
};

static int hex(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (uint8_t)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Behind a backslash inside "": \xHH, \n and the like; else the byte itself. */
static uint8_t read_escape(struct line *line)
{
	static const char names[] = "nrtba";
	static const char values[] = "\n\r\t\b\a";
	const uint8_t *p = line->at + line->read;
	const char *name;

	if (line->bytes - line->read >= 3 && p[0] == 'x' && hex(p[1]) >= 0 &&
		hex(p[2]) >= 0) {
		line->read += 3;
		return (uint8_t)(hex(p[1]) << 4 | hex(p[2]));
	}
	line->read++;
	name = p[0] ? strchr(names, p[0]) : NULL;
	return name ? (uint8_t)values[name - names] : p[0];
}

/* Up to the closing quote, which must end the argument. */
static bool read_quoted(struct line *line, uint8_t quote)
{
	while (line->read < line->bytes) {
		uint8_t c = line->at[line->read++];
		bool more = line->read < line->bytes;

		if (c == quote)
			return !more || isspace(line->at[line->read]);
		if (c == '\\' && more && quote == '"')
			c = read_escape(line);
		else if (c == '\\' && more && line->at[line->read] == quote)
			c = line->at[line->read++];
		line->words[line->written++] = c;
	}
	return false;
}

static bool read_word(struct line *line)
{
	while (line->read < line->bytes) {
		uint8_t c = line->at[line->read++];

		if (c == '"' || c == '\'') {
			if (!read_quoted(line, c))
				return false;
			continue;
		}
		if (c == ' ' || c == '\t' || c == '\r')
			break;
		line->words[line->written++] = c;
	}
	return true;
}

static enum codec_result split_line(struct codec_request *req,
	const uint8_t *in, size_t bytes, const struct codec_limits *limits)
{
	struct line line = {.at = in, .bytes = bytes};

	if (codec_request_text(req, bytes ? bytes : 1))
		return fail_memory(req);
	line.words = req->text;
	for (;;) {
		size_t start = line.written;

		while (line.read < bytes && isspace(in[line.read]))
			line.read++;
		if (line.read == bytes)
			break;
		if (!read_word(&line))
			return fail(req, "unbalanced quotes in request");
		if (codec_request_add(req, start, line.written - start))
			return fail_memory(req);
	}
	if (codec_payload_bytes(req) > limits->request_bytes_max)
		return fail_exceeds(req, limits);
	return whole(req);
}

static enum codec_result parse_inline(struct codec_request *req,
	const uint8_t *in, size_t bytes, const struct codec_limits *limits)
{
	const uint8_t *found = memchr(in + req->seen, '\n', bytes - req->seen);
	size_t end = found ? (size_t)(found - in) : bytes;

	req->seen = end;
	if (end > LINE_BYTES_MAX)
		return fail(req, "too big inline request");
	if (!found)
		return CODEC_MORE;
	req->done = end + 1;
	return split_line(req, in, end - (end && in[end - 1] == '\r'), limits);
}

/* ---- the whole ---- */

static enum codec_result resp_parse(struct codec_request *req,
	const uint8_t *in, size_t bytes, const struct codec_limits *limits)
{
	enum codec_state before;
	enum codec_result got = CODEC_MORE;

	if (req->state == CODEC_AT_END)
		return CODEC_REQUEST;
	if (req->state == CODEC_AT_START) {
		if (bytes == 0)
			return CODEC_MORE;
		if (in[0] != '*')
			return parse_inline(req, in, bytes, limits);
		got = parse_array(req, in, bytes, limits);
	}
	do {
		before = req->state;
		if (before == CODEC_AT_HEAD)
			got = parse_head(req, in, bytes, limits);
		else if (before == CODEC_AT_BODY)
			got = parse_body(req, bytes);
	} while (got == CODEC_MORE && req->state != before);
	return got;
}

/* An error is one line, whatever its text. */
static size_t resp_encode_error(
	uint8_t *out, const void *text, size_t text_bytes)
{
	const uint8_t *from = text;

	*out++ = '-';
	for (size_t i = 0; i < text_bytes; i++) {
		bool breaks = from[i] == '\r' || from[i] == '\n';

		*out++ = breaks ? ' ' : from[i];
	}
	*out++ = '\r';
	*out++ = '\n';
	return text_bytes + CODEC_ERROR_FRAME;
}

const struct codec codec_resp = {
	.name = "resp",
	.parse = resp_parse,
	.encode_error = resp_encode_error,
};
