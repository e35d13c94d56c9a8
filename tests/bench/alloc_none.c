/* SPDX-License-Identifier: MIT */
/* alloc_none.c -- no allocator: what the steps cost by themselves, their table
 * and the first word of a block. Whoever asks gets the block that came back
 * last, whatever its size; only what is missing is made. */
#include "alloc_run.h"

static uint64_t *blocks[RUN_SLOTS];
static uint64_t *spare[RUN_SLOTS];
static size_t spare_count;

static void run_open(void)
{
}

/* What is given back is handed out at the next step, as in a transaction. */
static void run_swap(size_t slot, size_t bytes, uint64_t word)
{
	uint64_t *given = blocks[slot], *block = NULL;

	if (bytes > 0) {
		block = spare_count > 0 ? spare[--spare_count]
					: (uint64_t *)malloc(bytes);
		if (block == NULL)
			exit(1);
		*block = word;
	}
	if (given != NULL)
		spare[spare_count++] = given;
	blocks[slot] = block;
}
