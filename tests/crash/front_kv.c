/* SPDX-License-Identifier: MIT */
/* front_kv.c -- the kv worker's state, but for what is written without the
 * log. */
#include "front_kv.h"
#include "forget.h"
#include "worker/kv/client/client.h"
#include "worker/kv/keys/bury.h"
#include "worker/kv/keys/root.h"
#include "worker/kv/server/records.h"

static struct image *forgetful;

static void forget_collection(const struct kv_value *value)
{
	switch (kv_kind_of(value)) {
	case KV_LIST:
		forget_list(forgetful, kv_list_of(value));
		break;
	case KV_HASH:
		forget_map(forgetful, kv_map_of(value));
		break;
	case KV_SET:
		forget_set(forgetful, kv_set_of(value));
		break;
	case KV_ZSET:
		forget_sorted(forgetful, kv_sorted_of(value));
		break;
	default:
		break;
	}
}

static void forget_value(struct rf_dict_entry *entry, void *context)
{
	const struct kv_value *value = kv_value_of(entry);

	(void)context;
	/* The access; see keys/access.h. */
	image_forget(forgetful, &value->head, 3);
	if (kv_kind_of(value) == KV_STRING)
		forget_string(forgetful, kv_string_of(value));
	else
		forget_collection(value);
}

static void forget_keys(const struct kv_keys *keys)
{
	uint64_t cursor = 0;

	forget_dict(forgetful, &keys->dict);
	do
		cursor = rf_dict_scan(&keys->dict, cursor, forget_value, NULL);
	while (cursor != 0);
}

void front_kv_forget(struct image *image)
{
	forgetful = image;
	for (uint32_t db = 0; db < kv_database_count(); db++)
		forget_keys(kv_database(db));
	for (const struct kv_keys *at = kv_root->dead_keys; at != NULL;
		at = at->next)
		forget_keys(at);
	for (const struct kv_value *at = kv_root->dead_values; at != NULL;
		at = kv_dead_next(at))
		forget_collection(at);
	for (struct rf_conn *conn = rf_conn_next(NULL); conn != NULL;
		conn = rf_conn_next(conn))
		image_forget(image, &conn->user[KV_CONN_LAST],
			sizeof conn->user[KV_CONN_LAST]);
	image_forget(image, kv_root->counters, sizeof kv_root->counters);
	image_forget(image, kv_records()->tally, sizeof *kv_records()->tally);
}
