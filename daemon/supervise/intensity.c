/* SPDX-License-Identifier: MIT */
/* intensity.c -- how many crashes lie within a sliding window. */
#include "intensity.h"

#include <string.h>

static uint64_t sum(const struct intensity *in)
{
	uint64_t total = 0;

	for (int i = 0; i < INTENSITY_PARTS; i++)
		total += in->counts[i];
	return total;
}

/* The window was made longer or shorter: what it held counts as of now. */
static void resize(struct intensity *in, int64_t now_ms, uint64_t part_ms)
{
	uint64_t total = sum(in);

	memset(in->counts, 0, sizeof(in->counts));
	in->part_ms = part_ms;
	in->part = now_ms / (int64_t)part_ms;
	in->counts[in->part % INTENSITY_PARTS] = total;
}

static void advance(struct intensity *in, int64_t now_ms, uint64_t window_ms)
{
	uint64_t part_ms = window_ms / (INTENSITY_PARTS - 1);
	int64_t part;

	if (part_ms == 0)
		part_ms = 1;
	if (part_ms != in->part_ms)
		resize(in, now_ms, part_ms);
	part = now_ms / (int64_t)part_ms;
	if (part - in->part >= INTENSITY_PARTS)
		memset(in->counts, 0, sizeof(in->counts));
	else
		for (int64_t i = in->part + 1; i <= part; i++)
			in->counts[i % INTENSITY_PARTS] = 0;
	if (part > in->part)
		in->part = part;
}

uint64_t intensity_count(
	struct intensity *in, int64_t now_ms, uint64_t window_ms)
{
	advance(in, now_ms, window_ms);
	return sum(in);
}

uint64_t intensity_add(struct intensity *in, int64_t now_ms, uint64_t window_ms)
{
	advance(in, now_ms, window_ms);
	in->counts[in->part % INTENSITY_PARTS]++;
	return sum(in);
}

void intensity_clear(struct intensity *in)
{
	memset(in->counts, 0, sizeof(in->counts));
}
