/* SPDX-License-Identifier: MIT */
/* log.c -- log lines, whole and in one write each. */
#include "verify/log_divert.h"
#include <errno.h>
#include <refork/log.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 2048
#define LAST_MAX_BYTES 160

static struct {
	char service[32];
	char role[32];
	uint64_t generation;
	int level; /* enum rf_log_level */
	const int *level_at;
} self = {
	.service = "refork",
	.role = "refork",
	.level = RF_LOG_INFO,
	.level_at = &self.level,
};

static char last_error[LAST_MAX_BYTES];

static const struct {
	const char *name;
	int priority; /* of syslog(3), as the journal wants it */
} levels[RF_LOG_LEVEL_COUNT] = {
	[RF_LOG_ERROR] = {"error", 3},
	[RF_LOG_WARNING] = {"warning", 4},
	[RF_LOG_NOTICE] = {"notice", 5},
	[RF_LOG_INFO] = {"info", 6},
	[RF_LOG_DEBUG] = {"debug", 7},
};

void rf_log_identify(const char *service, const char *role, uint64_t generation)
{
	snprintf(self.service, sizeof self.service, "%s", service);
	snprintf(self.role, sizeof self.role, "%s", role);
	self.generation = generation;
	last_error[0] = '\0'; /* another process's, perhaps */
}

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
		if (strcasecmp(name, levels[i].name) == 0)
			return i;
	return -1;
}

/* "<6>" under the journal, which keeps the time itself; else the time. */
static int put_lead(char *line, size_t bytes, enum rf_log_level level)
{
	struct timeval now;
	struct tm parts;
	size_t n;

	if (getenv("JOURNAL_STREAM") != NULL)
		return snprintf(line, bytes, "<%d>", levels[level].priority);
	gettimeofday(&now, NULL);
	gmtime_r(&now.tv_sec, &parts);
	n = strftime(line, bytes, "%Y-%m-%dT%H:%M:%S", &parts);
	return (int)n + snprintf(line + n, bytes - n, ".%03dZ ",
				(int)(now.tv_usec / 1000));
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
	char text[LINE_MAX_BYTES];

	vsnprintf(text, sizeof text, format, args);
	diverted.to(diverted.context, text);
}

void rf_log(enum rf_log_level level, const char *format, ...)
{
	char line[LINE_MAX_BYTES];
	size_t room = sizeof line - 1; /* for the newline */
	int saved = errno;
	const char *text;
	size_t n;
	va_list args;

	if (rf_unlikely(level == RF_LOG_ERROR && diverted.to != NULL)) {
		va_start(args, format);
		divert(format, args);
		va_end(args);
		return;
	}
	if ((int)level > __atomic_load_n(self.level_at, __ATOMIC_RELAXED))
		return;
	n = (size_t)put_lead(line, room, level);
	n += (size_t)snprintf(line + n, room - n, "%s %s[%d]", self.service,
		self.role, (int)getpid());
	if (self.generation != 0)
		n += (size_t)snprintf(line + n, room - n, "/%llu",
			(unsigned long long)self.generation);
	n += (size_t)snprintf(line + n, room - n, " %s: ", levels[level].name);
	text = line + n;
	va_start(args, format);
	n += (size_t)vsnprintf(line + n, room - n, format, args);
	va_end(args);
	if (n >= room)
		n = room - 1;
	if (level == RF_LOG_ERROR)
		snprintf(last_error, sizeof last_error, "%s", text);
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, n) < 0)
		errno = 0; /* nobody left to tell */
	errno = saved;
}

const char *rf_log_last_error(void)
{
	return last_error;
}

void rf_check_failed(const char *cond, const char *file, int line)
{
	rf_log(RF_LOG_ERROR, "%s:%d: check failed: %s", file, line, cond);
	abort();
}
