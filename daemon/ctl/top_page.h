/* SPDX-License-Identifier: MIT */
/* top_page.h -- what `top` shows, as lines of text. See top_page.c. */
#ifndef TOP_PAGE_H
#define TOP_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define TOP_SAMPLE_COUNT 512 /* as wide as a line of sparks can be */

enum top_series {
	TOP_REQUESTS,  /* per second */
	TOP_RECOVERY,  /* us, of the recoveries in this interval */
	TOP_CRASHES,   /* in this interval */
	TOP_BYTES_IN,  /* per second */
	TOP_BYTES_OUT, /* per second */
	TOP_SERIES_COUNT
};

struct top_history {
	double values[TOP_SERIES_COUNT][TOP_SAMPLE_COUNT];
	unsigned count;	       /* samples ever taken */
	struct top_counts {    /* as they were at the last one */
		int64_t at_ms; /* 0: never */
		uint64_t requests, bytes_in, bytes_out, recoveries, crashes;
	} last;
};

/* Take a sample from the JSON of the status. */
void top_sample(struct top_history *h, const char *json, int64_t now_ms);

/* Bars of the last `width` samples, oldest first, the highest one as high as
 * can be; blanks where there is none yet. */
void top_sparks(const struct top_history *h, enum top_series series, int width,
	bool ascii, FILE *out);

/* One line a series: its name, its last value, its sparks. */
void top_series_lines(
	const struct top_history *h, int columns, bool ascii, FILE *out);

#endif
