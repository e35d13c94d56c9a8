/* SPDX-License-Identifier: MIT */
/* lease.c -- one lock for one writer, and the news of its death.
 *
 * The idea. Whoever holds the robust mutex of the superblock is the business
 * child, for its whole life. When it dies the kernel walks its robust list
 * before it tears down its memory: a waiter is awake with EOWNERDEAD in
 * microseconds, whatever the size of the arena.
 *
 *   L1  never from the living    the kernel gives it, or its holder does
 *   L2  whole before used        rf_lease_recover() rolls back first, marks the
 *                                lock consistent second, and only then says
 *                                that this thread holds it
 *   L3  the last word            rf_lease_lock(orphaned): robust lists stand in
 *                                private memory and can be overwritten
 *
 * A dying holder may give the lease early, from its signal handler, so that a
 * core dump is written beside its successor. It may do so only past L2, and it
 * leaves a mark: its successor rolls back and counts as after a death.
 */
#include "arena.h"
#include "guard.h"
#include "robust.h"
#include "super.h"
#include <errno.h>
#include <refork/check.h>
#include <refork/log.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Read by a signal handler. A forked copy of it names a thread that does not
 * exist there. */
static volatile pid_t holder;

/* The lock came with EOWNERDEAD and is not yet marked consistent. */
static bool inconsistent;

static pid_t this_thread(void)
{
	return (pid_t)syscall(SYS_gettid);
}

int rf_lease_init(void)
{
	return rf_robust_make(&RF_SUPER->lease, PTHREAD_MUTEX_NORMAL);
}

static int wait_for(pthread_mutex_t *lease, int64_t wait_us)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += wait_us / 1000000;
	until.tv_nsec += wait_us % 1000000 * 1000;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_nsec -= 1000000000L;
		until.tv_sec++;
	}
	return pthread_mutex_clocklock(lease, CLOCK_MONOTONIC, &until);
}

/* No other process has the arena, so whatever stands in the lock is a dead
 * process's. */
static int make_anew(int found)
{
	int error;

	rf_log(RF_LOG_WARNING,
		"lease: %s although its holder is dead and reaped; making it "
		"anew",
		strerror(found));
	error = -rf_lease_init();
	if (error == 0)
		error = pthread_mutex_lock(&RF_SUPER->lease);
	if (error == 0)
		RF_SUPER->lease_of_dying = 1;
	return error;
}

int rf_lease_lock(int64_t wait_us, bool orphaned)
{
	pthread_mutex_t *lease = &RF_SUPER->lease;
	int found = pthread_mutex_trylock(lease);

	if (found == EBUSY && !orphaned && wait_us > 0)
		found = wait_for(lease, wait_us);
	if (orphaned && found != 0 && found != EOWNERDEAD)
		found = make_anew(found);
	if (found != 0 && found != EOWNERDEAD)
		return found == EBUSY ? -ETIMEDOUT : -found;
	inconsistent = found == EOWNERDEAD;
	return inconsistent || RF_SUPER->lease_of_dying != 0
		       ? RF_LEASE_OWNER_DIED
		       : RF_LEASE_CLEAN;
}

size_t rf_lease_recover(void)
{
	size_t undone;

	rf_guard_open();
	undone = rf_tx_recover();
	rf_guard_close();
	RF_SUPER->lease_of_dying = 0;
	if (inconsistent)
		RF_CHECK(pthread_mutex_consistent(&RF_SUPER->lease) == 0);
	inconsistent = false;
	holder = this_thread();
	return undone;
}

int rf_lease_take(int wait_ms, bool orphaned)
{
	int lease = rf_lease_lock((int64_t)wait_ms * 1000, orphaned);

	if (lease >= 0)
		rf_lease_recover();
	return lease;
}

void rf_lease_give(void)
{
	holder = 0;
	RF_CHECK(pthread_mutex_unlock(&RF_SUPER->lease) == 0);
}

/* pthread_mutex_unlock() is not on the list of what a handler may call. Of a
 * robust mutex it takes one element out of this thread's list, stores the lock
 * word and wakes a waiter: no lock, no allocation, and its only state is this
 * mutex and this thread's list. `holder` is ours, so no operation on this mutex
 * was interrupted: rf_lease_recover() sets it after the last store to it,
 * rf_lease_give() clears it before the first. A list broken by a wild write is
 * a fault in here: the process dies as if it had never tried. */
bool rf_lease_give_dying(void)
{
	if (holder == 0 || holder != this_thread())
		return false;
	holder = 0;
	RF_SUPER->lease_of_dying = 1;
	return pthread_mutex_unlock(&RF_SUPER->lease) == 0;
}

void rf_lease_mark_dying(void)
{
	if (holder != 0 && holder == this_thread())
		RF_SUPER->lease_of_dying = 1;
}

pid_t rf_lease_holder(void)
{
	return holder;
}
