/* SPDX-License-Identifier: MIT */
/* pages_private.h -- what the files of the page runs share. */
#ifndef RF_PAGES_PRIVATE_H
#define RF_PAGES_PRIVATE_H

#include "pages.h"
#include "tx_log.h"

/* Of an entry, what is logged when its run is made or changes hands. */
#define RF_RUN_HEAD offsetof(struct rf_run, bitmap)

/* How far a bin is searched while there is another way. */
#define RF_LOOK_SHORT 16u
#define RF_LOOK_ALL   UINT32_MAX

/* The bin that a free run of that length hangs in. */
uint32_t rf_bin_of(uint32_t pages);

/* A free run of at least that length; RF_RUN_NONE. */
uint32_t rf_bin_find(uint32_t pages, uint8_t hole, uint32_t look);

/* The longest one that hangs first in its bin; RF_RUN_NONE. */
uint32_t rf_bin_longest(uint8_t hole, uint32_t least);

/* An unused entry, its head logged; RF_RUN_NONE: no memory for more. */
uint32_t rf_run_entry(void);
void rf_run_entry_give(uint32_t number);

/* Take pages out of a free run: what is before and behind stays free. Returns
 * the run's number, now that of the part, which is in no bin; RF_RUN_NONE. */
uint32_t rf_run_carve(uint32_t number, uint32_t start, uint32_t pages);

/* Make a run that is in no bin a free one, joined with its neighbours of the
 * same sort. It keeps its number. */
void rf_run_put(uint32_t number, uint8_t hole);
/* Out of its bin. */
void rf_run_remove(uint32_t number);

/* Memory for these pages and their cells of the map. 0 or -errno. */
int rf_pages_back(uint32_t from, uint32_t pages);

/* Put memory behind at least `pages` more pages in a row at the end. */
int rf_pages_grow(uint32_t pages);

/* Fill a hole, at least so much of it as is asked for. RF_RUN_NONE: there is
 * none as long. */
uint32_t rf_hole_fill(uint32_t pages);

/* The last resort: free runs and holes side by side are together as long. All
 * of these holes are filled. */
uint32_t rf_hole_gather(uint32_t pages);

#endif
