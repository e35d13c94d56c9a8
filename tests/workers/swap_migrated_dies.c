/* SPDX-License-Identifier: MIT */
/* swap_migrated_dies.c -- code that dies with its migration behind it. */
#define VERSION	      "migrated_dies"
#define STATE_VERSION 2
#define MIGRATE	      migrate_up
#define START	      dies
#include "swap.h"
