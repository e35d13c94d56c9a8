/* SPDX-License-Identifier: MIT */
/* request_text.c -- walks over a request's arguments without believing them.
 *
 * The lengths stand in front of the bytes, so a payload that was cut short may
 * announce more than is there: what is there is shown, and dots for the rest.
 */
#include "request_text.h"
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char dots[] = "...";

struct text {
	char *at;
	char *end; /* leaves room for the dots and the zero byte */
};

/* All of the piece or nothing of it. */
static bool put(struct text *out, const char *piece, size_t bytes)
{
	if (bytes > (size_t)(out->end - out->at))
		return false;
	memcpy(out->at, piece, bytes);
	out->at += bytes;
	return true;
}

static bool is_plain(uint8_t byte)
{
	return byte > ' ' && byte < 0x7f && byte != '"' && byte != '\\' &&
	       byte != '\'';
}

static bool put_byte(struct text *out, uint8_t byte)
{
	static const char named[] = "\"\\\n\r\t", names[] = "\"\\nrt";
	const char *name = byte != 0 ? strchr(named, byte) : NULL;
	char piece[5] = {(char)byte};
	int bytes = 1;

	if (name != NULL)
		bytes = snprintf(
			piece, sizeof piece, "\\%c", names[name - named]);
	else if (byte < ' ' || byte >= 0x7f)
		bytes = snprintf(piece, sizeof piece, "\\x%02x", byte);
	return put(out, piece, (size_t)bytes);
}

static bool put_word(struct text *out, const uint8_t *word, size_t bytes)
{
	bool quoted = bytes == 0;

	for (size_t i = 0; i < bytes && !quoted; i++)
		quoted = !is_plain(word[i]);
	if (quoted && !put(out, "\"", 1))
		return false;
	for (size_t i = 0; i < bytes; i++)
		if (!put_byte(out, word[i]))
			return false;
	return !quoted || put(out, "\"", 1);
}

/* Where the arguments' bytes begin; beyond `bytes` when they are not there. */
static size_t words_off(const uint8_t *payload, size_t bytes, uint32_t *argc)
{
	*argc = 0;
	if (bytes < sizeof *argc)
		return SIZE_MAX;
	memcpy(argc, payload, sizeof *argc);
	return sizeof *argc + (size_t)*argc * sizeof(uint32_t);
}

static uint32_t length_of(const uint8_t *payload, uint32_t word)
{
	uint32_t length;

	memcpy(&length, payload + sizeof length * (1 + (size_t)word),
		sizeof length);
	return length;
}

/* False: not all of it could be shown. */
static bool put_words(struct text *out, const uint8_t *payload, size_t bytes,
	uint32_t words_max)
{
	uint32_t argc;
	size_t off = words_off(payload, bytes, &argc);

	for (uint32_t i = 0; i < argc && i < words_max; i++) {
		size_t rest = off < bytes ? bytes - off : 0;
		size_t length = off <= bytes ? length_of(payload, i) : SIZE_MAX;

		if (i > 0 && !put(out, " ", 1))
			return false;
		if (length > rest) {
			if (rest > 0)
				put_word(out, payload + off, rest);
			return false;
		}
		if (!put_word(out, payload + off, length))
			return false;
		off += length;
	}
	return argc > 0;
}

size_t rf_request_text(const void *payload, size_t bytes, uint32_t words_max,
	char *out, size_t room)
{
	struct text text = {out, out + room - sizeof dots};

	if (!put_words(&text, payload, bytes, words_max)) {
		memcpy(text.at, dots, sizeof dots - 1);
		text.at += sizeof dots - 1;
	}
	*text.at = '\0';
	return (size_t)(text.at - out);
}

uint32_t rf_request_args(const void *payload, size_t bytes,
	struct rf_bytes *args, uint32_t args_max)
{
	const uint8_t *from = payload;
	uint32_t argc;
	size_t off = words_off(from, bytes, &argc);

	if (argc == 0 || off > bytes)
		return 0;
	for (uint32_t i = 0; i < argc; i++) {
		size_t length = length_of(from, i);

		if (length > bytes - off)
			return 0;
		if (i < args_max)
			args[i] = (struct rf_bytes){
				(const char *)from + off, length};
		off += length;
	}
	return off == bytes ? argc : 0;
}
