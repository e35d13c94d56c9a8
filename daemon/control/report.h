/* SPDX-License-Identifier: MIT */
/* report.h -- what reforkctl is told of the status. */
#ifndef REPORT_H
#define REPORT_H

#include "daemon/service.h"
#include "format.h"
#include "rates.h"

#include <stdio.h>

struct report {
	const struct service *service;
	const struct rates *rates;
	const char *state; /* starting, serving, recovering, held, stopping */
	bool serves;
	const char *last_end; /* of the last crash, in words; NULL: none */
	uint64_t canary_ms;   /* 0: no upgrade is on trial */
	bool goes_back;	      /* it would: after a crash while on trial */
	uint64_t aside_count; /* arenas kept for the operator */
};

void report_status(const struct report *r, enum report_format f, FILE *out);
/* Text: "serving 7", state and generation. */
void report_state(const struct report *r, enum report_format f, FILE *out);
void report_ping(const struct report *r, enum report_format f, FILE *out);
void report_version(const struct report *r, enum report_format f, FILE *out);
/* Text: for Prometheus. */
void report_metrics(const struct report *r, enum report_format f, FILE *out);

/* The two forms of the status. */
void report_page(const struct report *r, enum report_format f, FILE *out);
void report_json(const struct report *r, FILE *out);

/* RF_CONFINED_*: "rights files calls", or a part of it. */
const char *report_confined(uint64_t parts);

const char *report_backend_name(const struct service *s);
/* "/refork-kv", a key, a path. */
const char *report_arena_name(const struct service *s, char text[PLACE_BYTES]);

#endif
