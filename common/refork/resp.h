/* SPDX-License-Identifier: MIT */
/* resp.h -- values of the Redis protocol, written onto a reply.
 *
 * `proto` is what the connection speaks, 2 or 3, where the two differ: HELLO
 * is a command like others, so it is the worker who knows. An
 * aggregate's header is followed by that many values. Errors stick to the
 * transaction as with rf_reply_room: nothing here needs a check.
 */
#ifndef REFORK_RESP_H
#define REFORK_RESP_H

#include <refork/reply.h>
#include <stdbool.h>

/* +text. No CR or LF within. */
RF_API void rf_resp_simple(struct rf_reply *reply, const char *text);

/* -text, "ERR ..." for example. CR and LF become spaces. Cut at 1 KiB. */
RF_API void rf_resp_error(struct rf_reply *reply, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* How many this process has written so far, and the first word of the last
 * one, "ERR" for example: for statistics. */
RF_API uint64_t rf_resp_errors(void);
RF_API const char *rf_resp_last_error(void);

RF_API void rf_resp_int(struct rf_reply *reply, int64_t value);

/* Any bytes. One copy; ~15 ns for 64. */
RF_API void rf_resp_bulk(
	struct rf_reply *reply, const void *from, size_t bytes);
RF_API void rf_resp_bulk_text(struct rf_reply *reply, const char *text);
RF_API void rf_resp_bulk_int(struct rf_reply *reply, int64_t value);

/* "Nothing": $-1 or _. */
RF_API void rf_resp_null(struct rf_reply *reply, int proto);

/* "No array": *-1 or _. */
RF_API void rf_resp_null_array(struct rf_reply *reply, int proto);

/* 1 or 0, or # in RESP3. */
RF_API void rf_resp_bool(struct rf_reply *reply, int proto, bool value);

/* 17 digits, zeros at the end left out: reads back as the same number. Bulk
 * or `,`. */
RF_API void rf_resp_double(struct rf_reply *reply, int proto, double value);

/* Bulk, or =txt: in RESP3 (meant to be shown to people as it is). */
RF_API void rf_resp_verbatim(
	struct rf_reply *reply, int proto, const char *from, size_t bytes);

RF_API void rf_resp_array(struct rf_reply *reply, size_t count);
/* `pairs` keys, each followed by its value: an array of twice as many or %. */
RF_API void rf_resp_map(struct rf_reply *reply, int proto, size_t pairs);
/* What was not asked for: an array or >. Goes before the reply to a request.
 * To other connections go bytes: rf_push. */
RF_API void rf_resp_push(struct rf_reply *reply, int proto, size_t count);
/* An array or ~. */
RF_API void rf_resp_set(struct rf_reply *reply, int proto, size_t count);

/* Decimal digits of `value` at `to`, which has room for RF_DECIMAL_MAX; no
 * zero byte. Returns how many. */
#define RF_DECIMAL_MAX 20
RF_API size_t rf_resp_decimal(char *to, int64_t value);

/* Headers whose count is known only after the values have been written: slip
 * it in at `mark`, an rf_reply_size() taken before them. */
RF_API void rf_resp_array_at(struct rf_reply *reply, size_t mark, size_t count);

#endif
