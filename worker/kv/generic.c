/* SPDX-License-Identifier: MIT */
/* generic.c -- commands on keys, whatever their value. */
#include "kv.h"

void kv_cmd_del(struct kv_call *call)
{
	int64_t deleted = 0;

	for (uint32_t i = 1; i < call->argc; i++) {
		struct rf_dict_entry *entry =
			kv_find(call->now_ms, call->argv[i]);

		if (entry == NULL)
			continue;
		kv_delete(entry);
		deleted++;
	}
	rf_resp_int(call->reply, deleted);
}

/* Freeing is one step however long the value. */
void kv_cmd_unlink(struct kv_call *call)
{
	kv_cmd_del(call);
}

void kv_cmd_exists(struct kv_call *call)
{
	int64_t found = 0;

	for (uint32_t i = 1; i < call->argc; i++)
		found += kv_find(call->now_ms, call->argv[i]) != NULL;
	rf_resp_int(call->reply, found);
}

void kv_cmd_type(struct kv_call *call)
{
	rf_resp_simple(call->reply, kv_find(call->now_ms, call->argv[1]) != NULL
					    ? "string"
					    : "none");
}

/* Value and expiry move to `to`; what stood there is gone. */
static void move(struct rf_dict_entry *from, struct rf_bytes to)
{
	struct rf_dict_entry *entry =
		rf_dict_put(&kv_db->keys->dict, to.at, to.bytes, NULL);

	if (entry == NULL)
		return;
	kv_persist(entry);
	rf_free(entry->value);
	RF_SET(entry->word, from->word);
	kv_timer_moved(entry);
	rf_dict_remove(&kv_db->keys->dict, from);
}

static bool same(struct rf_bytes a, struct rf_bytes b)
{
	return a.bytes == b.bytes && memcmp(a.at, b.at, a.bytes) == 0;
}

void kv_cmd_rename(struct kv_call *call)
{
	struct rf_dict_entry *from = kv_find(call->now_ms, call->argv[1]);

	if (from == NULL) {
		rf_resp_error(call->reply, KV_ERR_NO_KEY);
		return;
	}
	if (!same(call->argv[1], call->argv[2]))
		move(from, call->argv[2]);
	rf_resp_simple(call->reply, "OK");
}

void kv_cmd_renamenx(struct kv_call *call)
{
	struct rf_dict_entry *from = kv_find(call->now_ms, call->argv[1]);
	bool taken;

	if (from == NULL) {
		rf_resp_error(call->reply, KV_ERR_NO_KEY);
		return;
	}
	taken = kv_find(call->now_ms, call->argv[2]) != NULL;
	if (!taken)
		move(from, call->argv[2]);
	rf_resp_int(call->reply, !taken);
}
