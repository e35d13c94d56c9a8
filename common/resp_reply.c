/* SPDX-License-Identifier: MIT */
/* resp_reply.c -- values of the Redis protocol, written onto a reply.
 *
 * The common ones take room once and write straight into the reply ring.
 */
#include <math.h>
#include <refork/resp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LINE_BYTES_MAX	24 /* type, a 64-bit number, CR LF */
#define ERROR_BYTES_MAX 1024

static const char two_digits[] =
	"00010203040506070809101112131415161718192021222324"
	"25262728293031323334353637383940414243444546474849"
	"50515253545556575859606162636465666768697071727374"
	"75767778798081828384858687888990919293949596979899";

static inline unsigned digits_of(uint64_t number)
{
	uint64_t limit = 10;
	unsigned count = 1;

	for (; count < 20 && number >= limit; limit *= 10)
		count++;
	return count;
}

/* Two digits at a time, from the last to the first. */
static inline size_t put_decimal(char *to, int64_t value)
{
	uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;
	char *end = to + (value < 0) + digits_of(rest);
	char *at = end;

	*to = '-';
	for (; rest >= 100; rest /= 100)
		memcpy(at -= 2, &two_digits[rest % 100 * 2], 2);
	if (rest >= 10)
		memcpy(at - 2, &two_digits[rest * 2], 2);
	else
		at[-1] = (char)('0' + rest);
	return (size_t)(end - to);
}

size_t rf_resp_decimal(char *to, int64_t value)
{
	return put_decimal(to, value);
}

static char *put_line(char *to, char type, int64_t value)
{
	*to++ = type;
	to += put_decimal(to, value);
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

static uint64_t errors;
static char last_error[32];

uint64_t rf_resp_errors(void)
{
	return errors;
}

const char *rf_resp_last_error(void)
{
	return last_error;
}

static void remember_error(const char *text)
{
	size_t bytes = strcspn(text, " ");

	if (bytes >= sizeof last_error)
		bytes = sizeof last_error - 1;
	memcpy(last_error, text, bytes);
	last_error[bytes] = '\0';
	errors++;
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
	remember_error(text + 1);
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

void rf_resp_null_array(struct rf_reply *reply, int proto)
{
	if (proto >= 3)
		rf_reply_bytes(reply, "_\r\n", 3);
	else
		rf_reply_bytes(reply, "*-1\r\n", 5);
}

void rf_resp_bool(struct rf_reply *reply, int proto, bool value)
{
	if (proto >= 3)
		rf_reply_bytes(reply, value ? "#t\r\n" : "#f\r\n", 4);
	else
		line(reply, ':', value);
}

/* Whole numbers below this are written without an exponent. */
#define PLAIN_BELOW 1e17

/* As "%.17g" does it. Returns how many bytes; at most 24. */
static size_t put_double(char *to, double value)
{
	if (isinf(value))
		return (size_t)sprintf(to, "%s", value > 0 ? "inf" : "-inf");
	if (isnan(value))
		return (size_t)sprintf(to, "nan");
	if (fabs(value) < PLAIN_BELOW && value == (double)(int64_t)value &&
		(value != 0 || !signbit(value)))
		return rf_resp_decimal(to, (int64_t)value);
	return (size_t)sprintf(to, "%.17g", value);
}

void rf_resp_double(struct rf_reply *reply, int proto, double value)
{
	char text[1 + 32] = ",";
	size_t bytes = put_double(text + 1, value);

	if (proto >= 3) {
		rf_reply_bytes(reply, text, bytes + 1);
		rf_reply_bytes(reply, "\r\n", 2);
	} else {
		rf_resp_bulk(reply, text + 1, bytes);
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

void rf_resp_push(struct rf_reply *reply, int proto, size_t count)
{
	line(reply, proto >= 3 ? '>' : '*', (int64_t)count);
}

void rf_resp_array_at(struct rf_reply *reply, size_t mark, size_t count)
{
	char text[LINE_BYTES_MAX];

	rf_reply_insert(reply, mark, text,
		(size_t)(put_line(text, '*', (int64_t)count) - text));
}
