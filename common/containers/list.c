/* SPDX-License-Identifier: MIT */
/* list.c -- a list as packs of items in a counted tree.
 *
 * The idea. Items stand side by side in packs of up to 8 KiB, because an item
 * by itself would cost more for its links than for its bytes. The packs hang
 * in a tree that counts their items (tree.h). A list that is no longer than one
 * pack is just that.
 *
 * At either end a push or pop costs its item, in bytes moved and in bytes
 * logged: packs keep their free room where they grow, and a full one is not
 * split there, a new one begins. In between, an insertion moves what stands
 * behind it in its pack, and a full pack is split in the middle. What removals
 * leave small joins a neighbour; half a pack alone is a list of one pack
 * again.
 *
 * Invariants, walked by rf_list_check():
 *   L1  no pack is empty, and there is no tree without packs
 *   L2  the weight of a pack in the tree is the number of its items
 *   L3  pack_bytes is what the blocks of all packs take
 *
 * How long packs get is a matter of each call, not of what stands in the arena:
 * any length is a valid one.
 */
#include "list_form.h"
#include <refork/heap.h>
#include <refork/tx.h>

#define PACK_BYTES 8192u
/* A new pack at an end will get more. */
#define FIRST_ROOM_BYTES 1000u

/* Private to the process. */
static struct {
	size_t bytes; /* of a pack's block */
	uint32_t items;
} limit = {PACK_BYTES, UINT32_MAX};

void rf_list_limit(int64_t bytes_or_items)
{
	if (bytes_or_items > 0) {
		limit.bytes = (size_t)bytes_or_items;
		limit.items = UINT32_MAX;
	} else if (bytes_or_items < 0) {
		limit.bytes = PACK_BYTES;
		limit.items = bytes_or_items < -(int64_t)UINT32_MAX
				      ? UINT32_MAX
				      : (uint32_t)-bytes_or_items;
	}
}

/* ---- one pack ---- */

static size_t pack_size(const struct rf_pack *pack)
{
	return RF_PACK_OVERHEAD + rf_pack_bytes(pack);
}

/* At most, with its lengths. */
static size_t item_size(size_t bytes)
{
	return bytes + (bytes < 64 ? 2 : 10);
}

/* Instead of an item of `old` bytes. */
static bool fits_instead(const struct rf_pack *pack, size_t old, size_t bytes)
{
	return pack_size(pack) - old + item_size(bytes) <= limit.bytes;
}

static bool fits(const struct rf_pack *pack, size_t bytes)
{
	return rf_pack_count(pack) < limit.items &&
	       fits_instead(pack, 0, bytes);
}

static struct rf_pack *make_pack(size_t room, const void *from, size_t bytes)
{
	struct rf_pack *pack = rf_pack_create(
		room > item_size(bytes) ? room : item_size(bytes));

	return pack != NULL
		       ? rf_pack_insert(pack, rf_pack_end(pack), from, bytes)
		       : NULL;
}

/* ---- packs in the tree ---- */

static struct rf_tree_slot slot_for(struct rf_pack *pack)
{
	return (struct rf_tree_slot){.to = pack, .weight = rf_pack_count(pack)};
}

static void add_bytes(struct list_big *big, size_t bytes)
{
	RF_SET(big->pack_bytes, big->pack_bytes + bytes);
}

/* A pack has changed; it may stand somewhere else now. NULL: it could not. */
static void renew(struct list_big *big, struct rf_place *place,
	struct rf_pack *old, struct rf_pack *pack)
{
	if (pack == NULL)
		return;
	if (pack != old)
		add_bytes(big, rf_usable(pack) - rf_usable(old));
	rf_tree_exchange(&big->tree, place, slot_for(pack));
}

static void hang(
	struct list_big *big, struct rf_place *place, struct rf_pack *pack)
{
	if (pack == NULL)
		return;
	add_bytes(big, rf_usable(pack));
	rf_tree_insert(&big->tree, place, slot_for(pack));
}

/* The place is the first of some that go with their packs. */
static void drop(struct list_big *big, struct rf_place *place, uint32_t count)
{
	const struct rf_tree_slot *slot = rf_tree_slot(place);

	for (uint32_t i = 0; i < count; i++) {
		add_bytes(big, 0 - rf_usable(slot[i].to));
		rf_free(slot[i].to);
	}
	rf_tree_remove(&big->tree, place, count);
}

/* ---- from one pack to many, and back ---- */

static struct list_big *make_big(struct rf_list *list)
{
	struct list_big *big = rf_alloc(sizeof *big);
	struct rf_place place;

	if (big == NULL)
		return NULL;
	big->tree.kind = RF_TREE_WEIGHED;
	hang(big, &place, list_pack(list));
	RF_SET(list->word, (uint64_t)big | LIST_BIG);
	return rf_tx_error() == 0 ? big : NULL;
}

/* After a removal. */
static void settle(struct rf_list *list)
{
	struct list_big *big = list_big(list);
	struct rf_tree_node *root = big->tree.root;
	struct rf_pack *pack = NULL;

	if (root != NULL) {
		if (root->level > 0 || root->used > 1)
			return;
		pack = root->slots[0].to;
		if (pack_size(pack) > limit.bytes / 2)
			return;
		rf_free(root);
	}
	rf_free(big);
	RF_SET(list->word, (uint64_t)pack);
}

/* ---- inserting ---- */

static bool insert_in(struct list_big *big, struct rf_place *place,
	uint64_t index, const void *from, size_t bytes)
{
	struct rf_pack *pack = rf_tree_slot(place)->to;

	if (!fits(pack, bytes))
		return false;
	renew(big, place, pack,
		rf_pack_insert(pack,
			index == rf_pack_count(pack)
				? rf_pack_end(pack)
				: rf_pack_at(pack, (int64_t)index),
			from, bytes));
	return true;
}

/* Between two packs: into the one or the other, else a new one. The place is
 * that of the second, or the end. */
static void insert_between(struct list_big *big, struct rf_place *place,
	const void *from, size_t bytes)
{
	struct rf_place before = *place;

	if (rf_tree_slot(place) != NULL &&
		insert_in(big, place, 0, from, bytes))
		return;
	if (rf_tree_step_back(&before) &&
		insert_in(big, &before,
			rf_pack_count(rf_tree_slot(&before)->to), from, bytes))
		return;
	hang(big, place, make_pack(FIRST_ROOM_BYTES, from, bytes));
}

/* In the middle, or right here when the item is so large that it needs a pack
 * of its own. */
static bool split(struct list_big *big, struct rf_place *place, uint64_t index,
	size_t bytes)
{
	struct rf_pack *pack = rf_tree_slot(place)->to;
	uint32_t at = rf_pack_count(pack) / 2;
	struct rf_pack *rest;

	if (item_size(bytes) > limit.bytes / 4)
		at = (uint32_t)index;
	rest = rf_pack_split(pack, rf_pack_at(pack, at));
	if (rest == NULL)
		return false;
	renew(big, place, pack, pack);
	rf_tree_step(place);
	hang(big, place, rest);
	return rf_tx_error() == 0;
}

static void insert_big(
	struct list_big *big, uint64_t index, const void *from, size_t bytes)
{
	struct rf_place place;

	for (;;) {
		uint64_t rest = rf_tree_seek(&big->tree, index, &place);

		if (rest == 0) {
			insert_between(big, &place, from, bytes);
			return;
		}
		if (insert_in(big, &place, rest, from, bytes) ||
			!split(big, &place, rest, bytes))
			return;
	}
}

static void set_pack(struct rf_list *list, struct rf_pack *pack)
{
	if (pack != NULL && pack != list_pack(list))
		RF_SET(list->word, (uint64_t)pack);
}

void rf_list_insert(
	struct rf_list *list, uint64_t index, const void *from, size_t bytes)
{
	struct rf_pack *pack = list_pack(list);
	struct list_big *big;

	if (rf_tx_error() != 0)
		return;
	RF_CHECK(index <= rf_list_count(list));
	if (list->word == 0) {
		set_pack(list, make_pack(item_size(bytes), from, bytes));
	} else if (!list_is_big(list) && fits(pack, bytes)) {
		set_pack(list,
			rf_pack_insert(pack,
				index == rf_pack_count(pack)
					? rf_pack_end(pack)
					: rf_pack_at(pack, (int64_t)index),
				from, bytes));
	} else {
		big = list_is_big(list) ? list_big(list) : make_big(list);
		if (big != NULL)
			insert_big(big, index, from, bytes);
	}
}

void rf_list_push(
	struct rf_list *list, enum rf_end end, const void *from, size_t bytes)
{
	rf_list_insert(
		list, end == RF_HEAD ? 0 : rf_list_count(list), from, bytes);
}

/* ---- removing ---- */

static struct rf_pack *erase(
	struct rf_pack *pack, uint64_t index, uint64_t count)
{
	return rf_pack_erase(
		pack, rf_pack_at(pack, (int64_t)index), (uint32_t)count);
}

/* All items of the second pack go behind those of the first. */
static void join(
	struct list_big *big, struct rf_place *place, struct rf_place *behind)
{
	struct rf_pack *old = rf_tree_slot(place)->to, *pack = old;
	struct rf_pack *more = rf_tree_slot(behind)->to;
	struct rf_item item;

	for (uint32_t at = rf_pack_first(more);
		pack != NULL && at != rf_pack_end(more);
		at = rf_pack_next(more, at)) {
		rf_pack_get(more, at, &item);
		pack = rf_pack_insert(
			pack, rf_pack_end(pack), item.text.at, item.text.bytes);
	}
	renew(big, place, old, pack);
	if (pack != NULL)
		drop(big, behind, 1);
}

/* With a quarter of the room to spare. */
static bool may_join(const struct rf_pack *pack, const struct rf_pack *other)
{
	return pack_size(pack) + rf_pack_bytes(other) <= limit.bytes / 4 * 3 &&
	       rf_pack_count(pack) + (uint64_t)rf_pack_count(other) <=
		       limit.items;
}

/* The pack that holds an element is small, and a neighbour has room. */
static void join_small(struct list_big *big, uint64_t index)
{
	struct rf_place place, other;
	const struct rf_tree_slot *slot, *beside;

	rf_tree_seek(&big->tree, index, &place);
	slot = rf_tree_slot(&place);
	if (slot == NULL || pack_size(slot->to) > limit.bytes / 4)
		return;
	other = place;
	rf_tree_step(&other);
	beside = rf_tree_slot(&other);
	if (beside != NULL && may_join(slot->to, beside->to)) {
		join(big, &place, &other);
		return;
	}
	other = place;
	if (rf_tree_step_back(&other) &&
		may_join(rf_tree_slot(&other)->to, slot->to))
		join(big, &other, &place);
}

/* How many whole packs from here on, in this leaf, hold at most *count. */
static uint32_t whole_packs(struct rf_place *place, uint64_t *count)
{
	const struct rf_tree_slot *slot = rf_tree_slot(place);
	uint32_t packs = 0, rest = rf_tree_leaf_rest(place);

	while (packs < rest && slot[packs].weight <= *count)
		*count -= slot[packs++].weight;
	return packs;
}

static void remove_big(struct list_big *big, uint64_t index, uint64_t count)
{
	struct rf_place place;

	while (count > 0 && rf_tx_error() == 0) {
		uint64_t rest = rf_tree_seek(&big->tree, index, &place);
		const struct rf_tree_slot *slot = rf_tree_slot(&place);
		uint64_t here = slot->weight - rest;

		if (rest == 0 && here <= count) {
			drop(big, &place, whole_packs(&place, &count));
			continue;
		}
		if (here > count)
			here = count;
		count -= here;
		renew(big, &place, slot->to, erase(slot->to, rest, here));
	}
}

void rf_list_remove(struct rf_list *list, uint64_t index, uint64_t count)
{
	uint64_t all = rf_list_count(list);
	struct list_big *big = list_big(list);

	if (rf_tx_error() != 0 || index >= all || count == 0)
		return;
	if (count > all - index)
		count = all - index;
	if (!list_is_big(list)) {
		if (count < all) {
			set_pack(list, erase(list_pack(list), index, count));
			return;
		}
		rf_free(list_pack(list));
		RF_SET(list->word, 0);
		return;
	}
	remove_big(big, index, count);
	if (big->tree.root != NULL && rf_tx_error() == 0) {
		join_small(big, index);
		if (index > 0)
			join_small(big, index - 1);
	}
	if (rf_tx_error() == 0)
		settle(list);
}

void rf_list_set(
	struct rf_list *list, uint64_t index, const void *from, size_t bytes)
{
	struct rf_place place;
	struct rf_pack *pack = list_pack(list), *now;
	uint64_t rest = index;
	uint32_t at;

	if (rf_tx_error() != 0)
		return;
	RF_CHECK(index < rf_list_count(list));
	if (list_is_big(list)) {
		rest = rf_tree_seek(&list_big(list)->tree, index, &place);
		pack = rf_tree_slot(&place)->to;
	}
	at = rf_pack_at(pack, (int64_t)rest);
	if (rf_pack_count(pack) > 1 &&
		!fits_instead(pack, rf_pack_next(pack, at) - at, bytes)) {
		rf_list_remove(list, index, 1);
		rf_list_insert(list, index, from, bytes);
		return;
	}
	now = rf_pack_replace(pack, at, from, bytes);
	if (list_is_big(list))
		renew(list_big(list), &place, pack, now);
	else
		set_pack(list, now);
}

bool rf_list_clear_step(struct rf_list *list, size_t budget)
{
	struct list_big *big = list_big(list);
	struct rf_place place;

	if (rf_tx_error() != 0)
		return false;
	if (!list_is_big(list)) {
		rf_list_remove(list, 0, UINT64_MAX);
		return rf_tx_error() == 0;
	}
	while (big->tree.root != NULL && budget > 0 && rf_tx_error() == 0) {
		uint64_t weight;

		rf_tree_seek(&big->tree, big->tree.weight, &place);
		rf_tree_step_back(&place);
		weight = rf_tree_slot(&place)->weight;
		drop(big, &place, 1);
		budget -= weight < budget ? weight : budget;
	}
	if (big->tree.root != NULL || rf_tx_error() != 0)
		return false;
	settle(list);
	return rf_tx_error() == 0;
}
