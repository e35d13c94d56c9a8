/* SPDX-License-Identifier: MIT */
/* super.h -- the superblock: first bytes of the arena, at a constant address.
 *
 * Who may touch it: the holder of the lease (business child, or the supervisor
 * while it builds), everything. Nobody else has it mapped.
 *
 * Fields marked (log) change only under the undo log. The others say beside
 * them why they need none. What is written outside of transactions stands in
 * the first page, which the write guard leaves open; the kernel writes there,
 * too, when it passes on the lease of a dead process.
 */
#ifndef RF_SUPER_H
#define RF_SUPER_H

#include "segment.h"
#include <pthread.h>
#include <refork/slot.h>
#include <refork/worker.h>

#define RF_SUPER_BYTES 32768
#define RF_LOG_OFF     RF_SUPER_BYTES /* the undo log follows it */

#define RF_PAGE_SHIFT 12
#define RF_PAGE_BYTES ((size_t)1 << RF_PAGE_SHIFT)
#define RF_RUN_NONE   UINT32_MAX

#define RF_RUN_WORDS   5
#define RF_CLASS_COUNT 35
#define RF_BIN_COUNT   192

/* A run of pages. Runs have numbers: where one stands in the array of entries.
 * A page finds its run by the page map. Entries are dense, so that those of
 * a million blocks fit a processor's cache. */
struct rf_run {
	uint32_t first; /* page */
	uint32_t pages;
	/* FREE: neighbours in the bin; SMALL and linked: in the class; UNUSED:
	 * the next one. */
	uint32_t prev, next;
	uint8_t kind;	/* enum rf_run_kind */
	uint8_t klass;	/* SMALL */
	uint8_t linked; /* SMALL: is in the list of its class */
	uint8_t hole;	/* FREE: 1: the system has its memory back */
	uint32_t reserved;
	union {
		uint64_t bytes; /* LARGE: as asked for */
		/* SMALL: set = taken, or beyond the last block */
		uint64_t bitmap[RF_RUN_WORDS];
	};
};
_Static_assert(sizeof(struct rf_run) == 64, "format");

enum rf_run_kind { RF_RUN_UNUSED, RF_RUN_FREE, RF_RUN_LARGE, RF_RUN_SMALL };

struct rf_heap_shm { /* (log) */
	uint64_t used_bytes;
	uint32_t page_count; /* have memory, but for holes */
	uint32_t page_max;
	uint32_t page_least;	/* of arena.size: never given back */
	uint32_t free_pages[2]; /* in FREE runs; [1]: in holes */
	uint32_t run_count;	/* entries ever used */
	uint32_t run_ready;	/* entries that have memory */
	uint32_t run_unused;	/* the first unused one; RF_RUN_NONE */
	uint64_t bin_map[2][RF_BIN_COUNT / 64]; /* [1]: of holes */
	uint32_t bins[2][RF_BIN_COUNT];		/* runs */
	uint32_t classes[RF_CLASS_COUNT];	/* runs with a free block */
	uint32_t spares[RF_CLASS_COUNT]; /* the one empty run that is kept */
};

struct rf_slot { /* (log) */
	char name[RF_SLOT_NAME_MAX + 1];
	char type[RF_SLOT_TYPE_MAX + 1];
	uint32_t version;
	uint32_t reserved;
	uint64_t bytes;
	void *root;
};
_Static_assert(sizeof(struct rf_slot) == 72, "format");

#define RF_CONN_CHUNK	    1024
#define RF_CONN_CHUNK_COUNT 64 /* of RF_CONN_CHUNK connections each */

/* A request that waits in the arena; of one connection, in order. */
struct rf_parked {
	struct rf_parked *next; /* (log) */
	uint64_t serial;	/* (log) see struct rf_desk */
	uint64_t again;		/* (log) 1: it was run, and parked itself */
	uint64_t bytes;
	uint8_t payload[]; /* as of RF_MSG_REQUEST */
};
_Static_assert(sizeof(struct rf_parked) == 32, "format");

/* rf_conn.own[] (log) */
enum rf_conn_own {
	RF_OWN_FIRST, /* struct rf_parked *; 0: nothing waits */
	RF_OWN_LAST,  /* the same */
	RF_OWN_BYTES, /* of all that waits */
	RF_OWN_FLAGS, /* enum rf_conn_flag */
	RF_OWN_NEXT,  /* struct rf_conn *, while it is in a list */
	RF_OWN_PREV   /* in desk.ready */
};

enum rf_conn_flag {
	RF_CONN_READY = 1,   /* in desk.ready: its first one may run */
	RF_CONN_PATIENT = 2, /* the worker's wish */
	RF_CONN_CLOSING = 4  /* it ends with the open transaction */
};

/* The business side of the channel. */
struct rf_desk {
	uint64_t channel_epoch; /* (log) the channel these positions refer to */
	uint64_t request_pos;	/* (log) next request to run */
	uint64_t reply_pos;	/* (log) end of the last reply */
	uint64_t reply_large_pos;    /* (log) the large area is free once the
				    network child has read up to here */
	uint64_t requests;	     /* (log) run, ever */
	uint64_t quarantined;	     /* (log) */
	struct rf_conn *ready_first; /* (log) first come, first run */
	struct rf_conn *ready_last;  /* (log) */
	struct rf_parked *dropped;   /* (log) nobody's; to be freed */
	uint64_t parked_serial;	     /* (log) of the last one parked */
	struct rf_conn *conns[RF_CONN_CHUNK_COUNT]; /* (log) */
};

/* The quarantined request that was run again last. Commits with what it did,
 * so that it is never run twice. */
struct rf_released {
	uint64_t channel_epoch; /* (log) */
	uint64_t position;	/* (log) */
};

/* Of a segment that outlives the machine's run (backend file): whether it is
 * whole. Written by the supervisor alone: `closed` at its end, when all else
 * has been written to the disk, the rest before it lets anybody change a byte.
 * See file_mark.c. */
struct rf_mark {
	uint64_t closed;   /* 1: nobody has it, all of it is on the disk */
	uint8_t boot[16];  /* the machine's run in which it was opened last */
	uint64_t inode[2]; /* of the file that was opened; its birth, ns or 0 */
	uint64_t checksum; /* of the superblock but for this mark */
};

struct rf_super {
	/* Constant once rf_arena_publish() has written the marker. */
	uint64_t marker; /* RF_ARENA_MAGIC, stored last */
	uint32_t format;
	uint32_t state_version; /* (log) before the first fork only */
	uint64_t base;
	uint64_t segment_bytes;
	uint64_t max_bytes;
	uint64_t log_off;
	uint64_t log_fixed_bytes;
	uint64_t log_max_bytes;
	uint64_t map_off;
	uint64_t runs_off;
	uint64_t heap_off;
	char worker_name[32];
	uint8_t seed[16];

	/* Of the business child that serves or served last: one store. A new
	 * daemon goes on counting from here. */
	uint64_t generation;
	/* position << 8 | attempts. Written by one store before a request
	 * runs; must survive the roll back, so it is not logged. The position
	 * of a parked one is RF_PARKED_POS | serial. */
	uint64_t attempt;
	/* position << 8 | attempts of it that were ended from outside and do
	 * not count above. As that one, it is not logged. */
	uint64_t outside;
	/* Of the last request put aside: numbers are not used twice. Stored
	 * before the file is written; a number may be left out. */
	uint64_t quarantine_last_id;
	struct rf_mark mark;

	_Alignas(64) pthread_mutex_t lease;
	/* Its holder gave it from a signal handler: to whoever has the lease
	 * this is the same as a death. One store by the dying holder, cleared
	 * by the next one once it has rolled back. */
	uint32_t lease_of_dying;

	/* The undo log: bytes used, and bytes backed by memory. log_tail is the
	 * word whose store publishes an entry, and whose zeroing commits. */
	_Alignas(64) uint64_t log_tail;
	/* Raised after the memory is there, lowered before it goes. */
	uint64_t log_ready_bytes;

	_Alignas(RF_PAGE_BYTES) struct rf_desk desk;
	_Alignas(64) struct rf_heap_shm heap;
	_Alignas(64) struct rf_slot slots[RF_SLOT_COUNT];
	_Alignas(64) struct rf_released released;
};
_Static_assert(sizeof(struct rf_super) <= RF_SUPER_BYTES, "format");
_Static_assert(offsetof(struct rf_super, desk) == RF_PAGE_BYTES, "format");

#define RF_SUPER ((struct rf_super *)RF_ARENA_BASE)

/* This process's mapping of the arena; NULL when it has none. */
extern struct rf_segment *rf_arena_segment;

#endif
