/* SPDX-License-Identifier: MIT */
/* generic.c -- commands on keys, whatever their value: DEL, EXISTS, TYPE. */
#include "worker/kv/keys/keys.h"

void kv_cmd_del(struct kv_call *call)
{
	int64_t deleted = 0;

	for (uint32_t i = 1; i < call->argc; i++) {
		struct rf_dict_entry *entry = kv_live(call, call->argv[i]);

		if (entry == NULL)
			continue;
		kv_delete(call, entry);
		kv_changed(call, call->argv[i], KV_CLASS_GENERIC, "del");
		deleted++;
	}
	rf_resp_int(call->reply, deleted);
}

/* What is large is freed by ticks in either case. */
void kv_cmd_unlink(struct kv_call *call)
{
	kv_cmd_del(call);
}

void kv_cmd_exists(struct kv_call *call)
{
	int64_t found = 0;

	for (uint32_t i = 1; i < call->argc; i++)
		found += kv_peek(call, call->argv[i]) != NULL;
	rf_resp_int(call->reply, found);
}

void kv_cmd_touch(struct kv_call *call)
{
	int64_t found = 0;

	for (uint32_t i = 1; i < call->argc; i++)
		found += kv_look(call, call->argv[i]) != NULL;
	rf_resp_int(call->reply, found);
}

void kv_cmd_type(struct kv_call *call)
{
	struct rf_dict_entry *entry = kv_peek(call, call->argv[1]);

	rf_resp_simple(call->reply,
		entry != NULL ? kv_kind_names[kv_kind_of(kv_value_of(entry))]
			      : "none");
}
