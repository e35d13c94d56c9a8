/* SPDX-License-Identifier: MIT */
/* swap_1.c -- the code that a service starts with. */
#define VERSION "1"
#include "swap.h"
