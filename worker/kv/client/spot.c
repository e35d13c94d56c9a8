/* SPDX-License-Identifier: MIT */
/* spot.c -- keys that somebody watches or waits for.
 *
 * They stand in one dict under the number of the database and the key: a
 * database that is swapped keeps who watches it.
 */
#include "worker/kv/client/clients.h"
#include <errno.h>
#include <stdlib.h>

/* Number and key in a row, in memory of the process's own. */
static struct rf_bytes spot_name(uint32_t db, struct rf_bytes key)
{
	static char *name;
	static size_t room;
	size_t bytes = sizeof db + key.bytes;

	if (bytes > room) {
		char *wider = realloc(name, bytes * 2);

		if (wider == NULL) {
			rf_tx_fail(-ENOMEM);
			return (struct rf_bytes){NULL, 0};
		}
		name = wider;
		room = bytes * 2;
	}
	memcpy(name, &db, sizeof db);
	if (key.bytes > 0)
		memcpy(name + sizeof db, key.at, key.bytes);
	return (struct rf_bytes){name, bytes};
}

struct kv_spot *kv_spot_find(uint32_t db, struct rf_bytes key)
{
	struct rf_bytes name = spot_name(db, key);
	struct rf_dict_entry *entry;

	if (name.at == NULL)
		return NULL;
	entry = rf_dict_find(&kv_clients->spots, name.at, name.bytes);
	return entry != NULL ? entry->value : NULL;
}

struct kv_spot *kv_spot_make(uint32_t db, struct rf_bytes key)
{
	struct rf_bytes name = spot_name(db, key);
	struct rf_dict_entry *entry;
	struct kv_spot *spot;
	bool created;

	if (name.at == NULL)
		return NULL;
	entry = rf_dict_put(&kv_clients->spots, name.at, name.bytes, &created);
	if (entry == NULL)
		return NULL;
	if (!created)
		return entry->value;
	spot = rf_alloc(sizeof *spot);
	if (spot == NULL)
		return NULL;
	spot->entry = entry;
	RF_SET(entry->value, spot);
	return spot;
}

/* A spot that is ready stays until it has been looked at. */
void kv_spot_drop_if_idle(struct kv_spot *spot)
{
	if (spot->watches != NULL || spot->first != NULL || spot->is_ready)
		return;
	rf_dict_remove(&kv_clients->spots, spot->entry);
	rf_free(spot);
}
