/* SPDX-License-Identifier: MIT */
/* guard.c -- the arena is writable inside a transaction only.
 *
 * The problem. A wild pointer between two transactions, in a thread or a hook
 * that only reads, damages the state, and nothing rolls it back.
 * The idea. A protection key on the arena's pages: what it allows stands in a
 * register of each thread, so opening and closing costs no system call.
 *
 *   G1  open   rf_tx_begin(), rf_lease_recover(), and from rf_guard_arm() to
 *              the first roll back: a standby's pre-faulting asks the kernel
 *              to write
 *   G2  closed rf_tx_commit(), rf_tx_abort(), the end of rf_lease_recover()
 *   G3  never guarded: the first page (super.h). The kernel marks a dead
 *              process's robust lock with that process's own rights: a lock
 *              behind a closed key stays locked by the dead
 *   G4  a batch  between the transactions of one round of the desk it stays
 *              open, but for worker code that runs there (ahead.c): a switch
 *              costs as much as a small transaction
 *   G5  in a handler all is closed, to reading as well: whoever reads there
 *              opens first. Returning from it restores what was
 *
 * A thread begins with the rights of the one that made it. A key belongs to an
 * address space: only the child arms, the supervisor never has one.
 * Limits. Another mapping of the same memory is not covered. System calls that
 * write to a closed page answer EFAULT.
 */
#include "guard.h"
#include "undo_check.h"
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

unsigned rf_guard_by;

static struct {
	const struct rf_segment *seg;
	int key;
} guard;

/* What this thread may: it is in a transaction, or says that it knows. */
static __thread struct {
	bool open;
	bool batch;	 /* what is open stays so */
	unsigned lifted; /* rf_unguarded_begin(), so many times */
} mine;

uint64_t rf_guard_from(const struct rf_segment *seg)
{
	uint64_t grain = seg->page_bytes > RF_PAGE_BYTES ? seg->page_bytes
							 : RF_PAGE_BYTES;

	return RF_ARENA_BASE + grain;
}

/* The compare mode has made pages read-only: that is not to change. */
static int cover(int key)
{
	uint64_t from = rf_guard_from(guard.seg);
	size_t bytes = RF_ARENA_BASE + guard.seg->max_bytes - from;

	if (rf_guard_by & RF_GUARD_BY_COMPARE)
		return rf_undo_check_cover(key);
	return pkey_mprotect(
		       (void *)from, bytes, PROT_READ | PROT_WRITE, key) == 0
		       ? 0
		       : -errno;
}

int rf_guard_arm(const struct rf_segment *seg)
{
	int key = pkey_alloc(0, 0);
	int error;

	if (key < 0)
		return -errno;
	guard.seg = seg;
	error = cover(key);
	if (error != 0) {
		pkey_free(key);
		return error;
	}
	guard.key = key;
	mine.open = true;
	rf_guard_by |= RF_GUARD_BY_KEY;
	return 0;
}

/* A key that is not this address space's is refused; of one that is, nothing
 * changes. */
int rf_guard_rearm(void)
{
	int key, error;

	if (!(rf_guard_by & RF_GUARD_BY_KEY))
		return 0;
	error = cover(guard.key);
	if (error != -EINVAL)
		return error;
	key = pkey_alloc(0, PKEY_DISABLE_WRITE);
	error = key < 0 ? -errno : cover(key);
	if (error == 0) {
		guard.key = key;
		return 0;
	}
	rf_guard_by &= ~(unsigned)RF_GUARD_BY_KEY;
	return error;
}

/* The register is believed, not our own words: a handler's is another one. To
 * read it costs a quarter of a write. */
static void apply(void)
{
	bool may = mine.open || mine.lifted > 0;
	unsigned rights = may ? 0 : PKEY_DISABLE_WRITE;

	if (!(rf_guard_by & RF_GUARD_BY_KEY) || (mine.batch && !may))
		return;
	if ((unsigned)pkey_get(guard.key) != rights)
		pkey_set(guard.key, rights);
}

void rf_guard_open_now(void)
{
	mine.open = true;
	apply();
}

void rf_guard_close_now(void)
{
	mine.open = false;
	apply();
}

void rf_guard_batch_now(bool on)
{
	mine.batch = on;
	apply();
}

void rf_unguarded_begin(void)
{
	if (mine.lifted++ == 0)
		apply();
}

void rf_unguarded_end(void)
{
	RF_CHECK(mine.lifted > 0);
	if (--mine.lifted == 0)
		apply();
}

bool rf_guard_is_lifted(void)
{
	return mine.lifted > 0;
}
