/* SPDX-License-Identifier: MIT */
/* tx.c -- undo-log transactions over the arena.
 *
 * The problem. A business child may die between any two instructions. Its
 * successor inherits the arena as it stands, half-made changes included.
 * The idea. Before a byte of live state changes, its old value is in the log.
 * Whoever finds a non-empty log puts the old values back, newest first, and
 * the half-made change is gone.
 *
 * Rules that make it true, and the function that keeps each:
 *   T1  saved before changed      rf_tx_log_entry() publishes the entry by
 *                                 raising log_tail, then returns
 *   T2  one store decides         rf_tx_commit() zeroes log_tail
 *   T3  undo is absolute          rf_tx_recover() copies old bytes and touches
 *                                 log_tail last: a recovery that dies is run
 *                                 again from the start
 *   T4  what was free needs none  rf_free() waits for the commit, so nothing
 *                                 is handed out twice in one transaction
 *
 * An entry is its old bytes, padded to a word, then a word that holds offset
 * and length: the log is read backwards from log_tail.
 *
 * Twice in one transaction is once. The first old value is the one that the
 * roll back must end with, so a range that was saved need not be saved again;
 * a small table of ranges (`seen`) catches most repetitions. It lives in
 * private memory: it dies with the transaction it belongs to.
 *
 * Ordering. The log's reader has outlived its writer: program order is enough.
 * Not for power loss.
 * Limits. One writer, no nesting; old values of one transaction fit the log
 * (log_max_bytes): -ENOSPC. Its fixed part is always backed; the rest is backed
 * when needed and given back at the end of the transaction.
 * Source. Lowell & Chen, "Free Transactions with Rio Vista", SOSP 1997.
 */
#include "arena.h"
#include "guard.h"
#include "heap/heap_paint.h"
#include "tx_log.h"
#include "undo_check.h"
#include <errno.h>
#include <refork/log.h>

#define LOG_STEP ((size_t)1 << 20)

struct rf_tx_state rf_tx_state;
#define tx rf_tx_state

/* Its address tells the threads of a process apart, and stays the same in a
 * fork. The first one that begins a transaction is the one that may. */
static __thread char this_thread;
static const char *business_thread;

static __attribute__((noinline, cold)) void first_thread(void)
{
	if (business_thread != NULL)
		rf_log(RF_LOG_ERROR, "transaction: begun by another thread "
				     "than the business thread; others change "
				     "memory under an rf_lock only");
	RF_CHECK(business_thread == NULL); /* not this thread's to begin */
	business_thread = &this_thread;
}

static __attribute__((noinline, cold)) void begin_guarded(void)
{
	rf_guard_open_now();
	if (rf_tx_is_compared)
		tx.open = RF_TX_COMPARED;
}

void rf_tx_begin(void)
{
	if (rf_unlikely(business_thread != &this_thread))
		first_thread();
	RF_CHECK((tx.open | RF_SUPER->log_tail) == 0);
	tx.open = RF_TX_OPEN;
	tx.error = 0;
	tx.serial++;
	if (rf_unlikely(rf_guard_by != 0))
		begin_guarded();
}

bool rf_tx_is_open(void)
{
	return tx.open;
}

void rf_tx_fail(int error)
{
	RF_CHECK(tx.open && error < 0);
	if (tx.error == 0)
		tx.error = error;
}

int rf_tx_error(void)
{
	return tx.error;
}

/* Memory behind the log up to `want` bytes, a multiple of `step` of them. */
static int back_log(size_t want, size_t step)
{
	struct rf_super *super = RF_SUPER;
	size_t ready = super->log_ready_bytes;

	want = (want + step - 1) / step * step;
	if (want > super->log_max_bytes)
		want = super->log_max_bytes;
	if (rf_segment_back(rf_arena_segment, super->log_off + ready,
		    want - ready) != 0)
		return -ENOMEM;
	rf_ordered();
	super->log_ready_bytes = want;
	return 0;
}

/* Twice as much; or, where there is not so much memory, what is needed. */
int rf_tx_log_grow(size_t need)
{
	size_t twice = RF_SUPER->log_ready_bytes * 2;

	if (need > RF_SUPER->log_max_bytes)
		tx.error = -ENOSPC;
	else if (back_log(need > twice ? need : twice, LOG_STEP) != 0)
		tx.error = back_log(need, RF_PAGE_BYTES);
	return tx.error;
}

/* Give back what a huge transaction needed. */
static __attribute__((noinline, cold)) void log_shrink(void)
{
	struct rf_super *super = RF_SUPER;
	size_t fixed = super->log_fixed_bytes;
	size_t ready = super->log_ready_bytes;

	super->log_ready_bytes = fixed;
	rf_ordered();
	rf_segment_unback(
		rf_arena_segment, super->log_off + fixed, ready - fixed);
}

int rf_tx_log(const void *at, size_t bytes)
{
	uint64_t off = (uint64_t)at - RF_ARENA_BASE;
	const uint8_t *from = at;

	RF_CHECK(tx.open && off < RF_SUPER->segment_bytes &&
		 bytes <= RF_SUPER->segment_bytes - off);
	if (rf_unlikely(tx.error != 0))
		return tx.error;
	for (; rf_unlikely(bytes > RF_TX_LEN_MAX); bytes -= RF_TX_LEN_MAX) {
		if (rf_tx_log_entry(from, off, RF_TX_LEN_MAX) != 0)
			return tx.error;
		from += RF_TX_LEN_MAX;
		off += RF_TX_LEN_MAX;
	}
	return bytes == 0 ? 0 : rf_tx_log_entry(from, off, bytes);
}

static inline void end(bool committed)
{
	const struct rf_super *super = RF_SUPER;

	tx.open = RF_TX_CLOSED;
	tx.serial++;
	rf_heap_forget_deferred(committed);
	if (rf_unlikely(super->log_ready_bytes != super->log_fixed_bytes))
		log_shrink();
}

static void end_guarded(bool committed)
{
	end(committed);
	if (rf_guard_by != 0) {
		rf_undo_check_end();
		rf_guard_close_now();
	}
}

static inline void decide(void)
{
	rf_ordered();
	RF_SUPER->log_tail = 0; /* T2 */
	rf_ordered();
}

/* With an error, or a guard. */
static __attribute__((noinline)) int commit_guarded(void)
{
	int error;

	RF_CHECK(tx.open);
	if (rf_guard_by != 0 && tx.error == 0)
		rf_undo_check_commit();
	if (tx.error == 0)
		rf_heap_free_deferred();
	error = tx.error;
	if (error != 0) {
		rf_tx_abort();
		return error;
	}
	decide();
	end_guarded(true);
	return 0;
}

int rf_tx_commit(void)
{
	if (rf_unlikely(!rf_tx_is_plain() || rf_guard_by != 0))
		return commit_guarded();
	rf_heap_free_deferred();
	if (rf_unlikely(tx.error != 0))
		return commit_guarded();
	decide();
	end(true);
	return 0;
}

void rf_tx_abort(void)
{
	RF_CHECK(tx.open);
	rf_tx_recover();
	end_guarded(false);
}

bool rf_tx_entry_before(
	uint64_t tail, uint64_t *start, uint64_t *off, size_t *bytes)
{
	const struct rf_super *super = RF_SUPER;
	uint64_t entry;
	size_t padded;

	if (tail < 8 || tail > super->log_max_bytes || tail % 8 != 0)
		return false;
	memcpy(&entry, rf_tx_log_base() + tail - 8, sizeof entry);
	*bytes = entry & (((uint64_t)1 << RF_TX_LEN_BITS) - 1);
	*off = entry >> RF_TX_LEN_BITS;
	padded = (*bytes + 7) & ~(size_t)7;
	*start = tail - 8 - padded;
	return padded <= tail - 8 && *off < super->segment_bytes &&
	       *bytes <= super->segment_bytes - *off;
}

size_t rf_tx_recover(void)
{
	uint64_t tail = RF_SUPER->log_tail;
	size_t undone = 0;

	rf_paint_lift();
	while (tail > 0) { /* T3 */
		uint64_t start, off;
		size_t bytes;

		RF_CHECK(rf_tx_entry_before(tail, &start, &off, &bytes));
		memcpy((uint8_t *)RF_ARENA_BASE + off, rf_tx_log_base() + start,
			bytes);
		tail = start;
		undone++;
	}
	rf_ordered();
	RF_SUPER->log_tail = 0;
	rf_ordered();
	rf_heap_forget_hints();
	rf_paint_anew();
	return undone;
}

bool rf_tx_log_is_valid(void)
{
	uint64_t tail = RF_SUPER->log_tail;
	uint64_t off;
	size_t bytes;

	while (tail > 0)
		if (!rf_tx_entry_before(tail, &tail, &off, &bytes))
			return false;
	return true;
}
