/* SPDX-License-Identifier: MIT */
/* swap_migrate_dies.c -- a migration that dies halfway. */
#define VERSION	      "migrate_dies"
#define STATE_VERSION 2
#define MIGRATE	      migrate_dies
#include "swap.h"
