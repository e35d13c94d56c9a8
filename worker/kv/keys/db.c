/* SPDX-License-Identifier: MIT */
/* db.c -- finding, making and removing keys.
 *
 * A key that has expired is not there for anybody who looks for it here; its
 * memory is given back then, or by a tick (timer.c).
 */
#include "worker/kv/client/client.h"
#include "worker/kv/keys/access.h"
#include "worker/kv/keys/root.h"
#include <errno.h>

#define HEAD(kind) ((uint32_t)(kind) << 28)

struct kv_root *kv_root;

size_t kv_string_bytes_max = (size_t)512 << 20;

struct kv_keys *kv_database(uint32_t db)
{
	return kv_root->databases[db];
}

uint32_t kv_database_count(void)
{
	return (uint32_t)kv_root->database_count;
}

/* ---- finding ---- */

static void remove_expired(struct kv_call *call, struct rf_dict_entry *entry)
{
	struct rf_bytes key = {entry->key, entry->key_bytes};

	/* Its bytes stay until the commit. */
	kv_delete(call, entry);
	kv_count(KV_COUNT_EXPIRED);
	kv_changed(call, key, KV_CLASS_EXPIRED, "expired");
}

struct rf_dict_entry *kv_live(struct kv_call *call, struct rf_bytes key)
{
	struct rf_dict_entry *entry =
		rf_dict_find(&call->keys->dict, key.at, key.bytes);

	if (entry == NULL)
		return NULL;
	/* It got no value for want of memory; this will be rolled back. */
	if (rf_unlikely(entry->word == 0))
		return NULL;
	if (rf_likely(!kv_expired(entry, call->now_ms)))
		return entry;
	if (!kv_pause_keeps(call))
		remove_expired(call, entry);
	return NULL;
}

struct rf_dict_entry *kv_peek(struct kv_call *call, struct rf_bytes key)
{
	struct rf_dict_entry *entry = kv_live(call, key);

	if (rf_likely(entry != NULL)) {
		kv_count(KV_COUNT_HITS);
		return entry;
	}
	kv_count(KV_COUNT_MISSES);
	if (rf_unlikely(kv_settings->notify_events != 0))
		kv_notify(call, key, KV_CLASS_MISS, "keymiss");
	return NULL;
}

struct rf_dict_entry *kv_find(struct kv_call *call, struct rf_bytes key)
{
	struct rf_dict_entry *entry = kv_live(call, key);

	if (rf_likely(entry != NULL))
		kv_access(kv_value_of(entry), call->now_ms);
	return entry;
}

struct rf_dict_entry *kv_look(struct kv_call *call, struct rf_bytes key)
{
	struct rf_dict_entry *entry = kv_peek(call, key);

	if (rf_likely(entry != NULL))
		kv_access(kv_value_of(entry), call->now_ms);
	return entry;
}

static inline bool is_kind(struct kv_call *call,
	const struct rf_dict_entry *entry, enum kv_kind kind,
	struct kv_value **value)
{
	*value = entry != NULL ? kv_value_of(entry) : NULL;
	if (*value == NULL || rf_likely(kv_kind_of(*value) == kind))
		return true;
	rf_resp_error(call->reply, KV_ERR_TYPE);
	return false;
}

bool kv_find_kind(struct kv_call *call, struct rf_bytes key, enum kv_kind kind,
	struct kv_value **value)
{
	return is_kind(call, kv_find(call, key), kind, value);
}

bool kv_look_kind(struct kv_call *call, struct rf_bytes key, enum kv_kind kind,
	struct kv_value **value)
{
	return is_kind(call, kv_look(call, key), kind, value);
}

/* ---- making ---- */

void kv_entry_set(struct rf_dict_entry *entry, struct kv_value *value)
{
	struct kv_timer *timer = kv_timer_of(entry);

	if (timer != NULL)
		RF_SET(timer->value, value);
	else
		RF_SET(entry->value, value);
}

/* The entry for a key that is to get a value; what has expired is told so. */
static struct rf_dict_entry *entry_for(
	struct kv_call *call, struct rf_bytes key, bool keep_expiry)
{
	bool created;
	struct rf_dict_entry *entry =
		rf_dict_put(&call->keys->dict, key.at, key.bytes, &created);

	if (entry == NULL)
		return NULL;
	if (rf_unlikely(entry->word & KV_TIMED)) {
		bool expired = kv_expired(entry, call->now_ms);

		if (expired || !keep_expiry)
			kv_persist(call, entry);
		if (expired) {
			kv_count(KV_COUNT_EXPIRED);
			kv_changed(call, key, KV_CLASS_EXPIRED, "expired");
		}
	}
	if (created && rf_unlikely(kv_settings->notify_events != 0))
		kv_notify(call, key, KV_CLASS_NEW, "new");
	return entry;
}

struct kv_value *kv_text_create(const void *from, size_t bytes, int64_t now_ms)
{
	struct rf_string *string = rf_string_set(NULL, from, bytes);

	/* A fresh block: nobody has seen its bytes. */
	if (string != NULL)
		string->user = HEAD(KV_STRING) | kv_access_first(now_ms);
	return (struct kv_value *)string;
}

struct rf_dict_entry *kv_overwrite(struct kv_call *call,
	struct rf_dict_entry *entry, const void *from, size_t bytes)
{
	struct rf_string *old = kv_string_of(kv_value_of(entry));
	struct rf_string *string = rf_string_set(old, from, bytes);

	if (string == NULL)
		return NULL;
	if (string != old)
		kv_entry_set(entry, (struct kv_value *)string);
	if (rf_unlikely(string->user & KV_VALUE_RAW))
		RF_SET(string->user, string->user & ~KV_VALUE_RAW);
	kv_access((struct kv_value *)string, call->now_ms);
	return entry;
}

struct rf_dict_entry *kv_set(struct kv_call *call, struct rf_bytes key,
	const void *from, size_t bytes, bool keep_expiry)
{
	struct rf_dict_entry *entry;
	struct kv_value *old, *value;

	if (rf_unlikely(bytes > kv_string_bytes_max)) {
		rf_tx_fail(-EMSGSIZE);
		return NULL;
	}
	entry = entry_for(call, key, keep_expiry);
	if (rf_unlikely(entry == NULL))
		return NULL;
	old = kv_value_of(entry);
	if (old != NULL && rf_likely(kv_kind_of(old) == KV_STRING))
		return kv_overwrite(call, entry, from, bytes);
	value = kv_text_create(from, bytes, call->now_ms);
	if (value == NULL)
		return NULL;
	kv_entry_set(entry, value);
	if (old != NULL)
		kv_value_drop(old);
	return entry;
}

struct kv_value *kv_value_create(enum kv_kind kind)
{
	struct kv_value *value = rf_alloc(sizeof *value + sizeof *value->body);

	if (value != NULL)
		value->head = HEAD(kind);
	return value;
}

struct rf_dict_entry *kv_put(
	struct kv_call *call, struct rf_bytes key, struct kv_value *value)
{
	struct rf_dict_entry *entry = entry_for(call, key, false);
	struct kv_value *old;

	if (entry == NULL || value == NULL)
		return NULL;
	old = kv_value_of(entry);
	kv_entry_set(entry, value);
	if (!(value->head & KV_ACCESS))
		value->head |= kv_access_first(call->now_ms);
	if (old != NULL)
		kv_value_drop(old);
	return entry;
}

struct kv_value *kv_create(
	struct kv_call *call, struct rf_bytes key, enum kv_kind kind)
{
	struct kv_value *value = kv_value_create(kind);

	if (value != NULL)
		kv_put(call, key, value);
	return rf_tx_error() == 0 ? value : NULL;
}

/* ---- removing ---- */

void kv_delete(struct kv_call *call, struct rf_dict_entry *entry)
{
	struct kv_value *value;

	kv_persist(call, entry);
	value = entry->value;
	rf_dict_remove(&call->keys->dict, entry);
	if (value != NULL)
		kv_value_drop(value);
}

bool kv_delete_if_empty(struct kv_call *call, struct rf_bytes key)
{
	struct rf_dict_entry *entry =
		rf_dict_find(&call->keys->dict, key.at, key.bytes);

	if (rf_tx_error() != 0 || entry == NULL ||
		kv_kind_of(kv_value_of(entry)) == KV_STRING ||
		kv_value_count(kv_value_of(entry)) > 0)
		return false;
	kv_delete(call, entry);
	kv_changed(call, key, KV_CLASS_GENERIC, "del");
	return true;
}

/* ---- telling ---- */

void kv_changed(struct kv_call *call, struct rf_bytes key, enum kv_class class,
	const char *event)
{
	kv_count(KV_COUNT_CHANGES);
	kv_watch_touch(call, key);
	kv_block_wake(call, key);
	if (rf_unlikely(kv_settings->notify_events != 0))
		kv_notify(call, key, class, event);
}
