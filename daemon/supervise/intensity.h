/* SPDX-License-Identifier: MIT */
/* intensity.h -- how many crashes lie within a sliding window. */
#ifndef INTENSITY_H
#define INTENSITY_H

#include <stdint.h>

#define INTENSITY_PARTS 64

/* The window in 64 parts, each with its count: a crash is forgotten between
 * one window and one window and a 64th after it happened. */
struct intensity {
	int64_t part; /* number of the youngest, since the clock's zero */
	uint64_t part_ms;
	uint64_t counts[INTENSITY_PARTS]; /* by number modulo their number */
};

/* One more, now. Returns how many there are, this one included. */
uint64_t intensity_add(
	struct intensity *in, int64_t now_ms, uint64_t window_ms);
uint64_t intensity_count(
	struct intensity *in, int64_t now_ms, uint64_t window_ms);
void intensity_clear(struct intensity *in);

#endif
