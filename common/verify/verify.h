/* SPDX-License-Identifier: MIT */
/* verify.h -- the whole arena, walked by somebody who believes none of it.
 *
 * In a process that has an arena mapped at RF_ARENA_BASE and has called
 * rf_arena_use(): the arena of a service that is held, or a copy, the undo log
 * empty (rf_tx_recover() in a private copy). Nothing is written, PROT_READ will
 * do. Memory of its own: 1/60 of the heap, for the time of the call.
 */
#ifndef RF_VERIFY_H
#define RF_VERIFY_H

#include <refork/worker.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rf_verify_part {
	RF_VERIFY_SUPER,  /* superblock and undo log */
	RF_VERIFY_HEAP,	  /* runs, page map, bins, classes, bitmaps */
	RF_VERIFY_SLOTS,  /* names, types, roots */
	RF_VERIFY_DESK,	  /* connections, requests that wait */
	RF_VERIFY_WORKER, /* its walk, or its verify */
	RF_VERIFY_LEAKS,  /* what nobody has reached */
	RF_VERIFY_PART_COUNT
};

/* "superblock", ... */
extern const char *const rf_verify_part_names[RF_VERIFY_PART_COUNT];

struct rf_verify_problem {
	enum rf_verify_part part;
	const void *at;	  /* NULL: of no one place */
	const char *slot; /* the slot that the walk had come from; "" */
	const char *text; /* whole sentence; valid during the call */
};

/* What there is, by owner and kind: "kv", "dict entry". */
struct rf_verify_tally {
	const char *slot; /* "" for the framework's own */
	const char *what;
	uint64_t blocks;
	uint64_t bytes; /* usable */
};

#define RF_VERIFY_TALLIES_MAX	 64
#define RF_VERIFY_PROBLEMS_MAX	 1000 /* told; the rest are counted */
#define RF_VERIFY_LEAKS_TOLD_MAX 100

struct rf_verify_conf {
	/* As the daemon accepted it (worker_load.c): hooks that it does not
	 * have are NULL. NULL: none, or another's; leaks cannot be told. Its
	 * `walk` is called. */
	const struct rf_worker *worker;
	/* Its `build` has run in this process or one that forked it: a
	 * worker without `walk` may then be asked to `verify`. */
	bool has_built;

	/* Each may be NULL. */
	void (*problem)(void *context, const struct rf_verify_problem *problem);
	/* rf_walk_thing(): `path` is "kv: db 0". */
	void (*thing)(void *context, const void *at, const char *path,
		const char *kind, uint64_t items);
	/* The block that holds this address was reached: what it is, from
	 * where. NULL: every block. */
	const void *wanted;
	void (*found)(void *context, const void *block, size_t bytes,
		const char *path, const char *what);
	void *context;
};

struct rf_verify_result {
	uint64_t problems;
	bool leaks_known; /* the worker has a walk, and the heap was whole */
	uint64_t leaks, leak_bytes;   /* are among the problems, too */
	uint64_t blocks, block_bytes; /* live */
	uint64_t reached;	      /* blocks */
	uint64_t runs, pages, free_pages;
	double part_ms[RF_VERIFY_PART_COUNT];
	double total_ms;
	uint32_t tally_count;
	struct rf_verify_tally tallies[RF_VERIFY_TALLIES_MAX];
};

/* Returns 0: all is whole; -EBADMSG: it is not, out->problems says how much;
 * -ENOMEM: no memory to do it. Ends in time that the size of the heap bounds,
 * whatever the bytes are. */
int rf_verify(const struct rf_verify_conf *conf, struct rf_verify_result *out);

#endif
