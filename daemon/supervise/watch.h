/* SPDX-License-Identifier: MIT */
/* watch.h -- tell a process that hangs from one that is busy. See watch.c. */
#ifndef WATCH_H
#define WATCH_H

#include <stdint.h>

enum watch_verdict {
	WATCH_OK,
	WATCH_HANG,    /* no sign of life */
	WATCH_TIMEOUT, /* the same request, still */
};

/* What was seen last, and for how long it has not changed. */
struct watch {
	int64_t looked_at_ms; /* 0: never */
	uint64_t life, work;
	uint64_t silent_ms, same_work_ms;
	uint32_t silent_looks, same_work_looks;
};

struct watch_sample {
	int64_t now_ms;	    /* CLOCK_MONOTONIC */
	uint64_t period_ms; /* in which the looks are meant to come */
	uint64_t life;	    /* changes while the process lives */
	uint64_t work;	    /* odd: in a request; it changes with each */
	uint64_t silence_max_ms, request_max_ms; /* 0: no limit */
};

enum watch_verdict watch_look(
	struct watch *w, const struct watch_sample *sample);

/* How often to look so that neither limit is missed by much; 0: both are 0. */
uint64_t watch_period_ms(uint64_t silence_max_ms, uint64_t request_max_ms);

#endif
