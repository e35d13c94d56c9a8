/* SPDX-License-Identifier: MIT */
/* calls.c -- the names of system calls, as this machine's headers have them. */
#include "calls.h"

#include <stddef.h>
#include <sys/syscall.h>

static const struct {
	uint64_t number;
	const char *name;
} names[] = {
#define CALL(name) {SYS_##name, #name},
#include "calls.def"
#undef CALL
};

const char *call_name(uint64_t number)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (names[i].number == number)
			return names[i].name;
	return NULL;
}
