/* SPDX-License-Identifier: MIT */
/* guard_stage.h -- an arena with one block, and children that arm a key.
 *
 * A key is for ever: every process that arms one is a child of its own.
 */
#ifndef GUARD_STAGE_H
#define GUARD_STAGE_H

#include "scratch_arena.h"
#include "suite.h"
#include <guard.h>
#include <pthread.h>
#include <refork/guard.h>

static struct thing { /* a block */
	uint64_t word;
	pthread_mutex_t lock;
} * thing;

static int set_up(void **state)
{
	(void)state;
	if (scratch_arena_create((uint64_t)16 << 20) != 0)
		return -1;
	rf_tx_begin();
	thing = rf_alloc(sizeof *thing);
	return rf_tx_commit();
}

static int tear_down(void **state)
{
	(void)state;
	scratch_arena_destroy();
	return 0;
}

/* As a business child begins. */
static void arm(void)
{
	if (rf_guard_arm(&scratch_segment) != 0)
		_exit(CHILD_CANNOT);
	rf_guard_close();
}

/* How a child ends: its exit status, or 128 + the signal. */
static int end_of(int (*body)(void *))
{
	int status = run_child(body, NULL);

	if (exit_of(status) == CHILD_CANNOT)
		skip();
	return WIFSIGNALED(status) ? 128 + signal_of(status) : exit_of(status);
}

#define STOPPED (128 + SIGSEGV)

static void poke(void)
{
	*(volatile uint64_t *)&thing->word = 7;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
