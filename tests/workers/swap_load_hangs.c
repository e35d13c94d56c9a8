/* SPDX-License-Identifier: MIT */
/* swap_load_hangs.c -- code that never comes back from being loaded. */
#define VERSION "load_hangs"
#include "swap.h"

__attribute__((constructor)) static void constructor(void)
{
	for (;;)
		pause();
}
