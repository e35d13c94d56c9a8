/* SPDX-License-Identifier: MIT */
/* swap_migrate_refuses.c -- a migration that finds what it cannot take. */
#define VERSION	      "migrate_refuses"
#define STATE_VERSION 2
#define MIGRATE	      migrate_refuses
#include "swap.h"
