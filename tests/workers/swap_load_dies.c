/* SPDX-License-Identifier: MIT */
/* swap_load_dies.c -- code that dies when it is loaded. */
#define VERSION "load_dies"
#include "swap.h"

__attribute__((constructor)) static void constructor(void)
{
	abort();
}
