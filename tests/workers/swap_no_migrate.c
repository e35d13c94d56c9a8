/* SPDX-License-Identifier: MIT */
/* swap_no_migrate.c -- newer state, and no way to it. */
#define VERSION	      "no_migrate"
#define STATE_VERSION 2
#include "swap.h"
