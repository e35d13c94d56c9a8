/* SPDX-License-Identifier: MIT */
/* flood.h -- the same line over and over must not fill the disk.
 *
 * Each place in the code that logs has a token bucket: RF_FLOOD_BURST lines at
 * once, then RF_FLOOD_PER_S a second. What is beyond is counted, and the count
 * is said. The buckets stand in a small table, by the address of the call; a
 * place that finds no room in it is not limited. So no kind of line is ever
 * lost to a flood of another kind.
 *
 * A process's own, and plain memory: no clock is read here.
 */
#ifndef RF_LOG_FLOOD_H
#define RF_LOG_FLOOD_H

#include <refork/log.h>
#include <stdbool.h>
#include <stddef.h>

#define RF_FLOOD_BURST	    50
#define RF_FLOOD_PER_S	    10
#define RF_FLOOD_TELL_MS    5000
#define RF_FLOOD_SITES	    64
#define RF_FLOOD_TEXT_BYTES 64

struct rf_flood_site {
	const void *site; /* NULL: free */
	int64_t at_ms;	  /* when `millitokens` was right */
	int64_t millitokens;
	uint64_t left_out;		/* and not said yet */
	int64_t left_out_at_ms;		/* the first of them */
	char text[RF_FLOOD_TEXT_BYTES]; /* how the last line began */
	enum rf_log_level level;
};

/* Zeroed: nothing was said yet. */
struct rf_flood {
	uint32_t pending; /* sites with left_out */
	struct rf_flood_site sites[RF_FLOOD_SITES];
};

/* Whether a line of that place may be said now; if not, it is counted.
 *
 * site  where its bucket is, to be shown the line; NULL: it is not limited */
bool rf_flood_admits(struct rf_flood *flood, const void *call, int64_t now_ms,
	struct rf_flood_site **site);
void rf_flood_show(struct rf_flood_site *site, enum rf_log_level level,
	const char *text, size_t bytes);

/* The next count that is to be said: RF_FLOOD_TELL_MS after the first line that
 * it counts. false: none. It counts from 0 again.
 *
 * now_ms  INT64_MAX: whatever there is */
bool rf_flood_next(
	struct rf_flood *flood, int64_t now_ms, struct rf_flood_site *told);

#endif
