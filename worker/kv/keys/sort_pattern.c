/* SPDX-License-Identifier: MIT */
/* sort_pattern.c -- other keys that SORT looks at. */
#include "worker/kv/keys/sort.h"
#include <errno.h>
#include <stdlib.h>

static void item_of(struct rf_item *item, const void *from, size_t bytes)
{
	item->text = (struct rf_bytes){from, bytes};
}

/* `prefix`*`suffix`->`field`; no field: 0 bytes. false: no "*". */
static bool split(struct rf_bytes pattern, struct rf_bytes *prefix,
	struct rf_bytes *suffix, struct rf_bytes *field)
{
	const char *end = pattern.at + pattern.bytes, *star, *arrow;

	star = pattern.bytes > 0 ? memchr(pattern.at, '*', pattern.bytes)
				 : NULL;
	if (star == NULL)
		return false;
	arrow = memmem(star + 1, (size_t)(end - star - 1), "->", 2);
	if (arrow == NULL || arrow + 2 == end)
		arrow = end;
	*prefix = (struct rf_bytes){pattern.at, (size_t)(star - pattern.at)};
	*suffix = (struct rf_bytes){star + 1, (size_t)(arrow - star - 1)};
	*field = (struct rf_bytes){arrow, 0};
	if (arrow < end)
		*field =
			(struct rf_bytes){arrow + 2, (size_t)(end - arrow - 2)};
	return true;
}

static struct rf_dict_entry *look(struct kv_call *call, struct rf_bytes prefix,
	struct rf_bytes element, struct rf_bytes suffix)
{
	size_t bytes = prefix.bytes + element.bytes + suffix.bytes;
	struct rf_dict_entry *entry;
	char *name = malloc(bytes + 1);
	char *to = name;

	if (name == NULL) {
		rf_tx_fail(-ENOMEM);
		return NULL;
	}
	to = mempcpy(to, prefix.at, prefix.bytes);
	to = mempcpy(to, element.at, element.bytes);
	memcpy(to, suffix.at, suffix.bytes);
	entry = kv_look(call, (struct rf_bytes){name, bytes});
	free(name);
	return entry;
}

bool kv_sort_look(struct kv_call *call, struct rf_bytes pattern,
	struct rf_bytes element, struct rf_item *found)
{
	struct rf_bytes prefix, suffix, field;
	struct rf_dict_entry *entry;
	struct kv_value *value;

	if (pattern.bytes == 1 && pattern.at[0] == '#') {
		item_of(found, element.at, element.bytes);
		return true;
	}
	if (!split(pattern, &prefix, &suffix, &field))
		return false;
	entry = look(call, prefix, element, suffix);
	if (entry == NULL)
		return false;
	value = kv_value_of(entry);
	if (field.bytes > 0)
		return kv_kind_of(value) == KV_HASH &&
		       rf_map_get(
			       kv_map_of(value), field.at, field.bytes, found);
	if (kv_kind_of(value) != KV_STRING)
		return false;
	item_of(found, kv_string_of(value)->text, value->bytes);
	return true;
}
