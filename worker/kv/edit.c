/* SPDX-License-Identifier: MIT */
/* edit.c -- commands that change or show part of a string, or count in it. */
#include "kv.h"
#include <math.h>

/* ---- parts ---- */

/* Write at `off` of a string that may not exist; reply its new length. */
static void write_at(struct kv_call *call, struct rf_dict_entry *entry,
	size_t off, struct rf_bytes text)
{
	if (text.bytes > kv_string_bytes_max ||
		off > kv_string_bytes_max - text.bytes) {
		rf_resp_error(call->reply, KV_ERR_LONG);
		return;
	}
	if (entry == NULL)
		entry = kv_set(call->argv[1], "", 0);
	if (entry == NULL || kv_value_write(entry, off, text.at, text.bytes))
		return;
	if (rf_tx_error() == 0)
		rf_resp_int(call->reply, kv_value_of(entry)->bytes);
}

void kv_cmd_append(struct kv_call *call)
{
	struct rf_dict_entry *entry = kv_find(call->now_ms, call->argv[1]);

	write_at(call, entry, entry != NULL ? kv_value_of(entry)->bytes : 0,
		call->argv[2]);
}

void kv_cmd_setrange(struct kv_call *call)
{
	struct rf_dict_entry *entry;
	int64_t off;

	if (!kv_arg_int(call, 2, &off))
		return;
	if (off < 0) {
		rf_resp_error(call->reply, "ERR offset is out of range");
		return;
	}
	entry = kv_find(call->now_ms, call->argv[1]);
	if (call->argv[3].bytes == 0)
		rf_resp_int(call->reply,
			entry != NULL ? kv_value_of(entry)->bytes : 0);
	else
		write_at(call, entry, (size_t)off, call->argv[3]);
}

void kv_cmd_getrange(struct kv_call *call)
{
	struct rf_dict_entry *entry;
	const struct kv_value *value;
	int64_t from, to, bytes;

	if (!kv_arg_int(call, 2, &from) || !kv_arg_int(call, 3, &to))
		return;
	entry = kv_find(call->now_ms, call->argv[1]);
	value = entry != NULL ? kv_value_of(entry) : NULL;
	bytes = value != NULL ? value->bytes : 0;
	if (from < 0 && to < 0 && from > to)
		bytes = 0;
	/* Negative positions count from the end. */
	from = from < 0 ? from + bytes : from;
	to = to < 0 ? to + bytes : to;
	from = from < 0 ? 0 : from;
	to = to < 0 ? 0 : to;
	to = to >= bytes ? bytes - 1 : to;
	if (from > to)
		rf_resp_bulk(call->reply, "", 0);
	else
		rf_resp_bulk(call->reply, value->text + from,
			(size_t)(to - from + 1));
}

void kv_cmd_substr(struct kv_call *call)
{
	kv_cmd_getrange(call);
}

/* ---- counting ---- */

/* The expiry of a key that stands is kept. */
static void store(struct kv_call *call, struct rf_dict_entry *entry,
	const char *text, size_t bytes)
{
	if (entry != NULL)
		kv_value_set(entry, text, bytes);
	else
		kv_set(call->argv[1], text, bytes);
}

static void add(struct kv_call *call, int64_t step)
{
	struct rf_dict_entry *entry = kv_find(call->now_ms, call->argv[1]);
	char text[RF_DECIMAL_MAX];
	int64_t number = 0;

	if (entry != NULL) {
		const struct kv_value *value = kv_value_of(entry);

		if (!kv_parse_int(value->text, value->bytes, &number)) {
			rf_resp_error(call->reply, KV_ERR_INT);
			return;
		}
	}
	if (__builtin_add_overflow(number, step, &number)) {
		rf_resp_error(call->reply,
			"ERR increment or decrement would overflow");
		return;
	}
	store(call, entry, text, rf_resp_decimal(text, number));
	rf_resp_int(call->reply, number);
}

void kv_cmd_incr(struct kv_call *call)
{
	add(call, 1);
}

void kv_cmd_decr(struct kv_call *call)
{
	add(call, -1);
}

void kv_cmd_incrby(struct kv_call *call)
{
	int64_t step;

	if (kv_arg_int(call, 2, &step))
		add(call, step);
}

void kv_cmd_decrby(struct kv_call *call)
{
	int64_t step;

	if (!kv_arg_int(call, 2, &step))
		return;
	if (step == INT64_MIN)
		rf_resp_error(call->reply, "ERR decrement would overflow");
	else
		add(call, -step);
}

void kv_cmd_incrbyfloat(struct kv_call *call)
{
	struct rf_dict_entry *entry = kv_find(call->now_ms, call->argv[1]);
	const struct kv_value *value;
	long double number = 0, step;
	char text[KV_FLOAT_MAX];
	size_t bytes;

	if (entry != NULL) {
		value = kv_value_of(entry);
		if (!kv_parse_float(value->text, value->bytes, &number)) {
			rf_resp_error(call->reply, KV_ERR_FLOAT);
			return;
		}
	}
	if (!kv_parse_float(call->argv[2].at, call->argv[2].bytes, &step)) {
		rf_resp_error(call->reply, KV_ERR_FLOAT);
		return;
	}
	number += step;
	if (isnan(number) || isinf(number)) {
		rf_resp_error(call->reply,
			"ERR increment would produce NaN or Infinity");
		return;
	}
	bytes = kv_format_float(text, number);
	store(call, entry, text, bytes);
	rf_resp_bulk(call->reply, text, bytes);
}
