/* SPDX-License-Identifier: MIT */
/* heap_large.c -- blocks that are a page run of their own; longer and shorter.
 *
 * A block made longer takes free pages after it: they were free when the
 * transaction began, so nothing of theirs needs to be kept (T4). Made shorter
 * it keeps all its pages until the commit: an abort finds its tail.
 */
#include "heap_private.h"
#include "pages_private.h"
#include <errno.h>
#include <refork/heap.h>

static uint32_t pages_for(size_t bytes)
{
	return (uint32_t)((bytes + RF_PAGE_BYTES - 1) >> RF_PAGE_SHIFT);
}

void *rf_large_take(size_t bytes, size_t alignment)
{
	uint32_t number;
	struct rf_run *run;

	if (bytes > RF_BLOCK_BYTES_MAX)
		return NULL;
	number = rf_pages_take(pages_for(bytes), pages_for(alignment));
	if (number == RF_RUN_NONE)
		return NULL;
	run = rf_run_at(number);
	if (rf_tx_log_word(&run->bytes) != 0)
		return NULL;
	run->kind = RF_RUN_LARGE;
	run->bytes = bytes;
	rf_heap_tx.used_delta += (int64_t)rf_run_bytes(run);
	return rf_page_at(run->first);
}

void rf_large_give(uint32_t number)
{
	rf_heap_tx.used_delta -= (int64_t)rf_run_bytes(rf_run_at(number));
	rf_pages_give(number);
}

void rf_large_cut(uint32_t number)
{
	const struct rf_run *run = rf_run_at(number);
	size_t bytes = rf_run_bytes(run);
	uint32_t pages = pages_for(run->bytes);

	/* Freed after all, or longer again. */
	if (run->kind != RF_RUN_LARGE || pages >= run->pages)
		return;
	if (rf_pages_cut(number, pages))
		rf_heap_tx.used_delta -= (int64_t)(bytes - rf_run_bytes(run));
}

/* In place: the same class, or a page run that can be cut or extended. */
static bool resize(struct rf_run *run, size_t bytes)
{
	uint32_t number = rf_run_number(run);
	size_t had = rf_run_bytes(run);

	if (RF_HEAP_DEBUG)
		return false; /* a red zone is where it was made */
	if (run->kind == RF_RUN_SMALL)
		return bytes <= RF_SMALL_MAX &&
		       rf_class_of(bytes) == run->klass;
	if (bytes <= RF_SMALL_MAX || bytes > RF_BLOCK_BYTES_MAX)
		return false;
	if (bytes > had && !rf_pages_extend(number, pages_for(bytes)))
		return false;
	if (rf_unlikely(rf_tx_is_compared) && bytes > had)
		rf_tx_taken(rf_page_at(run->first) + had, bytes - had);
	if (rf_tx_log_word(&run->bytes) != 0)
		return true;
	run->bytes = bytes;
	rf_heap_tx.used_delta += (int64_t)(rf_run_bytes(run) - had);
	if (pages_for(bytes) < run->pages)
		rf_heap_defer(rf_place(number, RF_PLACE_CUT));
	return true;
}

void *rf_realloc(void *block, size_t bytes)
{
	struct rf_run *run;
	uint32_t index;
	size_t usable;
	void *other;

	RF_CHECK(rf_tx_state.open && bytes > 0);
	if (block == NULL)
		return rf_alloc_uninit(bytes);
	if (rf_tx_state.error != 0)
		return NULL;
	run = rf_find_block(block, &index);
	RF_CHECK(run != NULL);
	usable = rf_usable(block);
	if (resize(run, bytes))
		return rf_tx_state.error == 0 ? block : NULL;
	other = rf_alloc_uninit(bytes);
	if (other == NULL)
		return NULL;
	memcpy(other, block, bytes < usable ? bytes : usable);
	rf_free(block);
	return other;
}
