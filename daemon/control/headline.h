/* SPDX-License-Identifier: MIT */
/* headline.h -- the service in one line. */
#ifndef HEADLINE_H
#define HEADLINE_H

#include <stddef.h>
#include <stdint.h>

#define HEADLINE_BYTES 256

struct headline {
	const char *state; /* "serving" */
	uint64_t generation;
	uint64_t clients;
	double requests_per_s;
	uint64_t crashes;
	int last_signal;      /* of the last crash; 0: it was none */
	const char *last_end; /* then, in words; NULL: not known */
	int64_t last_ago_ms;  /* -1: not known */
};

/* "serving, generation 7, 1,204 clients, 58.2k requests/s, 6 crashes, last
 * SIGSEGV 12 s ago". What is none is left out. */
void headline_write(const struct headline *h, char text[HEADLINE_BYTES]);

#endif
