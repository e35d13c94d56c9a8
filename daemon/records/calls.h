/* SPDX-License-Identifier: MIT */
/* calls.h -- the names of system calls. */
#ifndef RECORDS_CALLS_H
#define RECORDS_CALLS_H

#include <stdint.h>

/* "execve"; NULL: this build's headers have no such call. */
const char *call_name(uint64_t number);

#endif
