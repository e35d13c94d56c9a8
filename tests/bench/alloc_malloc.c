/* SPDX-License-Identifier: MIT */
/* alloc_malloc.c -- the process's own malloc(): glibc's, or what LD_PRELOAD
 * puts in its place. */
#include "alloc_run.h"

static uint64_t *blocks[RUN_SLOTS];

static void run_open(void)
{
}

static void run_swap(size_t slot, size_t bytes, uint64_t word)
{
	free(blocks[slot]);
	blocks[slot] = NULL;
	if (bytes == 0)
		return;
	blocks[slot] = malloc(bytes);
	if (blocks[slot] == NULL)
		exit(1);
	*blocks[slot] = word;
}
