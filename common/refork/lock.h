/* SPDX-License-Identifier: MIT */
/* lock.h -- locks and conditions that outlive whoever holds them.
 *
 * For workers with threads of their own; docs/workers.md has the rule of who
 * may touch what. What a lock guards is plain memory: never under the undo log,
 * because a roll back would put back what another thread has changed since.
 *
 * Both stand in memory that all their users share: a block of the arena, made
 * in `build`, or memory of one process. Any thread of any business child may
 * use them. The holder of a lock may write to the arena, whatever arena.guard
 * says. Any of them may die at any instruction: no other thread then waits
 * for ever.
 */
#ifndef REFORK_LOCK_H
#define REFORK_LOCK_H

#include <pthread.h>
#include <refork/check.h>
#include <stdint.h>

#define RF_LOCK_NAME_MAX 23
#define RF_LOCK_FOREVER	 (-1)

struct rf_lock {
	uint64_t magic; /* stored last: it was made */
	char name[RF_LOCK_NAME_MAX + 1];
	uint32_t state; /* changed by the holder only */
	uint32_t reserved;
	pthread_mutex_t mutex; /* robust, of many processes */
};

struct rf_cond {
	uint32_t sequence; /* of signals; zeroed memory is a new one */
};

/* What a taker finds. */
enum rf_lock_found {
	RF_LOCK_CLEAN,
	RF_LOCK_OWNER_DIED /* the last holder died with it: what it guards may
			      be half changed. Repair that, then say
			      rf_lock_made_consistent(). */
};

/* Make a free lock, whatever stands there: nobody may be using it.
 *
 * name     for messages; at most RF_LOCK_NAME_MAX bytes of it are kept
 * Returns  0 or -errno
 * Where    in `build`, when its block is new; for a lock that nobody can take
 *          any more, once its users are gone */
RF_API int rf_lock_init(struct rf_lock *lock, const char *name);

/* In `build`, of a lock that was there before: make sure that it can be taken.
 * Its holder may have ended with the machine, and nobody has seen it die. The
 * first taker is then told RF_LOCK_OWNER_DIED, as after any death. Nobody else
 * may be using it. 0 or -errno. */
RF_API int rf_lock_renew(struct rf_lock *lock);

/* Take it. Not recursive: a second time by the same thread is a crash.
 *
 * wait_us  at most; 0: do not wait; RF_LOCK_FOREVER
 * Returns  enum rf_lock_found with the lock; without it -ETIMEDOUT, or
 *          -ENOTRECOVERABLE after logging: a holder who was told of a death
 *          gave it without having said that all is well
 * Cost     ~70 ns with rf_lock_give(), when it is free */
RF_API int rf_lock_take(struct rf_lock *lock, int64_t wait_us);

/* The holder has repaired what it guards. */
RF_API void rf_lock_made_consistent(struct rf_lock *lock);

/* Give it back. A holder who was told RF_LOCK_OWNER_DIED and has not said
 * rf_lock_made_consistent() leaves a lock that nobody can take any more. */
RF_API void rf_lock_give(struct rf_lock *lock);

/* Give the lock, sleep until signalled, take it again. It may also return
 * without a signal: the caller looks whether what it waits for has come, and
 * waits again. It does so at the latest after 100 ms, which is how long a
 * signal can be late whose sender died before it was sent, or whose receiver
 * died with it.
 *
 * until_us  CLOCK_MONOTONIC in us, so that a wait which is begun again does not
 *           last longer; RF_LOCK_FOREVER
 * Returns   as rf_lock_take(), and -ETIMEDOUT: the instant has come; the lock
 *           is held and clean */
RF_API int rf_cond_wait(
	struct rf_cond *cond, struct rf_lock *lock, int64_t until_us);

/* Wake one sleeper, all sleepers. Change what they wait for under the lock
 * first; holding it here is not needed. Cost: a system call, ~0.6 us. */
RF_API void rf_cond_signal(struct rf_cond *cond);
RF_API void rf_cond_broadcast(struct rf_cond *cond);

#endif
