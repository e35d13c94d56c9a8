/* SPDX-License-Identifier: MIT */
/* swap_other_name.c -- another service altogether. */
#define NAME	"swapped"
#define VERSION "other_name"
#include "swap.h"
