/* SPDX-License-Identifier: MIT */
/* front.h -- what outlives a network child, and how it changes. See front.c. */
#ifndef NETWORK_FRONT_H
#define NETWORK_FRONT_H

#include "buffer.h"
#include "channel.h"
#include "offenders.h"
#include <refork/check.h>
#include <sys/socket.h>
#include <sys/uio.h>

struct conn;

/* ---- changes of several words at once ---- */

#define JOURNAL_MAX 16

struct journal_entry {
	uint64_t *at;
	uint64_t value;
};

struct journal {
	uint64_t armed;	 /* entries that are decided, and not all done */
	uint64_t staged; /* entries that are not decided yet */
	struct journal_entry entries[JOURNAL_MAX];
};

/* What is written before this stands when what follows is written. */
static inline void front_barrier(void)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static inline void front_store(uint64_t *at, uint64_t value)
{
	__atomic_store_n(at, value, __ATOMIC_RELAXED);
}

static inline void journal_set(
	struct journal *journal, uint64_t *at, uint64_t value)
{
	struct journal_entry *entry = &journal->entries[journal->staged];

	RF_CHECK(journal->staged < JOURNAL_MAX);
	entry->at = at;
	entry->value = value;
	journal->staged++;
}

/* All that was staged becomes true, or nothing of it, wherever this process
 * dies. Cost: two stores a word. */
static inline void journal_commit(struct journal *journal)
{
	uint64_t count = journal->staged;

	if (count == 0)
		return;
	front_barrier();
	front_store(&journal->armed, count);
	front_barrier();
	for (uint64_t i = 0; i < count; i++)
		front_store(journal->entries[i].at, journal->entries[i].value);
	front_barrier();
	front_store(&journal->armed, 0);
	journal->staged = 0;
	front_barrier();
}

/* A successor: finish what was decided, forget what was not. */
void journal_redo(struct journal *journal);

/* ---- a system call in progress ---- */

enum ledger_op { LEDGER_NONE, LEDGER_RECEIVE, LEDGER_SEND, LEDGER_REFUSE };
#define LEDGER_UNKNOWN UINT32_MAX /* result: failed, or never made */

struct ledger {
	uint64_t op; /* enum ledger_op */
	struct conn *conn;
	struct buffer *into; /* RECEIVE: behind its end */
	uint64_t from;	     /* RECEIVE: that end; SEND: start of conn->out */
	uint64_t buffered;   /* SEND: so many bytes are conn->out's */
	int64_t fd;	     /* REFUSE */
	struct mmsghdr call; /* msg_len: the result */
	struct iovec parts[2];
};

/* ---- the whole ---- */

struct front {
	struct rf_front_shm shm;
	/* The channel that all this goes with. 0: nothing here is valid. */
	uint64_t epoch;
	uint64_t table;	     /* the descriptor table of conn->fd */
	uint64_t barren;     /* processes in a row that began with all this, and
				did not get beyond it */
	uint64_t slot_fresh; /* this slot and later ones were never used */
	uint64_t owes_reset; /* RF_MSG_RESET is to be pushed before all else */
	uint64_t request_at; /* private head of the request ring */
	uint64_t reply_at;   /* private tail of the reply ring */
	uint64_t reply_sent; /* bytes of the message there that are gone */
	struct conn *reader; /* whose `shared` is; NULL: nobody's */
	struct buffer shared;
	struct ledger ledger;
	struct journal journal; /* conn.c, inbound.c, output.c ... */
	struct journal moves;	/* buffer.c, sock.c: within a staging above */
	uint64_t store_fresh[BUFFER_CLASSES];
	struct offenders offenders;
};

#define FRONT_SHARED_BYTES ((size_t)64 << 10)

/* Raised with each change of what stands here, of struct conn or of the regions
 * of buffer.c that their sizes do not tell. */
#define FRONT_FORMAT 1
/* This program's layout, as rf_front_shm.layout. */
uint64_t front_layout(void);

static inline struct front *front_of(const struct rf_channel *channel)
{
	return (struct front *)channel->front.base;
}
/* All slots; only those up to front_back_slot()'s may be touched. */
struct conn *front_conns(const struct rf_channel *channel);
uint8_t *front_shared_bytes(const struct rf_channel *channel);

/* Make the head usable. 0 or -errno. */
int front_open(struct rf_channel *channel);
/* Nothing that stands there counts: all but rf_front_shm is as when it was
 * made. */
void front_wipe(struct rf_channel *channel);
/* Make a slot usable. 0 or -errno. */
int front_back_slot(struct rf_channel *channel, uint32_t slot);

#endif
