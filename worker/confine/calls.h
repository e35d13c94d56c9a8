/* SPDX-License-Identifier: MIT */
/* calls.h -- which system calls a role may make. */
#ifndef CALLS_H
#define CALLS_H

#include <stddef.h>
#include <stdint.h>

#define CALL_TESTS_MAX 2

enum call_rule {
	CALL_ALLOW,  /* when all tests hold; else as CALL_REFUSE */
	CALL_REFUSE, /* whatever its arguments */
};

/* Holds when (the low half of argument `arg` & mask) == value. */
struct call_test {
	uint32_t arg, mask, value;
};

/* One row. Rows of one number stand together: it is allowed when one of them
 * allows it, and refused as the last of them says. */
struct call {
	int number; /* SYS_*; -1: this machine has no such call */
	enum call_rule rule;
	int error; /* refused with this errno; 0: with SIGSYS, a crash */
	struct call_test tests[CALL_TESTS_MAX];
	size_t test_count;
};

struct calls {
	const struct call *rows;
	size_t count;
	enum call_rule others; /* that no row names */
};

extern const struct calls calls_network, calls_basic, calls_strict;

#endif
