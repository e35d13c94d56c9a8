/* SPDX-License-Identifier: MIT */
/* debug_die.c -- DEBUG SEGFAULT and the like: ways to die. */
#include "worker/kv/server/debug.h"
#include <stdlib.h>

/* Not the null page's first bytes: sanitizers take those for a plain bug and
 * report instead of faulting. */
static inline void write_nowhere(void)
{
	uint64_t *volatile nowhere = (uint64_t *)(uintptr_t)64;

	*nowhere = 1;
}

static void crash_segfault(struct kv_call *call)
{
	(void)call;
	write_nowhere();
}

static void crash_abort(struct kv_call *call)
{
	(void)call;
	abort();
}

static void crash_spin(struct kv_call *call)
{
	(void)call;
	for (;;)
		__asm__ volatile("");
}

/* Half-way through inserting a key: it is in the dict and has no value yet,
 * and here the process ends. */
static void crash_oops_in_tx(struct kv_call *call)
{
	static const char key[] = "oops";

	kv_random();
	rf_dict_put(&call->keys->dict, key, sizeof key - 1, NULL);
	write_nowhere();
}

void (*kv_debug_death(struct rf_bytes name))(struct kv_call *call)
{
	static const struct {
		const char *name;
		void (*die)(struct kv_call *call);
	} deaths[] = {
		{"SEGFAULT", crash_segfault},
		{"ABORT", crash_abort},
		{"PANIC", crash_abort},
		{"SPIN", crash_spin},
		{"OOPS-IN-TX", crash_oops_in_tx},
	};

	for (size_t i = 0; i < sizeof deaths / sizeof *deaths; i++)
		if (kv_is(name, deaths[i].name))
			return deaths[i].die;
	return NULL;
}
