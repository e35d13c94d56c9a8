/* SPDX-License-Identifier: MIT */
/* flush.c -- commands on whole databases: DBSIZE, FLUSHALL, FLUSHDB, SWAPDB. */
#include "worker/kv/client/client.h"
#include "worker/kv/keys/root.h"

void kv_cmd_dbsize(struct kv_call *call)
{
	rf_resp_int(call->reply, (int64_t)rf_dict_count(&call->keys->dict));
}

/* SYNC and ASYNC are one: the keys are gone at once, their memory comes back
 * with the next ticks. */
static bool parse_flush(struct kv_call *call)
{
	if (call->argc == 1 ||
		(call->argc == 2 && (kv_is(call->argv[1], "SYNC") ||
					    kv_is(call->argv[1], "ASYNC"))))
		return true;
	kv_reply_syntax(call);
	return false;
}

static void flush(struct kv_call *call, uint32_t db)
{
	kv_watch_touch_all(call, kv_database(db), NULL);
	kv_flush(kv_database(db));
}

void kv_cmd_flushdb(struct kv_call *call)
{
	if (!parse_flush(call))
		return;
	flush(call, call->db);
	call->keys = kv_database(call->db);
	kv_reply_ok(call);
}

void kv_cmd_flushall(struct kv_call *call)
{
	if (!parse_flush(call))
		return;
	for (uint32_t db = 0; db < kv_database_count(); db++)
		if (rf_dict_count(&kv_database(db)->dict) > 0)
			flush(call, db);
	call->keys = kv_database(call->db);
	kv_reply_ok(call);
}

/* Each connection stays in the database of its number. */
void kv_cmd_swapdb(struct kv_call *call)
{
	struct kv_keys *a, *b;
	uint32_t first, second;

	if (!kv_args_two_dbs(call, &first, &second))
		return;
	a = kv_database(first);
	b = kv_database(second);
	if (a != b) {
		kv_watch_touch_all(call, a, b);
		kv_watch_touch_all(call, b, a);
		RF_SET(kv_root->databases[first], b);
		RF_SET(kv_root->databases[second], a);
		RF_SET(a->db, second);
		RF_SET(b->db, first);
		call->keys = kv_database(call->db);
	}
	kv_reply_ok(call);
}
