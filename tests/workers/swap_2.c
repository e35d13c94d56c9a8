/* SPDX-License-Identifier: MIT */
/* swap_2.c -- newer code for the same state; it can take version 2 back. */
#define VERSION "2"
#define MIGRATE migrate_down
#include "swap.h"
