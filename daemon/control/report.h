/* SPDX-License-Identifier: MIT */
/* report.h -- what reforkctl is told. */
#ifndef REPORT_H
#define REPORT_H

#include "daemon/service.h"
#include "format.h"

#include <stdio.h>

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
