/* SPDX-License-Identifier: MIT */
/* no_symbol.c -- a shared object that is no worker. */
#include <refork/worker.h>

RF_API int answer(void);

int answer(void)
{
	return 42;
}
