/* SPDX-License-Identifier: MIT */
/* events.h -- the kinds of event that operators filter the log for.
 *
 * Each has an identity that never changes (the journal's MESSAGE_ID), a name,
 * a level, and an explanation, which the journal shows with `journalctl -x`:
 * the catalog is made from this table (daemon/man/catalog.c). A line that is
 * none of these is a line like any other.
 */
#ifndef RF_EVENTS_H
#define RF_EVENTS_H

#include <refork/log.h>
#include <stdint.h>

enum rf_event_kind {
	RF_EVENT_READY,
	RF_EVENT_STOPPED,
	RF_EVENT_BUSINESS_CRASH,
	RF_EVENT_STANDBY_CRASH,
	RF_EVENT_NETWORK_CRASH,
	RF_EVENT_HANG_ENDED,
	RF_EVENT_TAKEOVER_LATE,
	RF_EVENT_CHECK_FAILED,
	RF_EVENT_QUARANTINED,
	RF_EVENT_CLIENT_BANNED,
	RF_EVENT_CHANNEL_DAMAGED,
	RF_EVENT_VERIFY_BEGUN,
	RF_EVENT_VERIFY_WHOLE,
	RF_EVENT_VERIFY_DAMAGED,
	RF_EVENT_RESTORED,
	RF_EVENT_HELD,
	RF_EVENT_RESUMED,
	RF_EVENT_COLD_START,
	RF_EVENT_GAVE_UP,
	RF_EVENT_START_FAILED,
	RF_EVENT_FORK_FAILED,
	RF_EVENT_ARENA_ADOPTED,
	RF_EVENT_ARENA_REFUSED,
	RF_EVENT_ARENA_ASIDE,
	RF_EVENT_ARENA_LOST,
	RF_EVENT_UPGRADED,
	RF_EVENT_ROLLED_BACK,
	RF_EVENT_UPGRADE_FAILED,
	RF_EVENT_CANARY_CRASHED,
	RF_EVENT_RELOADED,
	RF_EVENT_RELOAD_REFUSED,
	RF_EVENT_CLIENTS_REFUSED,
	RF_EVENT_CLIENTS_DROPPED,
	RF_EVENT_LINES_LEFT_OUT,
	RF_EVENT_LINES_LOST,
	RF_EVENT_COUNT
};

struct rf_event {
	const char *name;	/* "business_crash": REFORK_EVENT, "event" */
	const char *message_id; /* 32 lower case hex digits */
	enum rf_log_level level;
	const char *subject;
	/* For an administrator at 3 a.m.: what happened, what refork did about
	 * it, what is lost, what to look at. Each paragraph ends with a newline
	 * and is wrapped by whoever shows it. The journal puts in the value of
	 * a field where it says @REFORK_CRASH_ID@. */
	const char *explanation;
};

extern const struct rf_event rf_events[RF_EVENT_COUNT];

/* One of an event's facts. "crash_id" in JSON is REFORK_CRASH_ID in the
 * journal; "code_file" and "code_line" are its own CODE_FILE and CODE_LINE. */
struct rf_log_field {
	const char *name; /* lower case, '_', digits; NULL: the end */
	const char *text; /* NULL: `number` is it */
	uint64_t number;
};

/* RF_LOG_FIELDS(RF_LOG_NUMBER("crash_id", 7), RF_LOG_TEXT("signal", "SIGBUS"))
 */
#define RF_LOG_TEXT(field, value)                                              \
	{                                                                      \
		.name = (field), .text = (value)                               \
	}
#define RF_LOG_NUMBER(field, value)                                            \
	{                                                                      \
		.name = (field), .number = (uint64_t)(value)                   \
	}
#define RF_LOG_FIELDS(...)                                                     \
	((const struct rf_log_field[]){__VA_ARGS__, RF_LOG_TEXT(NULL, NULL)})

/* One line, at the event's level, with its identity and these fields, or NULL.
 * On stderr as text the message is all there is: it says everything. */
void rf_log_event(enum rf_event_kind kind, const struct rf_log_field *fields,
	const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
