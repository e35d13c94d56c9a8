/* SPDX-License-Identifier: MIT */
/* forget.c -- the containers' own forms tell where their blocks are empty. */
#include "forget.h"
#include "common/containers/list_form.h"
#include "common/containers/map_form.h"
#include "common/containers/map_value.h"
#include "common/containers/pack_form.h"
#include "common/containers/set_form.h"
#include "common/containers/sorted_form.h"
#include <refork/heap.h>

static struct image *forgetful;

void forget_tail(struct image *image, const void *block, size_t used)
{
	size_t bytes = rf_usable(block);

	if (used < bytes)
		image_forget(image, (const char *)block + used, bytes - used);
}

void forget_string(struct image *image, const struct rf_string *string)
{
	forget_tail(image, string, sizeof *string + string->bytes);
}

void forget_pack(struct image *image, const struct rf_pack *pack)
{
	if (pack == NULL)
		return;
	if (pack->head > 0)
		image_forget(image, pack->at, pack->head);
	forget_tail(image, pack, sizeof *pack + pack->end);
}

static void forget_entry(struct rf_dict_entry *entry, void *context)
{
	forget_tail(context, entry, sizeof *entry + entry->key_bytes);
}

void forget_dict(struct image *image, const struct rf_dict *dict)
{
	uint64_t cursor = 0;

	do
		cursor = rf_dict_scan(dict, cursor, forget_entry, image);
	while (cursor != 0);
}

static void forget_node(
	struct image *image, const struct rf_tree_node *node, bool has_packs)
{
	forget_tail(image, node,
		sizeof *node + (size_t)node->used * node->stride *
				       sizeof *node->slots);
	for (uint32_t i = 0; i < node->used; i++) {
		void *to = node->slots[i * node->stride].to;

		if (node->level > 0)
			forget_node(image, to, has_packs);
		else if (has_packs)
			forget_pack(image, to);
	}
}

void forget_list(struct image *image, const struct rf_list *list)
{
	if (list_is_big(list))
		forget_node(image, list_big(list)->tree.root, true);
	else
		forget_pack(image, list_pack(list));
}

/* Values are strings or short texts in blocks, or have none. */
static void forget_value(struct rf_dict_entry *entry, void *context)
{
	struct rf_item item;
	const char *block = (const char *)(entry->word & ~UINT64_C(7));

	(void)context;
	if (rf_map_value_memory(entry->word) == 0)
		return;
	rf_map_value_get(entry->word, &item);
	forget_tail(forgetful, block,
		(size_t)(item.text.at + item.text.bytes - block));
}

void forget_map(struct image *image, const struct rf_map *map)
{
	uint64_t cursor = 0;

	forgetful = image;
	if (rf_map_table(map) == NULL) {
		forget_pack(image, rf_map_pack(map));
		return;
	}
	forget_dict(image, rf_map_table(map));
	do
		cursor = rf_dict_scan(
			rf_map_table(map), cursor, forget_value, NULL);
	while (cursor != 0);
}

void forget_set(struct image *image, const struct rf_set *set)
{
	const struct rf_set_array *array = rf_set_array(set);

	if (rf_set_table(set) != NULL)
		forget_dict(image, rf_set_table(set));
	else if (array != NULL)
		forget_tail(image, array,
			sizeof *array + (size_t)array->count * array->width);
}

void forget_sorted(struct image *image, const struct rf_sorted *sorted)
{
	if (!sorted_is_big(sorted)) {
		forget_pack(image, sorted_pack(sorted));
		return;
	}
	forget_dict(image, &sorted_big(sorted)->dict);
	forget_node(image, sorted_big(sorted)->tree.root, false);
}
