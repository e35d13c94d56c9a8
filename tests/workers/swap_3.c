/* SPDX-License-Identifier: MIT */
/* swap_3.c -- newer code for newer state. */
#define VERSION	      "3"
#define STATE_VERSION 2
#define MIGRATE	      migrate_up
#include "swap.h"
