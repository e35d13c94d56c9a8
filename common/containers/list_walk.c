/* SPDX-License-Identifier: MIT */
/* list_walk.c -- reading a list: by index, step by step, and the check. */
#include "common/verify/walk_form.h"
#include "list_form.h"
#include <errno.h>
#include <refork/heap.h>

uint64_t rf_list_count(const struct rf_list *list)
{
	if (list_is_big(list))
		return list_big(list)->tree.weight;
	return list->word != 0 ? rf_pack_count(list_pack(list)) : 0;
}

bool rf_list_is_compact(const struct rf_list *list)
{
	return !list_is_big(list);
}

size_t rf_list_memory(const struct rf_list *list)
{
	const struct list_big *big = list_big(list);

	if (list_is_big(list))
		return rf_usable(big) + rf_tree_memory(&big->tree) +
		       big->pack_bytes;
	return list->word != 0 ? rf_usable(list_pack(list)) : 0;
}

/* ---- places ---- */

/* Which pack has an element, and which of its items it is. Once an error has
 * stuck to the transaction, there may be none. */
static const struct rf_pack *find_pack(
	const struct rf_list *list, uint64_t *index, struct rf_place *place)
{
	const struct rf_tree_slot *slot;

	if (!list_is_big(list))
		return list_pack(list);
	*index = rf_tree_seek(&list_big(list)->tree, *index, place);
	slot = rf_tree_slot(place);
	return slot != NULL ? slot->to : NULL;
}

bool rf_list_get(
	const struct rf_list *list, uint64_t index, struct rf_item *item)
{
	struct rf_place place;
	const struct rf_pack *pack;
	uint32_t at;

	if (index >= rf_list_count(list))
		return false;
	pack = find_pack(list, &index, &place);
	if (pack == NULL)
		return false;
	at = rf_pack_at(pack, (int64_t)index);
	if (at == rf_pack_end(pack))
		return false;
	rf_pack_get(pack, at, item);
	return true;
}

void rf_list_seek(
	const struct rf_list *list, uint64_t index, struct rf_list_at *at)
{
	const struct rf_pack *pack;

	at->list = list;
	at->index = index;
	at->block = NULL;
	if (index >= rf_list_count(list))
		return;
	pack = find_pack(list, &index, &at->place);
	if (pack == NULL)
		return;
	at->pos = rf_pack_at(pack, (int64_t)index);
	if (at->pos != rf_pack_end(pack))
		at->block = pack;
}

bool rf_list_next(struct rf_list_at *at, struct rf_item *item)
{
	const struct rf_pack *pack = at->block;
	const struct rf_tree_slot *slot = NULL;

	if (pack == NULL)
		return false;
	rf_pack_get(pack, at->pos, item);
	at->index++;
	at->pos = rf_pack_next(pack, at->pos);
	if (at->pos != rf_pack_end(pack))
		return true;
	if (list_is_big(at->list)) {
		rf_tree_step(&at->place);
		slot = rf_tree_slot(&at->place);
	}
	at->block = slot != NULL ? slot->to : NULL;
	if (slot != NULL)
		at->pos = rf_pack_first(slot->to);
	return true;
}

bool rf_list_prev(struct rf_list_at *at, struct rf_item *item)
{
	const struct rf_pack *pack = at->block;

	if (pack == NULL)
		return false;
	rf_pack_get(pack, at->pos, item);
	at->index--;
	at->pos = rf_pack_prev(pack, at->pos);
	if (at->pos != rf_pack_end(pack))
		return true;
	at->block = NULL;
	if (list_is_big(at->list) && rf_tree_step_back(&at->place)) {
		pack = rf_tree_slot(&at->place)->to;
		at->block = pack;
		at->pos = rf_pack_prev(pack, rf_pack_end(pack));
	}
	return true;
}

/* ---- the walker ---- */

static const char *walk_pack(
	struct rf_walk *walk, const struct rf_tree_slot *slot, void *context)
{
	uint64_t *pack_bytes = context;

	if (!rf_walk_pack(walk, slot->to))
		return NULL; /* told */
	*pack_bytes += rf_walk_usable(walk, slot->to);
	if (rf_pack_count(slot->to) == 0)
		return "an empty pack";
	if (rf_pack_count(slot->to) != slot->weight)
		return "a pack with another number of items";
	return NULL;
}

static const char *walk_big(struct rf_walk *walk, const struct list_big *big)
{
	uint64_t pack_bytes = 0;

	if (!rf_walk_block(walk, big, sizeof *big, "list"))
		return NULL;
	if (big->tree.kind != RF_TREE_WEIGHED || big->tree.root == NULL)
		return "its tree is none, or empty";
	rf_tree_walk(walk, &big->tree, walk_pack, &pack_bytes);
	return pack_bytes == big->pack_bytes
		       ? NULL
		       : "the bytes of its packs do not add up";
}

bool rf_walk_list(struct rf_walk *walk, const struct rf_list *list)
{
	uint64_t before = rf_walk_problems(walk);
	const char *fault = NULL;

	if (list_is_big(list))
		fault = walk_big(walk, list_big(list));
	else if (list->word != 0 && rf_walk_pack(walk, list_pack(list)) &&
		 rf_pack_count(list_pack(list)) == 0)
		fault = "an empty pack";
	if (fault != NULL)
		rf_walk_problem(walk, list, "list: %s", fault);
	return rf_walk_problems(walk) == before;
}

int rf_list_check(const struct rf_list *list, const char *name)
{
	struct rf_walk_alone alone;

	return rf_walk_list(rf_walk_alone(&alone, name), list) ? 0 : -EBADMSG;
}
