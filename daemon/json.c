/* SPDX-License-Identifier: MIT */
/* json.c -- flat JSON, written. */
#include "json.h"

#include <inttypes.h>
#include <string.h>

static void put_key(FILE *out, const char *key)
{
	fprintf(out, ", \"%s\": ", key);
}

static void put_char(FILE *out, unsigned char c)
{
	if (c == '"' || c == '\\')
		fprintf(out, "\\%c", c);
	else if (c < ' ' || c == 0x7f)
		fprintf(out, "\\u%04x", c);
	else
		putc(c, out);
}

void json_begin(FILE *out)
{
	fputs("{\"schema\": 1", out);
}

void json_text(FILE *out, const char *key, const char *text)
{
	put_key(out, key);
	putc('"', out);
	for (; *text; text++)
		put_char(out, (unsigned char)*text);
	putc('"', out);
}

void json_number(FILE *out, const char *key, uint64_t number)
{
	put_key(out, key);
	fprintf(out, "%" PRIu64, number);
}

void json_signed(FILE *out, const char *key, int64_t number)
{
	put_key(out, key);
	fprintf(out, "%" PRId64, number);
}

void json_null(FILE *out, const char *key)
{
	put_key(out, key);
	fputs("null", out);
}

void json_bytes(FILE *out, const char *key, const void *bytes, size_t count)
{
	const unsigned char *from = bytes;

	put_key(out, key);
	putc('"', out);
	for (size_t i = 0; i < count; i++) {
		if (from[i] < 0x80)
			put_char(out, from[i]);
		else
			fprintf(out, "\\u%04x", from[i]);
	}
	putc('"', out);
}

void json_list_begin(FILE *out, const char *key)
{
	put_key(out, key);
	putc('[', out);
}

void json_list_item(FILE *out, bool first, const char *key, uint64_t number)
{
	fprintf(out, "%s{\"%s\": %" PRIu64, first ? "" : ", ", key, number);
}

void json_list_item_end(FILE *out)
{
	putc('}', out);
}

void json_list_end(FILE *out)
{
	putc(']', out);
}

void json_end(FILE *out)
{
	fputs("}\n", out);
}
