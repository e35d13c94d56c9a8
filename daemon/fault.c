/* SPDX-License-Identifier: MIT */
/* fault.c -- why something could not be done. */
#include "fault.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

int fault_set(struct fault *fault, int exit_code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(fault->text, sizeof(fault->text), format, args);
	va_end(args);
	fault->exit_code = exit_code;
	return exit_code;
}

int fault_code(int error)
{
	error = abs(error);
	return error == EACCES || error == EPERM ? EX_NOPERM : EX_OSERR;
}
