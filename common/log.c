/* SPDX-License-Identifier: MIT */
/* log.c -- log lines: who says them, which are said, and where they go.
 *
 * A line passes, in this order:
 *
 *   the level         beyond it nothing is done: a load and a comparison
 *   the divert        an error, while somebody collects errors (verify)
 *   the flood gate    log/flood.h; not at level debug, which somebody has asked
 *                     for and will turn off
 *   its form          log/said.h: text, JSON or the journal's fields
 *   the target        the journal (log/journal.h), or stderr
 *
 * No process waits for its log: what a target does not take at once is counted,
 * and the count is said when it takes lines again.
 *
 * All state is the process's own; a child begins anew with rf_log_identify().
 * Not for signal handlers: a message is formatted by libc.
 */
#include "log/flood.h"
#include "log/journal.h"
#include "log/said.h"
#include "log/target.h"
#include "verify/log_divert.h"
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <refork/log.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LAST_MAX_BYTES 160
#define SETTLE_MS      1000

static const int as_text = RF_LOG_AS_TEXT;

static struct {
	char service[32];
	char role[32];
	uint64_t generation;
	int level; /* enum rf_log_level */
	const int *level_at;
	const int *format_at; /* enum rf_log_format */
	bool stderr_to_journal;
} self = {
	.service = "refork",
	.role = "refork",
	.level = RF_LOG_INFO,
	.level_at = &self.level,
	.format_at = &as_text,
};

static char last_error[LAST_MAX_BYTES];
static uint64_t lost; /* lines that no target took */

/* Threads of a worker may log as well. Who finds it taken does without: nobody
 * waits, not even for one that was interrupted. */
static struct {
	bool taken;
	struct rf_flood flood;
} gate;

/* ---- who ---- */

void rf_log_identify(const char *service, const char *role, uint64_t generation)
{
	snprintf(self.service, sizeof self.service, "%s", service);
	snprintf(self.role, sizeof self.role, "%s", role);
	self.generation = generation;
	/* Another process's, perhaps: */
	last_error[0] = '\0';
	lost = 0;
	memset(&gate, 0, sizeof gate);
}

/* ---- which ---- */

void rf_log_set_level(enum rf_log_level level)
{
	self.level = (int)level;
	self.level_at = &self.level;
}

void rf_log_follow_level(const int *level)
{
	self.level_at = level;
}

int rf_log_level_by_name(const char *name)
{
	for (int i = 0; i < RF_LOG_LEVEL_COUNT; i++)
		if (strcasecmp(name, rf_said_level((enum rf_log_level)i)) == 0)
			return i;
	return -1;
}

static bool is_wanted(enum rf_log_level level)
{
	return (int)level <= __atomic_load_n(self.level_at, __ATOMIC_RELAXED);
}

static struct {
	void (*to)(void *context, const char *text);
	void *context;
} diverted;

void rf_log_divert(void (*to)(void *context, const char *text), void *context)
{
	diverted.to = to;
	diverted.context = context;
}

static void divert(const char *format, va_list args)
{
	char text[RF_SAID_MESSAGE_BYTES];

	vsnprintf(text, sizeof text, format, args);
	diverted.to(diverted.context, text);
}

/* ---- where ---- */

/* $JOURNAL_STREAM is "device:inode" of what the service manager made stderr;
 * whoever redirected it since has not changed that. */
static bool leads_to_journal(int fd)
{
	const char *stream = getenv("JOURNAL_STREAM");
	uint64_t device, inode;
	struct stat st;

	if (stream == NULL || fstat(fd, &st) != 0 ||
		sscanf(stream, "%" SCNu64 ":%" SCNu64, &device, &inode) != 2)
		return false;
	return (uint64_t)st.st_dev == device && (uint64_t)st.st_ino == inode;
}

void rf_log_open(enum rf_log_target target)
{
	int error;

	self.stderr_to_journal = leads_to_journal(STDERR_FILENO);
	rf_journal_close();
	if (target == RF_LOG_TO_STDERR ||
		(target == RF_LOG_TO_AUTO && !self.stderr_to_journal))
		return;
	error = rf_journal_open(RF_JOURNAL_SOCKET);
	if (error != 0)
		rf_log(RF_LOG_WARNING,
			"log: the journal at %s: %s; lines go to stderr%s",
			RF_JOURNAL_SOCKET, strerror(-error),
			rf_log_fd() >= 0 ? " until it is there" : "");
}

void rf_log_mend(void)
{
	rf_journal_mend();
}

void rf_log_settle(void)
{
	rf_journal_settle(SETTLE_MS);
}

int rf_log_fd(void)
{
	return rf_journal_fd();
}

void rf_log_follow_format(const int *format)
{
	self.format_at = format;
}

/* -EAGAIN: it would have to wait. A stderr that is gone has taken the line. */
static int to_stderr(struct rf_said *said)
{
	struct pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT};
	char line[RF_SAID_JSON_BYTES];
	struct timespec now;
	size_t n;

	if (poll(&room, 1, 0) == 0)
		return -EAGAIN;
	clock_gettime(CLOCK_REALTIME, &now);
	said->at_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
	said->pid = (int)getpid();
	if (__atomic_load_n(self.format_at, __ATOMIC_RELAXED) == RF_LOG_AS_JSON)
		n = rf_said_as_json(said, self.stderr_to_journal, line);
	else
		n = rf_said_as_text(said, self.stderr_to_journal, line);
	if (write(STDERR_FILENO, line, n) < 0 && errno == EAGAIN)
		return -EAGAIN;
	return 0;
}

static int deliver(struct rf_said *said)
{
	int error = -ENOTCONN;

	if (rf_journal_fd() >= 0)
		error = rf_journal_send(said);
	return error == 0 || error == -EAGAIN ? error : to_stderr(said);
}

static void compose(struct rf_said *said, enum rf_log_level level,
	const char *text, size_t bytes)
{
	*said = (struct rf_said){
		.level = level,
		.service = self.service,
		.role = self.role,
		.generation = self.generation,
		.text = text,
		.text_bytes = bytes,
	};
}

/* ---- what was not said ---- */

static int say_note(enum rf_log_level level, enum rf_event_kind kind,
	uint64_t count, const char *what, const char *text)
{
	const struct rf_log_field fields[] = {
		RF_LOG_NUMBER("lines", count), {0}};
	char line[160];
	struct rf_said said;
	int n = snprintf(line, sizeof line, "%" PRIu64 " %s%s%s", count, what,
		*text != '\0' ? ": " : "", text);

	compose(&said, level, line, (size_t)n);
	said.event = &rf_events[kind];
	said.fields = fields;
	return deliver(&said);
}

static bool say_lost(void)
{
	uint64_t count = __atomic_load_n(&lost, __ATOMIC_RELAXED);

	if (rf_likely(count == 0))
		return true;
	if (say_note(RF_LOG_WARNING, RF_EVENT_LINES_LOST, count,
		    "log lines were lost: the log did not take them at once",
		    "") != 0)
		return false;
	__atomic_fetch_sub(&lost, count, __ATOMIC_RELAXED);
	return true;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool take_gate(void)
{
	return !__atomic_test_and_set(&gate.taken, __ATOMIC_ACQUIRE);
}

static void give_gate(void)
{
	__atomic_clear(&gate.taken, __ATOMIC_RELEASE);
}

static void say_left_out(int64_t at_ms)
{
	struct rf_flood_site told;

	while (rf_flood_next(&gate.flood, at_ms, &told))
		say_note(told.level, RF_EVENT_LINES_LEFT_OUT, told.left_out,
			told.left_out == 1
				? "more line like this was left out"
				: "more lines like this were left out",
			told.text);
}

void rf_log_catch_up(bool ends)
{
	int saved = errno;

	if (rf_likely(gate.flood.pending == 0 && lost == 0))
		return;
	if (say_lost() && take_gate()) {
		say_left_out(ends ? INT64_MAX : now_ms());
		give_gate();
	}
	errno = saved;
}

/* Whether a line of that place may be said; the place is shown the text. */
static bool admit(const void *call, enum rf_log_level level, const char *text,
	size_t bytes)
{
	struct rf_flood_site *site;
	int64_t at_ms;
	bool admitted;

	if (level == RF_LOG_DEBUG || !take_gate())
		return true;
	at_ms = now_ms();
	admitted = rf_flood_admits(&gate.flood, call, at_ms, &site);
	if (admitted && site != NULL)
		rf_flood_show(site, level, text, bytes);
	if (rf_unlikely(gate.flood.pending != 0))
		say_left_out(at_ms);
	give_gate();
	return admitted;
}

/* ---- a line ---- */

static void say(const void *call, enum rf_log_level level,
	const struct rf_event *event, const struct rf_log_field *fields,
	const char *format, va_list args)
{
	char text[RF_SAID_MESSAGE_BYTES + 1];
	int saved = errno, n = vsnprintf(text, sizeof text, format, args);
	size_t bytes = n < 0 ? 0 : (size_t)n;
	struct rf_said said;

	if (bytes >= sizeof text)
		bytes = rf_said_cut(text, sizeof text - 1);
	if (level == RF_LOG_ERROR)
		snprintf(last_error, sizeof last_error, "%.*s",
			LAST_MAX_BYTES - 1, text);
	if (admit(call, level, text, bytes)) {
		compose(&said, level, text, bytes);
		said.event = event;
		said.fields = fields;
		if (!say_lost() || deliver(&said) != 0)
			__atomic_fetch_add(&lost, 1, __ATOMIC_RELAXED);
	}
	errno = saved;
}

void rf_log(enum rf_log_level level, const char *format, ...)
{
	va_list args;

	if (rf_unlikely(level == RF_LOG_ERROR && diverted.to != NULL)) {
		va_start(args, format);
		divert(format, args);
		va_end(args);
		return;
	}
	if (!is_wanted(level))
		return;
	va_start(args, format);
	say(__builtin_return_address(0), level, NULL, NULL, format, args);
	va_end(args);
}

void rf_log_event(enum rf_event_kind kind, const struct rf_log_field *fields,
	const char *format, ...)
{
	const struct rf_event *event = &rf_events[kind];
	va_list args;

	if (!is_wanted(event->level))
		return;
	va_start(args, format);
	say(__builtin_return_address(0), event->level, event, fields, format,
		args);
	va_end(args);
}

const char *rf_log_last_error(void)
{
	return last_error;
}

void rf_check_failed(const char *cond, const char *file, int line)
{
	rf_log_event(RF_EVENT_CHECK_FAILED,
		RF_LOG_FIELDS(RF_LOG_TEXT("code_file", file),
			RF_LOG_NUMBER("code_line", line)),
		"%s:%d: check failed: %s", file, line, cond);
	abort();
}
