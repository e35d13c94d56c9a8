/* SPDX-License-Identifier: MIT */
/* alloc_pmem.c -- libpmemobj: each swap is a transaction. */
#include "../alloc_run.h"
#include <libpmemobj.h>
#include <string.h>
#include <unistd.h>

#define POOL_BYTES ((size_t)2 << 30)
#define TYPE	   1

static PMEMobjpool *pool;
static PMEMoid blocks[RUN_SLOTS];

/* In memory, and without cache flushes: the caller sets PMEM_IS_PMEM_FORCE and
 * PMEM_NO_FLUSH, as no power fails here. */
static void run_open(void)
{
	char path[64];

	snprintf(path, sizeof path, "/dev/shm/refork-bench-pmem-%d",
		(int)getpid());
	pool = pmemobj_create(path, "bench", POOL_BYTES, 0600);
	unlink(path);
	if (pool == NULL) {
		fprintf(stderr, "%s: %s\n", path, pmemobj_errormsg());
		exit(1);
	}
}

static void run_swap(size_t slot, size_t bytes, uint64_t word)
{
	PMEMoid block = OID_NULL;

	if (OID_IS_NULL(blocks[slot]) && bytes == 0)
		return;
	if (pmemobj_tx_begin(pool, NULL, TX_PARAM_NONE) != 0)
		exit(1);
	if (!OID_IS_NULL(blocks[slot]))
		pmemobj_tx_free(blocks[slot]);
	if (bytes > 0) {
		block = pmemobj_tx_alloc(bytes, TYPE);
		if (OID_IS_NULL(block))
			exit(1);
		memcpy(pmemobj_direct(block), &word, sizeof word);
	}
	pmemobj_tx_commit();
	if (pmemobj_tx_end() != 0)
		exit(1);
	blocks[slot] = block;
}
