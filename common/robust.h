/* SPDX-License-Identifier: MIT */
/* robust.h -- a mutex that outlives its owner, in memory that processes share.
 */
#ifndef RF_ROBUST_H
#define RF_ROBUST_H

#include <pthread.h>

/* Make a free one, whatever stands there. 0 or -errno, then nothing has
 * changed. `type` as of pthread_mutexattr_settype().
 *
 * Made aside and copied: pthread_mutex_init() begins with zeros, and a death
 * after them would leave a mutex that is not robust and looks free. */
static inline int rf_robust_make(pthread_mutex_t *out, int type)
{
	pthread_mutexattr_t attr;
	pthread_mutex_t fresh;
	int error = pthread_mutexattr_init(&attr);

	if (error != 0)
		return -error;
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutexattr_settype(&attr, type);
	error = pthread_mutex_init(&fresh, &attr);
	pthread_mutexattr_destroy(&attr);
	if (error == 0)
		*out = fresh;
	return -error;
}

#endif
