/* SPDX-License-Identifier: MIT */
/* heap_private.h -- what pages.c asks of heap.c. */
#ifndef RF_HEAP_PRIVATE_H
#define RF_HEAP_PRIVATE_H

#include <stddef.h>

/* Give back the empty runs that the classes keep for speed. Returns how many
 * there were. Needs an open transaction. */
size_t rf_heap_reclaim(void);

#endif
