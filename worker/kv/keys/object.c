/* SPDX-License-Identifier: MIT */
/* object.c -- OBJECT: how a value is kept and how it is used. */
#include "worker/kv/keys/access.h"

#define SHARED_NUMBERS 10000 /* numbers that redis keeps once */

/* Without making it an access. NULL: replied. */
static const struct kv_value *value_of(struct kv_call *call)
{
	struct rf_dict_entry *entry = kv_live(call, call->argv[2]);

	if (entry != NULL)
		return kv_value_of(entry);
	rf_resp_null(call->reply, call->proto);
	return NULL;
}

void kv_cmd_object_encoding(struct kv_call *call)
{
	const struct kv_value *value = value_of(call);

	if (value != NULL)
		rf_resp_bulk_text(call->reply, kv_encoding_of(value));
}

static bool is_shared(const struct kv_value *value)
{
	int64_t number;

	return kv_kind_of(value) == KV_STRING &&
	       !(value->head & KV_VALUE_RAW) &&
	       kv_settings->maxmemory_bytes == 0 &&
	       kv_parse_int((const char *)value->body, value->bytes, &number) &&
	       number >= 0 && number < SHARED_NUMBERS;
}

/* Nothing is shared here; clients expect to hear what redis says. */
void kv_cmd_object_refcount(struct kv_call *call)
{
	const struct kv_value *value = value_of(call);

	if (value != NULL)
		rf_resp_int(call->reply, is_shared(value) ? INT32_MAX : 1);
}

void kv_cmd_object_idletime(struct kv_call *call)
{
	const struct kv_value *value = value_of(call);

	if (value == NULL)
		return;
	if (kv_policy_is_lfu())
		rf_resp_error(call->reply,
			"ERR An LFU maxmemory policy is selected, idle time "
			"not tracked. Please note that when switching between "
			"policies at runtime LRU and LFU data will take some "
			"time to adjust.");
	else
		rf_resp_int(call->reply,
			(int64_t)kv_idle_seconds(value, call->now_ms));
}

void kv_cmd_object_freq(struct kv_call *call)
{
	const struct kv_value *value = value_of(call);

	if (value == NULL)
		return;
	if (!kv_policy_is_lfu())
		rf_resp_error(call->reply,
			"ERR An LFU maxmemory policy is not selected, access "
			"frequency not tracked. Please note that when "
			"switching between policies at runtime LRU and LFU "
			"data will take some time to adjust.");
	else
		rf_resp_int(call->reply, kv_frequency(value, call->now_ms));
}

void kv_cmd_object_help(struct kv_call *call)
{
	kv_help(call);
}
