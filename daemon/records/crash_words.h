/* SPDX-License-Identifier: MIT */
/* crash_words.h -- single facts of a crash record, in words. */
#ifndef CRASH_WORDS_H
#define CRASH_WORDS_H

#include "common/crash.h"

#include <stdbool.h>
#include <stdio.h>

#define CRASH_WORDS_BYTES   160
#define CRASH_REQUEST_BYTES 256

const char *crash_role(const struct rf_crash *r);  /* "business" */
const char *crash_cause(const struct rf_crash *r); /* "itself", "hang" */
const char *crash_phase(const struct rf_crash *r); /* "a request" */
const char *crash_rung(const struct rf_crash *r);  /* "roll_back" */

/* What became of it: "rolled back, request run again"; "": nothing yet. */
const char *crash_answer(const struct rf_crash *r);

/* "SIGSEGV at 0x18", "exited with 3", "hung, killed by SIGKILL". */
const char *crash_end(const struct rf_crash *r, char out[CRASH_WORDS_BYTES]);

/* The address means something: the kernel found a fault there. */
bool crash_has_address(const struct rf_crash *r);

/* What the kernel says of the signal: "address not mapped", "sent by pid 7";
 * "": nothing. */
const char *crash_reason(const struct rf_crash *r, char out[CRASH_WORDS_BYTES]);

/* Of a stray access: what stands there, "byte 24 of a block of 64 at 0x56..,
 * the root of slot 'players'"; "": there was none. */
const char *crash_spot(const struct rf_crash *r, char out[CRASH_WORDS_BYTES]);

/* Of a change that was not logged: "2 bytes: 0a00 -> 0b01"; "": there was none.
 */
const char *crash_change(const struct rf_crash *r, char out[CRASH_WORDS_BYTES]);

/* "kv_set+0x1c4 (string.c:88)": the innermost frame that is not libc's, which
 * only raises what others ask for; "": not known. */
const char *crash_where(const struct rf_crash *r, char out[CRASH_WORDS_BYTES]);

/* The request as a command line; "": none was in work. */
const char *crash_request(
	const struct rf_crash *r, char out[CRASH_REQUEST_BYTES]);

/* "2026-11-22 00:41:02.123", of UTC. */
const char *crash_time(const struct rf_crash *r, char out[CRASH_WORDS_BYTES]);

/* Names of the saved registers, in their order; NULL ends them. */
extern const char *const crash_registers[RF_CRASH_REGISTERS + 1];

#endif
