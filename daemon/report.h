/* SPDX-License-Identifier: MIT */
/* report.h -- what reforkctl is told. */
#ifndef REPORT_H
#define REPORT_H

#include "service.h"

#include <stdio.h>

enum report_format {
	REPORT_TEXT,
	REPORT_COLOR,
	REPORT_JSON,
	REPORT_FORMAT_COUNT
};

struct report {
	const struct service *service;
	const char *state;    /* starting, serving, recovering, stopping */
	const char *last_end; /* of the last crash, in words; NULL: none */
};

void report_status(const struct report *r, enum report_format f, FILE *out);
/* Text: "serving 7", state and generation. */
void report_state(const struct report *r, enum report_format f, FILE *out);
void report_ping(const struct report *r, enum report_format f, FILE *out);
void report_version(const struct report *r, enum report_format f, FILE *out);

#endif
