/* SPDX-License-Identifier: MIT */
/* place.h -- a place in a counted tree: part of the places of list.h and
 * sorted.h, not to be looked into. */
#ifndef REFORK_PLACE_H
#define REFORK_PLACE_H

#include <stdint.h>

#define RF_PLACE_LEVELS 12u

struct rf_tree_node;

/* A node of each level from the leaf (0) up to the root, and the slot in it. */
struct rf_place {
	struct rf_tree_node *nodes[RF_PLACE_LEVELS];
	uint16_t slots[RF_PLACE_LEVELS];
	uint32_t top; /* level of the root */
};

#endif
