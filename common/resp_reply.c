/* SPDX-License-Identifier: MIT */
/* resp_reply.c -- values of the Redis protocol, written onto a reply.
 *
 * The common ones take room once and write straight into the reply ring.
 */
#include <math.h>
#include <refork/resp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES_MAX	24 /* type, a 64-bit number, CR LF */
#define ERROR_BYTES_MAX 1024

size_t rf_resp_decimal(char *to, int64_t value)
{
	uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;
	char digits[RF_DECIMAL_MAX];
	size_t at = sizeof digits, count;

	do {
		digits[--at] = (char)('0' + rest % 10);
		rest /= 10;
	} while (rest > 0);
	if (value < 0)
		digits[--at] = '-';
	count = sizeof digits - at;
	memcpy(to, digits + at, count);
	return count;
}

static char *put_line(char *to, char type, int64_t value)
{
	*to++ = type;
	to += rf_resp_decimal(to, value);
	*to++ = '\r';
	*to++ = '\n';
	return to;
}

static void line(struct rf_reply *reply, char type, int64_t value)
{
	char *room = rf_reply_room(reply, LINE_BYTES_MAX);

	if (rf_likely(room != NULL))
		rf_reply_took(
			reply, (size_t)(put_line(room, type, value) - room));
}

void rf_resp_simple(struct rf_reply *reply, const char *text)
{
	size_t bytes = strlen(text);
	char *room = rf_reply_room(reply, bytes + 3);

	if (rf_unlikely(room == NULL))
		return;
	room[0] = '+';
	memcpy(room + 1, text, bytes);
	memcpy(room + 1 + bytes, "\r\n", 2);
	rf_reply_took(reply, bytes + 3);
}

void rf_resp_error(struct rf_reply *reply, const char *format, ...)
{
	char text[ERROR_BYTES_MAX];
	va_list args;

	text[0] = '-';
	va_start(args, format);
	vsnprintf(text + 1, sizeof text - 1, format, args);
	va_end(args);
	for (char *at = text; *at != '\0'; at++)
		if (*at == '\r' || *at == '\n')
			*at = ' ';
	rf_reply_bytes(reply, text, strlen(text));
	rf_reply_bytes(reply, "\r\n", 2);
}

void rf_resp_int(struct rf_reply *reply, int64_t value)
{
	line(reply, ':', value);
}

void rf_resp_bulk(struct rf_reply *reply, const void *from, size_t bytes)
{
	char *room = rf_reply_room(reply, LINE_BYTES_MAX + bytes + 2);
	char *to;

	if (rf_unlikely(room == NULL))
		return;
	to = put_line(room, '$', (int64_t)bytes);
	if (bytes > 0)
		memcpy(to, from, bytes);
	memcpy(to + bytes, "\r\n", 2);
	rf_reply_took(reply, (size_t)(to - room) + bytes + 2);
}

void rf_resp_bulk_text(struct rf_reply *reply, const char *text)
{
	rf_resp_bulk(reply, text, strlen(text));
}

void rf_resp_bulk_int(struct rf_reply *reply, int64_t value)
{
	char text[RF_DECIMAL_MAX];

	rf_resp_bulk(reply, text, rf_resp_decimal(text, value));
}

void rf_resp_null(struct rf_reply *reply, int proto)
{
	if (proto >= 3)
		rf_reply_bytes(reply, "_\r\n", 3);
	else
		rf_reply_bytes(reply, "$-1\r\n", 5);
}

void rf_resp_double(struct rf_reply *reply, int proto, double value)
{
	char text[40] = ",";
	int bytes = 0;

	if (isinf(value))
		bytes = sprintf(text + 1, "%s", value > 0 ? "inf" : "-inf");
	else if (isnan(value))
		bytes = sprintf(text + 1, "nan");
	else
		for (int digits = 15; digits <= 17; digits++) {
			bytes = sprintf(text + 1, "%.*g", digits, value);
			if (strtod(text + 1, NULL) == value)
				break;
		}
	if (proto >= 3) {
		rf_reply_bytes(reply, text, (size_t)bytes + 1);
		rf_reply_bytes(reply, "\r\n", 2);
	} else {
		rf_resp_bulk(reply, text + 1, (size_t)bytes);
	}
}

void rf_resp_verbatim(
	struct rf_reply *reply, int proto, const char *from, size_t bytes)
{
	if (proto < 3) {
		rf_resp_bulk(reply, from, bytes);
		return;
	}
	line(reply, '=', (int64_t)bytes + 4);
	rf_reply_bytes(reply, "txt:", 4);
	rf_reply_bytes(reply, from, bytes);
	rf_reply_bytes(reply, "\r\n", 2);
}

void rf_resp_array(struct rf_reply *reply, size_t count)
{
	line(reply, '*', (int64_t)count);
}

void rf_resp_map(struct rf_reply *reply, int proto, size_t pairs)
{
	if (proto >= 3)
		line(reply, '%', (int64_t)pairs);
	else
		line(reply, '*', (int64_t)pairs * 2);
}

void rf_resp_set(struct rf_reply *reply, int proto, size_t count)
{
	line(reply, proto >= 3 ? '~' : '*', (int64_t)count);
}

void rf_resp_array_at(struct rf_reply *reply, size_t mark, size_t count)
{
	char text[LINE_BYTES_MAX];

	rf_reply_insert(reply, mark, text,
		(size_t)(put_line(text, '*', (int64_t)count) - text));
}
