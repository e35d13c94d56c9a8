/* SPDX-License-Identifier: MIT */
/* edit.c -- strings changed in place, and commands that change or show a part.
 */
#include "worker/kv/string/string.h"

bool kv_find_string(
	struct kv_call *call, struct rf_bytes key, struct rf_dict_entry **entry)
{
	*entry = kv_find(call, key);
	if (*entry == NULL || kv_kind_of(kv_value_of(*entry)) == KV_STRING)
		return true;
	rf_resp_error(call->reply, KV_ERR_TYPE);
	return false;
}

struct rf_string *kv_string_write(struct kv_call *call,
	struct rf_dict_entry *entry, size_t off, const void *from, size_t bytes)
{
	struct kv_value *value;
	struct rf_string *string;

	if (bytes > kv_string_bytes_max || off > kv_string_bytes_max - bytes) {
		rf_resp_error(call->reply, KV_ERR_LONG);
		return NULL;
	}
	if (entry == NULL)
		entry = kv_set(call, call->argv[1], "", 0, false);
	if (entry == NULL)
		return NULL;
	value = kv_value_of(entry);
	string = rf_string_write(kv_string_of(value), off, from, bytes);
	if (string == NULL)
		return NULL;
	if (string != kv_string_of(value))
		kv_entry_set(entry, (struct kv_value *)string);
	if (!(string->user & KV_VALUE_RAW))
		RF_SET(string->user, string->user | KV_VALUE_RAW);
	return string;
}

/* Reply its new length. */
static void write_at(struct kv_call *call, struct rf_dict_entry *entry,
	size_t off, struct rf_bytes text, const char *event)
{
	struct rf_string *string =
		kv_string_write(call, entry, off, text.at, text.bytes);

	if (string == NULL)
		return;
	kv_changed(call, call->argv[1], KV_CLASS_STRING, event);
	rf_resp_int(call->reply, string->bytes);
}

void kv_cmd_append(struct kv_call *call)
{
	struct rf_bytes key = call->argv[1], text = call->argv[2];
	struct rf_dict_entry *entry;

	if (!kv_find_string(call, key, &entry))
		return;
	if (entry != NULL) {
		write_at(
			call, entry, kv_value_of(entry)->bytes, text, "append");
		return;
	}
	kv_set(call, key, text.at, text.bytes, false);
	kv_changed(call, key, KV_CLASS_STRING, "append");
	rf_resp_int(call->reply, (int64_t)text.bytes);
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
	if (!kv_find_string(call, call->argv[1], &entry))
		return;
	if (call->argv[3].bytes == 0)
		rf_resp_int(call->reply,
			entry != NULL ? kv_value_of(entry)->bytes : 0);
	else
		write_at(call, entry, (size_t)off, call->argv[3], "setrange");
}

void kv_cmd_getrange(struct kv_call *call)
{
	struct kv_value *value;
	int64_t from, to, bytes;

	if (!kv_arg_int(call, 2, &from) || !kv_arg_int(call, 3, &to) ||
		!kv_look_kind(call, call->argv[1], KV_STRING, &value))
		return;
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
		rf_resp_bulk(call->reply, kv_string_text(value).at + from,
			(size_t)(to - from + 1));
}

void kv_cmd_substr(struct kv_call *call)
{
	kv_cmd_getrange(call);
}
