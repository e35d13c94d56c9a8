/* SPDX-License-Identifier: MIT */
/* tx_log.h -- what the heap needs of the transaction, inside librefork. */
#ifndef RF_TX_LOG_H
#define RF_TX_LOG_H

#include "super.h"
#include <refork/tx.h>

/* The compiler may not move a change of live state before the log entry that
 * saves it, nor the commit before the change. The processor needs no fence:
 * who reads the log reads what its dead writer's processor had retired. */
#define rf_ordered() __atomic_signal_fence(__ATOMIC_SEQ_CST)

#define RF_TX_LEN_BITS 26
#define RF_TX_LEN_MAX  (((size_t)1 << RF_TX_LEN_BITS) - 8)
#define RF_TX_SEEN     64

enum rf_tx_open {
	RF_TX_CLOSED,
	RF_TX_OPEN,
	RF_TX_COMPARED /* open, and rf_tx_is_compared */
};

/* The open transaction. Private to the process. */
struct rf_tx_state {
	uint32_t open; /* enum rf_tx_open; looked at together with: */
	int error;
	uint64_t serial; /* of transactions in this process */
	struct {
		uint64_t serial;
		uint64_t entry;
	} seen[RF_TX_SEEN];
};
extern struct rf_tx_state rf_tx_state __attribute__((visibility("hidden")));

/* Open, without an error, and nobody wants to be told of what is done. */
static inline bool rf_tx_is_plain(void)
{
	return rf_likely(
		rf_tx_state.open == RF_TX_OPEN && rf_tx_state.error == 0);
}

static inline uint8_t *rf_tx_log_base(void)
{
	return (uint8_t *)RF_ARENA_BASE + RF_LOG_OFF;
}

/* The entry that ends at `tail`: where it starts in the log, and what it has
 * saved. False when the bytes there are none. */
bool rf_tx_entry_before(
	uint64_t tail, uint64_t *start, uint64_t *off, size_t *bytes);

/* Put memory behind the log up to `need` bytes; an error sticks. */
int rf_tx_log_grow(size_t need);

/* Append one entry and publish it (rule T1 of tx.c). */
static inline int rf_tx_log_entry(const void *at, uint64_t off, size_t bytes)
{
	struct rf_tx_state *tx = &rf_tx_state;
	struct rf_super *super = RF_SUPER;
	uint64_t tail = super->log_tail;
	size_t padded = (bytes + 7) & ~(size_t)7;
	uint64_t entry = off << RF_TX_LEN_BITS | bytes;
	size_t place = (off >> 3) % RF_TX_SEEN;
	uint8_t *to;

	if (tx->seen[place].entry == entry &&
		tx->seen[place].serial == tx->serial)
		return 0;
	if (rf_unlikely(padded + 8 > super->log_ready_bytes - tail) &&
		rf_tx_log_grow(tail + padded + 8) != 0)
		return tx->error;
	to = rf_tx_log_base() + tail;
	memcpy(to, at, bytes);
	memcpy(to + padded, &entry, sizeof entry);
	rf_ordered();
	super->log_tail = tail + padded + 8;
	rf_ordered();
	tx->seen[place].entry = entry;
	tx->seen[place].serial = tx->serial;
	return 0;
}

/* Keep the old value of an aligned word. */
static inline int rf_tx_log_word(const uint64_t *at)
{
	if (rf_unlikely(rf_tx_state.error != 0))
		return rf_tx_state.error;
	return rf_tx_log_entry(at, (uint64_t)at - RF_ARENA_BASE, sizeof *at);
}

/* The heap tells of memory that was nobody's until now (rule T4): nothing of it
 * need be logged. */
static inline void rf_tx_taken(const void *at, size_t bytes)
{
	rf_tx_unlogged(at, bytes);
}

/* What the heap keeps in mind until the open transaction ends. Private. */
struct rf_heap_tx {
	size_t freed; /* blocks that wait for the commit */
	/* Bytes in live blocks change by so much when it commits. */
	int64_t used_delta;
	bool painted; /* rf_heap_paint_end() is to be called */
};
extern struct rf_heap_tx rf_heap_tx __attribute__((visibility("hidden")));

/* Called by the commit, before it decides; see heap.c. */
void rf_heap_free_deferred(void);
void rf_heap_paint_end(bool committed);

/* Called when a transaction ends either way. */
static inline void rf_heap_forget_deferred(bool committed)
{
	rf_heap_tx.freed = 0;
	rf_heap_tx.used_delta = 0;
	if (rf_unlikely(rf_heap_tx.painted))
		rf_heap_paint_end(committed);
}

/* Take as a process does that has just begun. Called after a roll back, which
 * may have undone what is remembered; and so that one of two processes that
 * have had different lives takes the same blocks as the other. */
void rf_heap_forget_hints(void);

/* Prepare an empty heap over the first `page_count` pages; see pages.c. */
int rf_pages_init(uint32_t page_max, uint32_t page_count);
int rf_pages_check(void);

#endif
