/* SPDX-License-Identifier: MIT */
/* count.c -- commands that count in a string: the INCR family. */
#include "worker/kv/string/string.h"
#include <math.h>

/* The expiry of a key that stands is kept. NULL: none does. */
static void store(struct kv_call *call, struct rf_dict_entry *entry,
	const char *text, size_t bytes, const char *event)
{
	if (entry != NULL)
		kv_overwrite(call, entry, text, bytes);
	else
		kv_set(call, call->argv[1], text, bytes, false);
	kv_changed(call, call->argv[1], KV_CLASS_STRING, event);
}

static void add(struct kv_call *call, int64_t step)
{
	struct rf_dict_entry *entry;
	char text[RF_DECIMAL_MAX];
	int64_t number = 0;

	if (!kv_find_string(call, call->argv[1], &entry))
		return;
	if (entry != NULL) {
		struct rf_bytes old = kv_string_text(kv_value_of(entry));

		if (!kv_parse_int(old.at, old.bytes, &number)) {
			rf_resp_error(call->reply, KV_ERR_INT);
			return;
		}
	}
	if (__builtin_add_overflow(number, step, &number)) {
		rf_resp_error(call->reply,
			"ERR increment or decrement would overflow");
		return;
	}
	store(call, entry, text, rf_resp_decimal(text, number), "incrby");
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
	long double number = 0, step;
	struct rf_dict_entry *entry;
	struct rf_bytes old;
	char text[KV_FLOAT_MAX];
	size_t bytes;

	if (!kv_find_string(call, call->argv[1], &entry))
		return;
	old = kv_string_text(entry != NULL ? kv_value_of(entry) : NULL);
	if ((entry != NULL && !kv_parse_float(old.at, old.bytes, &number)) ||
		!kv_parse_float(call->argv[2].at, call->argv[2].bytes, &step)) {
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
	store(call, entry, text, bytes, "incrbyfloat");
	rf_resp_bulk(call->reply, text, bytes);
}
