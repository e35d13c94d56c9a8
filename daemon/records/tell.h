/* SPDX-License-Identifier: MIT */
/* tell.h -- a crash record as a line, a row, a page or JSON. */
#ifndef TELL_H
#define TELL_H

#include "common/crash.h"
#include "daemon/control/format.h"

#include <stdbool.h>
#include <stdio.h>

/* "business pid 812 (generation 7) SIGSEGV at 0x0 in ..."; for the log. */
void tell_line(const struct rf_crash *record, FILE *out);

/* All of it. */
void tell_page(const struct rf_crash *record, enum report_format f, FILE *out);

/* A table is a head and rows; in JSON a list. */
void tell_table_begin(enum report_format f, FILE *out);
void tell_row(const struct rf_crash *record, bool first, enum report_format f,
	FILE *out);
void tell_table_end(enum report_format f, FILE *out);

#endif
