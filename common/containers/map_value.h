/* SPDX-License-Identifier: MIT */
/* map_value.h -- a byte string in one word, or in a block it leads to.
 *
 * The low three bits of the word tell what it is:
 *
 *	0  points to an rf_string; if to none, it is empty: a new field that
 *	   found no memory, in a transaction that will be undone
 *	1  a text of up to 7 bytes: its length in the next five, then itself
 *	2  a whole number of 61 bits, in the rest
 *	3  points to a block of a length of one byte, and a text
 *
 * A new word for the same text is always the same but for the pointers.
 */
#ifndef RF_MAP_VALUE_H
#define RF_MAP_VALUE_H

#include <refork/item.h>
#include <stdbool.h>
#include <stdint.h>

/* A word for a text. What the old one leads to is used again or freed. 0: the
 * transaction carries an error. */
uint64_t rf_map_value_set(uint64_t old, const void *from, size_t bytes);
void rf_map_value_get(uint64_t word, struct rf_item *item);
void rf_map_value_drop(uint64_t word);
size_t rf_map_value_memory(uint64_t word);
/* What it leads to; tells what is wrong with it. */
struct rf_walk;
void rf_map_value_walk(struct rf_walk *walk, const uint64_t *word);

#endif
