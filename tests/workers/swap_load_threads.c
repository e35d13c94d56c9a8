/* SPDX-License-Identifier: MIT */
/* swap_load_threads.c -- code that starts a thread when it is loaded. */
#define VERSION "load_threads"
#include "swap.h"

static void *sleeper(void *nothing)
{
	for (;;)
		pause();
	return nothing;
}

__attribute__((constructor)) static void constructor(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, sleeper, NULL);
}
