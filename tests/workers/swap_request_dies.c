/* SPDX-License-Identifier: MIT */
/* swap_request_dies.c -- code that dies of what its predecessor could do. */
#define VERSION "request_dies"
#define BEFORE_REQUEST(req)                                                    \
	if (is(req, "COUNT"))                                                  \
	abort()
#include "swap.h"
