/* SPDX-License-Identifier: MIT */
/* lock.c -- locks and conditions that outlive whoever holds them.
 *
 * The lock is libc's robust mutex: the kernel hands it on when its holder dies.
 * What becomes of the guarded memory is kept beside it, in `state`:
 *
 *   SOUND --- a holder dies ---> SUSPECT --- made consistent ---> SOUND
 *                                   |
 *                                   +------- given as it is ----> BROKEN
 *
 *   K1  told until it is repaired    rf_lock_take() stores SUSPECT before it
 *                                    takes the news of the death off the mutex:
 *                                    a taker who dies over it leaves either
 *   K2  only the holder changes it   rf_lock_give() stores BROKEN before it
 *                                    unlocks
 *   K3  open while it is held        a holder may write to a guarded arena: the
 *                                    kernel marks the mutex of a dead one with
 *                                    that one's rights
 *
 * The condition. libc's own ones count their sleepers in shared memory, and
 * hang once one of them has died. This one is a number that grows with every
 * signal. Who waits remembers the number before it gives the lock, and sleeps
 * in the kernel only while the number is still that one: a signal in between is
 * not lost. No step leaves anything that a death could leave undone, but for
 * two: a sender may die after its change and before the signal, and one sleeper
 * may be woken in place of all and die. So no sleep is longer than LOOK_US.
 */
#include "robust.h"
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <refork/guard.h>
#include <refork/lock.h>
#include <refork/log.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LOCK_MAGIC UINT64_C(0x4b434f4c4b524652) /* "RFRKLOCK" */
#define LOOK_US	   100000

enum lock_state { LOCK_SOUND, LOCK_SUSPECT, LOCK_BROKEN };

#define set_state(lock, value)                                                 \
	__atomic_store_n(&(lock)->state, (uint32_t)(value), __ATOMIC_SEQ_CST)
#define state_of(lock) __atomic_load_n(&(lock)->state, __ATOMIC_SEQ_CST)

static int make_lock(struct rf_lock *lock, const char *name)
{
	int error;

	lock->magic = 0;
	error = rf_robust_make(&lock->mutex, PTHREAD_MUTEX_ERRORCHECK);
	if (error != 0)
		return error;
	snprintf(lock->name, sizeof lock->name, "%s", name);
	lock->reserved = 0;
	set_state(lock, LOCK_SOUND);
	__atomic_store_n(&lock->magic, LOCK_MAGIC, __ATOMIC_SEQ_CST);
	return 0;
}

int rf_lock_init(struct rf_lock *lock, const char *name)
{
	int error;

	rf_unguarded_begin();
	error = make_lock(lock, name);
	rf_unguarded_end();
	return error;
}

static int renew(struct rf_lock *lock)
{
	int found = pthread_mutex_trylock(&lock->mutex);
	if (found == 0)
		return -pthread_mutex_unlock(&lock->mutex);
	if (state_of(lock) == LOCK_SOUND)
		set_state(lock, LOCK_SUSPECT);
	if (found == EOWNERDEAD) {
		pthread_mutex_consistent(&lock->mutex);
		return -pthread_mutex_unlock(&lock->mutex);
	}
	/* Its holder is of another run of the machine, and so are the links of
	 * its list: of the lock nothing is used. */
	return rf_robust_make(&lock->mutex, PTHREAD_MUTEX_ERRORCHECK);
}

int rf_lock_renew(struct rf_lock *lock)
{
	int error;

	RF_CHECK(lock->magic == LOCK_MAGIC);
	rf_unguarded_begin();
	error = renew(lock);
	rf_unguarded_end();
	return error;
}

/* ---- instants ---- */

static struct timespec instant(int64_t us)
{
	return (struct timespec){us / 1000000, us % 1000000 * 1000};
}

static int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- the lock ---- */

static int lock_mutex(pthread_mutex_t *mutex, int64_t wait_us)
{
	int found = pthread_mutex_trylock(mutex);
	struct timespec until;

	if (found != EBUSY || wait_us == 0)
		return found == EBUSY ? ETIMEDOUT : found;
	if (wait_us < 0)
		return pthread_mutex_lock(mutex);
	until = instant(now_us() + wait_us);
	return pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, &until);
}

static void unlock_mutex(struct rf_lock *lock)
{
	int error = pthread_mutex_unlock(&lock->mutex);

	if (rf_likely(error == 0)) {
		rf_unguarded_end();
		return;
	}
	rf_log(RF_LOG_ERROR, "lock %s: given by a thread that does not hold it",
		lock->name);
	RF_CHECK(error == 0);
}

static int tell_broken(struct rf_lock *lock)
{
	unlock_mutex(lock);
	rf_log(RF_LOG_ERROR,
		"lock %s: a holder died, and the next one gave the lock "
		"without "
		"having repaired what it guards: nobody can take it until it "
		"is made anew (rf_lock_init)",
		lock->name);
	return -ENOTRECOVERABLE;
}

int rf_lock_take(struct rf_lock *lock, int64_t wait_us)
{
	uint32_t state;
	int found;

	RF_CHECK(lock->magic == LOCK_MAGIC);
	rf_unguarded_begin(); /* K3 */
	found = lock_mutex(&lock->mutex, wait_us);
	if (rf_unlikely(found == EDEADLK)) {
		rf_log(RF_LOG_ERROR,
			"lock %s: taken by a thread that holds it already",
			lock->name);
		RF_CHECK(found != EDEADLK);
	}
	if (found != 0 && found != EOWNERDEAD) {
		rf_unguarded_end();
		return -found;
	}
	if (found == EOWNERDEAD) {
		if (state_of(lock) == LOCK_SOUND)
			set_state(lock, LOCK_SUSPECT); /* K1 */
		RF_CHECK(pthread_mutex_consistent(&lock->mutex) == 0);
	}
	state = state_of(lock);
	if (rf_likely(state == LOCK_SOUND))
		return RF_LOCK_CLEAN;
	return state == LOCK_SUSPECT ? RF_LOCK_OWNER_DIED : tell_broken(lock);
}

void rf_lock_made_consistent(struct rf_lock *lock)
{
	set_state(lock, LOCK_SOUND);
}

void rf_lock_give(struct rf_lock *lock)
{
	if (rf_unlikely(state_of(lock) == LOCK_SUSPECT))
		set_state(lock, LOCK_BROKEN); /* K2 */
	unlock_mutex(lock);
}

/* ---- the condition ---- */

int rf_cond_wait(struct rf_cond *cond, struct rf_lock *lock, int64_t until_us)
{
	uint32_t seen = __atomic_load_n(&cond->sequence, __ATOMIC_SEQ_CST);
	int64_t look_at_us = now_us() + LOOK_US;
	bool last = until_us >= 0 && until_us <= look_at_us;
	struct timespec until = instant(last ? until_us : look_at_us);
	bool late;
	int found;

	rf_lock_give(lock);
	late = syscall(SYS_futex, &cond->sequence, FUTEX_WAIT_BITSET, seen,
		       &until, NULL, FUTEX_BITSET_MATCH_ANY) != 0 &&
	       errno == ETIMEDOUT;
	found = rf_lock_take(lock, RF_LOCK_FOREVER);
	return found == RF_LOCK_CLEAN && late && last ? -ETIMEDOUT : found;
}

static void wake(struct rf_cond *cond, int sleepers)
{
	rf_unguarded_begin();
	__atomic_fetch_add(&cond->sequence, 1, __ATOMIC_SEQ_CST);
	rf_unguarded_end();
	syscall(SYS_futex, &cond->sequence, FUTEX_WAKE, sleepers, NULL, NULL,
		0);
}

void rf_cond_signal(struct rf_cond *cond)
{
	wake(cond, 1);
}

void rf_cond_broadcast(struct rf_cond *cond)
{
	wake(cond, INT_MAX);
}
