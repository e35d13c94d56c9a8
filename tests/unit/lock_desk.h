/* SPDX-License-Identifier: MIT */
/* lock_desk.h -- a lock and a condition that the processes of a test share.
 *
 * What the lock guards are two numbers that are equal but while somebody
 * changes them: whoever is told that all is well must find them equal.
 */
#ifndef LOCK_DESK_H
#define LOCK_DESK_H

#include "suite.h"
#include <refork/lock.h>

#define SOON_US 2000000

static struct desk {
	struct rf_lock lock;
	struct rf_cond cond;
	uint64_t first, second; /* guarded */
	uint64_t ball;		/* guarded: rounds played */
	uint64_t goods, taken;	/* guarded */
	uint64_t late;
	bool inside; /* an actor has the lock */
	bool over;   /* it has given it */
} * desk;

static inline int set_up(void **state)
{
	(void)state;
	desk = shared_memory(sizeof *desk);
	return desk != NULL ? rf_lock_init(&desk->lock, "desk") : -1;
}

static inline int tear_down(void **state)
{
	(void)state;
	munmap(desk, sizeof *desk);
	return 0;
}

static inline int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Take it within a time in which nobody else is slow. */
static inline int take_soon(void)
{
	int found = rf_lock_take(&desk->lock, SOON_US);

	if (found == RF_LOCK_CLEAN)
		assert_int_equal(desk->first, desk->second);
	return found;
}

#define lock_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
