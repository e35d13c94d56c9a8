/* SPDX-License-Identifier: MIT */
/* wire.c -- a request between reforkctl and the daemon, as one line.
 *
 * An empty word is written as a lone "%", since two spaces are one.
 */
#include "wire.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* Printable, and neither the space nor the percent sign itself. */
static bool stands_for_itself(unsigned char c)
{
	return c > ' ' && c < 0x7f && c != '%';
}

/* Returns the bytes used; `to` has room for 3 * strlen(word) + 2. */
static size_t put_word(char *to, const char *word)
{
	static const char digits[] = "0123456789ABCDEF";
	char *at = to;

	if (!*word)
		*at++ = '%';
	for (; *word; word++) {
		unsigned char c = (unsigned char)*word;

		if (stands_for_itself(c)) {
			*at++ = (char)c;
			continue;
		}
		*at++ = '%';
		*at++ = digits[c >> 4];
		*at++ = digits[c & 15];
	}
	return (size_t)(at - to);
}

int wire_pack(char line[WIRE_LINE_BYTES_MAX], char *const *words, int count)
{
	size_t used = 0;

	for (int i = 0; i < count; i++) {
		size_t length = strlen(words[i]);

		if (length > WIRE_LINE_BYTES_MAX ||
			3 * length + 3 > WIRE_LINE_BYTES_MAX - used)
			return -EMSGSIZE;
		if (i)
			line[used++] = ' ';
		used += put_word(line + used, words[i]);
	}
	line[used++] = '\n';
	return (int)used;
}

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* In place: what is decoded is never longer. */
static bool decode(char *word)
{
	char *to = word;

	if (!strcmp(word, "%")) {
		*word = 0;
		return true;
	}
	for (const char *from = word; *from; from++) {
		int high, low;

		if (*from != '%') {
			if (!stands_for_itself((unsigned char)*from))
				return false;
			*to++ = *from;
			continue;
		}
		high = digit_value(from[1]);
		low = high < 0 ? -1 : digit_value(from[2]);
		if (low < 0 || high + low == 0)
			return false;
		*to++ = (char)(high << 4 | low);
		from += 2;
	}
	*to = 0;
	return true;
}

int wire_unpack(char *line, char *words[WIRE_WORDS_MAX])
{
	char *rest;
	int count = 0;

	for (char *word = strtok_r(line, " ", &rest); word;
		word = strtok_r(NULL, " ", &rest)) {
		if (count == WIRE_WORDS_MAX)
			return -E2BIG;
		if (!decode(word))
			return -EBADMSG;
		words[count++] = word;
	}
	return count;
}
