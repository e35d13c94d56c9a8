/* SPDX-License-Identifier: MIT */
/* alloc_refork.c -- refork's heap: each swap is a transaction. */
#include "measure.h"
#include <refork/heap.h>
#include <refork/tx.h>

/* Whole pages. */
static size_t in_use(void)
{
	struct rf_heap_stats stats;

	rf_heap_stats(&stats);
	return stats.size_bytes - stats.free_run_bytes;
}

#define RUN_IN_USE in_use()
#include "alloc_run.h"

static uint64_t *blocks[RUN_SLOTS];

static void run_open(void)
{
	make_arena((uint64_t)2 << 30);
}

static void run_swap(size_t slot, size_t bytes, uint64_t word)
{
	uint64_t *block = NULL;

	if (blocks[slot] == NULL && bytes == 0)
		return;
	rf_tx_begin();
	rf_free(blocks[slot]);
	if (bytes > 0)
		block = rf_alloc_uninit(bytes);
	if (rf_tx_commit() != 0)
		give_up("swap a block", rf_tx_error());
	if (block != NULL)
		*block = word;
	blocks[slot] = block;
}
