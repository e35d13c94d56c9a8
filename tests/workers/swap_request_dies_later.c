/* SPDX-License-Identifier: MIT */
/* swap_request_dies_later.c -- the same, when its state cannot go back. */
#define VERSION	      "request_dies_later"
#define STATE_VERSION 2
#define MIGRATE	      migrate_up
#define BEFORE_REQUEST(req)                                                    \
	if (is(req, "COUNT") && req->attempt == 1)                             \
	abort()
#include "swap.h"
