/* SPDX-License-Identifier: MIT */
/* swap_start_dies.c -- code that dies before it serves. */
#define VERSION "start_dies"
#define START	dies
#include "swap.h"
