/* SPDX-License-Identifier: MIT */
/* item.h -- one element of a container, read out.
 *
 * Containers keep small things in compact forms, whole numbers in binary.
 * Reading gives back the bytes that were put in, whatever the form.
 */
#ifndef REFORK_ITEM_H
#define REFORK_ITEM_H

#include <refork/bytes.h>

#define RF_ITEM_DIGITS 24

/* A copy of `text` may point into `digits`: copy the item, not the text, if it
 * is to outlive the variable. Bytes in the arena are valid until the
 * container changes. */
struct rf_item {
	struct rf_bytes text;
	char digits[RF_ITEM_DIGITS];
};

#endif
