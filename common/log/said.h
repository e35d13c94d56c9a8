/* SPDX-License-Identifier: MIT */
/* said.h -- one log line on its way: what is said, and its three forms.
 *
 * A form is written into a buffer of the caller's: no memory is taken, no lock,
 * no locale. What does not fit is cut between two characters.
 */
#ifndef RF_LOG_SAID_H
#define RF_LOG_SAID_H

#include "common/events.h"
#include <refork/log.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* A line on stderr, its newline included: one write(2) of that is whole. */
#define RF_SAID_TEXT_BYTES 2048
#define RF_SAID_JSON_BYTES 4096
/* The message, before it has a form. */
#define RF_SAID_MESSAGE_BYTES 2000
/* The journal's fields but for the message. */
#define RF_SAID_HEAD_BYTES 2048

struct rf_said {
	enum rf_log_level level;
	const struct rf_event *event;	   /* NULL: a line like any other */
	const struct rf_log_field *fields; /* NULL: none */
	const char *service, *role;
	uint64_t generation; /* 0: left out */
	int pid;
	int64_t at_ms; /* Unix time */
	const char *text;
	size_t text_bytes;
};

/* What syslog(3) calls a level, and its name. */
int rf_said_priority(enum rf_log_level level);
const char *rf_said_level(enum rf_log_level level);

/* "2026-01-31T12:00:00.123" of a Unix time, with a "Z". Returns its length:
 * 24. */
#define RF_SAID_TIME_BYTES 25
size_t rf_said_time(int64_t at_ms, char out[RF_SAID_TIME_BYTES]);

/* One line with its newline; control characters as \x1b: a message cannot
 * forge a line, nor speak to a terminal.
 *
 * to_journal  "<6>" leads instead of the time: the journal reads it off stderr
 * Returns     its length */
size_t rf_said_as_text(const struct rf_said *said, bool to_journal,
	char out[RF_SAID_TEXT_BYTES]);

/* One flat object and a newline; what is not UTF-8 as U+FFFD. */
size_t rf_said_as_json(const struct rf_said *said, bool to_journal,
	char out[RF_SAID_JSON_BYTES]);

/* The journal's fields up to and including the name and length of MESSAGE, the
 * text follows it, then a newline. */
size_t rf_said_as_fields(
	const struct rf_said *said, char out[RF_SAID_HEAD_BYTES]);

/* ---- what the forms are made of ---- */

/* How many of these bytes end with a whole character: none of UTF-8 is cut. */
size_t rf_said_cut(const char *text, size_t bytes);

/* Bytes of the character that begins here; 0: this is not UTF-8. */
size_t rf_said_character(const char *at, size_t bytes);

/* Bytes are added while there is room. */
struct rf_out {
	char *at, *end;
	bool full; /* something had no room */
};

static inline void rf_out_add(struct rf_out *out, const void *from, size_t n)
{
	if (out->full || (size_t)(out->end - out->at) < n) {
		out->full = true;
		return;
	}
	memcpy(out->at, from, n);
	out->at += n;
}

static inline void rf_out_text(struct rf_out *out, const char *text)
{
	rf_out_add(out, text, strlen(text));
}

static inline void rf_out_number(struct rf_out *out, uint64_t number)
{
	char digits[20];
	size_t n = sizeof digits;

	do {
		digits[--n] = (char)('0' + number % 10);
		number /= 10;
	} while (number != 0);
	rf_out_add(out, digits + n, sizeof digits - n);
}

#endif
