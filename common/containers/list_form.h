/* SPDX-License-Identifier: MIT */
/* list_form.h -- what stands in the word of a list; see list.c. */
#ifndef RF_LIST_FORM_H
#define RF_LIST_FORM_H

#include "tree.h"
#include <refork/list.h>
#include <refork/pack.h>

/* A list of more than one pack: the slots of the tree are packs, their weight
 * is the number of items. */
struct list_big {
	struct rf_tree tree;
	uint64_t pack_bytes; /* of their blocks */
};
_Static_assert(sizeof(struct list_big) == 32, "format");

/* The word: 0, a pack, or a list_big with the lowest bit set. Blocks stand at
 * multiples of 8. */
#define LIST_BIG UINT64_C(1)

static inline bool list_is_big(const struct rf_list *list)
{
	return (list->word & LIST_BIG) != 0;
}

static inline struct list_big *list_big(const struct rf_list *list)
{
	return (struct list_big *)(list->word & ~LIST_BIG);
}

/* Of a list that is not big; NULL: it is empty. */
static inline struct rf_pack *list_pack(const struct rf_list *list)
{
	return (struct rf_pack *)list->word;
}

#endif
