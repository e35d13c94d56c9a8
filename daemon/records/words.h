/* SPDX-License-Identifier: MIT */
/* words.h -- how a process ended, in words. */
#ifndef WORDS_H
#define WORDS_H

#include <signal.h>
#include <stddef.h>

#define WORDS_MAX 96

/* "exited with 3", "killed by SIGSEGV (core dumped)": what waitid(2) left in
 * `end`. Returns `out`. */
const char *words_of_end(const siginfo_t *end, char out[WORDS_MAX]);

#endif
