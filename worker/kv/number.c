/* SPDX-License-Identifier: MIT */
/* number.c -- numbers in arguments and values, taken as redis takes them. */
#include "worker/kv/kv.h"
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

bool kv_parse_int(const char *from, size_t bytes, int64_t *out)
{
	bool negative = bytes > 0 && from[0] == '-';
	uint64_t limit = (uint64_t)INT64_MAX + negative;
	uint64_t value = 0;

	if (negative) {
		from++;
		bytes--;
	}
	if (bytes == 0 || bytes > 19)
		return false;
	if (from[0] == '0' && (bytes > 1 || negative))
		return false;
	for (size_t i = 0; i < bytes; i++) {
		unsigned digit = (unsigned char)from[i] - (unsigned)'0';

		if (digit > 9)
			return false;
		value = value * 10 + digit; /* 19 digits fit 64 bits */
	}
	if (value > limit)
		return false;
	*out = (int64_t)(negative ? -value : value);
	return true;
}

bool kv_parse_float(const char *from, size_t bytes, long double *out)
{
	char text[KV_FLOAT_MAX];
	char *end;
	long double value;

	if (bytes == 0 || bytes >= sizeof text || isspace((uint8_t)from[0]))
		return false;
	memcpy(text, from, bytes);
	text[bytes] = '\0';
	errno = 0;
	value = strtold(text, &end);
	if (end != text + bytes || isnan(value))
		return false;
	if (errno == ERANGE && (isinf(value) || value == 0))
		return false;
	*out = value;
	return true;
}

/* 17 digits behind the point, zeros at the end left out. */
size_t kv_format_float(char to[KV_FLOAT_MAX], long double value)
{
	size_t bytes = (size_t)snprintf(to, KV_FLOAT_MAX, "%.17Lf", value);

	if (bytes >= KV_FLOAT_MAX)
		return 0;
	if (strchr(to, '.') != NULL) {
		while (to[bytes - 1] == '0')
			bytes--;
		if (to[bytes - 1] == '.')
			bytes--;
	}
	if (bytes == 2 && memcmp(to, "-0", 2) == 0) {
		to[0] = '0';
		bytes = 1;
	}
	return bytes;
}

bool kv_arg_int(struct kv_call *call, uint32_t index, int64_t *out)
{
	struct rf_bytes arg = call->argv[index];

	if (rf_likely(kv_parse_int(arg.at, arg.bytes, out)))
		return true;
	rf_resp_error(call->reply, KV_ERR_INT);
	return false;
}

bool kv_arg_range(struct kv_call *call, uint32_t index, int64_t min,
	int64_t max, int64_t *out, const char *error)
{
	struct rf_bytes arg = call->argv[index];

	if (rf_likely(kv_parse_int(arg.at, arg.bytes, out) && *out >= min &&
		      *out <= max))
		return true;
	rf_resp_error(call->reply, "%s", error != NULL ? error : KV_ERR_INT);
	return false;
}

bool kv_parse_double(const char *from, size_t bytes, double *out)
{
	char text[KV_FLOAT_MAX];
	char *end;
	double value;

	if (bytes == 0 || bytes >= sizeof text || isspace((uint8_t)from[0]))
		return false;
	memcpy(text, from, bytes);
	text[bytes] = '\0';
	errno = 0;
	value = strtod(text, &end);
	if (end != text + bytes || isnan(value))
		return false;
	if (errno == ERANGE && (isinf(value) || value == 0))
		return false;
	*out = value;
	return true;
}

bool kv_arg_double(struct kv_call *call, uint32_t index, double *out)
{
	struct rf_bytes arg = call->argv[index];

	if (rf_likely(kv_parse_double(arg.at, arg.bytes, out)))
		return true;
	rf_resp_error(call->reply, KV_ERR_FLOAT);
	return false;
}

bool kv_arg_cursor(struct kv_call *call, uint32_t index, uint64_t *cursor)
{
	const char *at = call->argv[index].at;
	const char *end = at + call->argv[index].bytes;
	bool negative = at < end && *at == '-';
	bool good = true;

	*cursor = 0;
	if (at < end && (*at == '-' || *at == '+'))
		good = ++at < end;
	for (; at < end; at++) {
		unsigned digit = (uint8_t)*at - (unsigned)'0';

		good &= digit <= 9 &&
			!__builtin_mul_overflow(*cursor, 10u, cursor) &&
			!__builtin_add_overflow(*cursor, digit, cursor);
	}
	if (!good)
		rf_resp_error(call->reply, "ERR invalid cursor");
	if (negative)
		*cursor = -*cursor;
	return good;
}
