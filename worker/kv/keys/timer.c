/* SPDX-License-Identifier: MIT */
/* timer.c -- keys that expire: each has a timer in a queue of its database.
 *
 * The timer stands between entry and value. Whoever looks for a key sees that
 * it has expired (kv_find); the queue only gives its memory back.
 */
#include "worker/kv/client/client.h"
#include "worker/kv/keys/root.h"

/* Of the databases, where the last step ended: none waits for ever. */
static uint32_t next_db;

bool kv_expired(const struct rf_dict_entry *entry, int64_t now_ms)
{
	const struct kv_timer *timer = kv_timer_of(entry);

	return timer != NULL && now_ms > timer->timer.at_ms;
}

bool kv_instant(int64_t count, int64_t unit, int64_t base_ms, int64_t *at_ms)
{
	int64_t ms;

	return !__builtin_mul_overflow(count, unit, &ms) &&
	       !__builtin_add_overflow(ms, base_ms, at_ms);
}

static struct kv_timer *add_timer(
	struct kv_keys *keys, struct rf_dict_entry *entry)
{
	struct kv_timer *timer = rf_alloc(sizeof *timer);

	if (timer == NULL)
		return NULL;
	timer->keys = keys;
	timer->entry = entry;
	timer->value = entry->value;
	RF_SET(entry->word, (uint64_t)timer | KV_TIMED);
	return timer;
}

void kv_expire_at(
	struct kv_call *call, struct rf_dict_entry *entry, int64_t at_ms)
{
	struct kv_timer *timer = kv_timer_of(entry);

	if (timer == NULL)
		timer = add_timer(call->keys, entry);
	if (timer != NULL)
		rf_timers_arm(&call->keys->timers, &timer->timer, at_ms,
			call->now_ms);
}

bool kv_persist(struct kv_call *call, struct rf_dict_entry *entry)
{
	struct kv_timer *timer = kv_timer_of(entry);

	if (rf_likely(timer == NULL))
		return false;
	rf_timers_disarm(&call->keys->timers, &timer->timer);
	RF_SET(entry->value, timer->value);
	rf_free(timer);
	return true;
}

static void on_due(struct rf_timer *timer, void *context)
{
	struct kv_call *call = context;
	struct rf_dict_entry *entry = ((struct kv_timer *)(void *)timer)->entry;
	struct rf_bytes key = {entry->key, entry->key_bytes};

	_Static_assert(offsetof(struct kv_timer, timer) == 0, "cast");
	/* Its bytes stay until the commit. */
	kv_delete(call, entry);
	kv_count(KV_COUNT_EXPIRED);
	kv_changed(call, key, KV_CLASS_EXPIRED, "expired");
}

bool kv_expire_step(struct kv_call *call, size_t budget)
{
	bool more = false;

	if (kv_root->expiry_off || kv_pause_keeps(call))
		return false;
	for (uint32_t i = 0; i < kv_database_count() && !more; i++) {
		next_db = (next_db + 1) % kv_database_count();
		call->db = next_db;
		call->keys = kv_database(next_db);
		if (call->keys->timers.count > 0)
			more = rf_timers_run(&call->keys->timers,
				call->now_ms - 1, budget, on_due, call);
	}
	return more;
}

int64_t kv_expire_next_ms(void)
{
	int64_t next_ms = INT64_MAX;

	for (uint32_t i = 0; i < kv_database_count(); i++) {
		int64_t ms = rf_timers_next_ms(&kv_database(i)->timers);

		if (ms < next_ms && !kv_root->expiry_off)
			next_ms = ms;
	}
	return next_ms;
}
