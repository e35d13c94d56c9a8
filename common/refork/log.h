/* SPDX-License-Identifier: MIT */
/* log.h -- one line per event, with role and generation, to the journal or
 * stderr. */
#ifndef REFORK_LOG_H
#define REFORK_LOG_H

#include <refork/check.h>
#include <stdint.h>

enum rf_log_level {
	RF_LOG_ERROR,
	RF_LOG_WARNING,
	RF_LOG_NOTICE,
	RF_LOG_INFO,
	RF_LOG_DEBUG,
	RF_LOG_LEVEL_COUNT
};

/* Say one line. On stderr, as log.format says:
 *
 *   2026-01-31T12:00:00.123Z kv business[812]/7 info: ...
 *   {"schema":1,"time":"2026-01-31T12:00:00.123Z","level":"info", ...}
 *
 * In the journal the message stands alone, the rest is in fields.
 *
 * One write(2) or datagram, so that lines of several processes do not mix; a
 * message is cut at 2000 bytes, between two characters. It never waits: lines
 * that the log does not take are counted, and the count is said. So are those
 * beyond a burst of 50, then 10 a second, of one place in the code (not at
 * RF_LOG_DEBUG). Leaves errno alone. Any process and thread may call it, but no
 * signal handler. Cost: ~2 us on stderr, ~8 us in the journal, ~0.3 us when it
 * is left out, ~3 ns beyond the level. */
RF_API void rf_log(enum rf_log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The last error that was logged under this identity; "": none. Cut at 159
 * bytes. */
RF_API const char *rf_log_last_error(void);

/* Name this process in its log lines. Strings are copied (cut at 31 bytes). */
RF_API void rf_log_identify(
	const char *service, const char *role, uint64_t generation);
RF_API void rf_log_set_level(enum rf_log_level level);
/* From now on the level is what stands there, in memory that may be shared:
 * whoever changes it changes it for every process that follows. */
RF_API void rf_log_follow_level(const int *level);

/* RF_LOG_ERROR .. for "error" ..; -1 when no level has that name. */
RF_API int rf_log_level_by_name(const char *name);

#endif
