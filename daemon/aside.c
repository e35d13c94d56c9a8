/* SPDX-License-Identifier: MIT */
/* aside.c -- an arena that is given up, kept for its operator.
 *
 * A service that starts anew with empty state has not been told to throw the
 * old one away: only the operator knows what a damaged arena is worth. A posix
 * one is renamed, /dev/shm/refork-NAME.damaged-TIME. It takes memory, so there
 * is never more than the last one; and where it takes the memory that the new
 * one needs, going on comes first. A memfd has no name to keep it by.
 */
#include "aside.h"

#include "memory.h"

#include <dirent.h>
#include <errno.h>
#include <refork/log.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ASIDE_MARK     ".damaged-"
#define ASIDE_DIGITS   14 /* 20260131120000, UTC */
#define ASIDE_FILE_MAX (sizeof(((struct rf_segment *)0)->name) + 32)

static bool is_aside(const char *file, const struct rf_segment *arena)
{
	const char *name = arena->name + 1; /* "/refork-kv" */
	size_t bytes = strlen(name);

	if (strncmp(file, name, bytes) ||
		strncmp(file + bytes, ASIDE_MARK, strlen(ASIDE_MARK)))
		return false;
	file += bytes + strlen(ASIDE_MARK);
	return strlen(file) == ASIDE_DIGITS &&
	       strspn(file, "0123456789") == ASIDE_DIGITS;
}

static void drop(const char *file, const char *why)
{
	char path[sizeof(SEGMENT_DIR) + ASIDE_FILE_MAX];

	snprintf(path, sizeof(path), SEGMENT_DIR "/%s", file);
	if (unlink(path))
		rf_log(RF_LOG_WARNING, "remove %s: %s; it stays", path,
			strerror(errno));
	else
		rf_log(RF_LOG_NOTICE, "removed %s: %s", path, why);
}

static void drop_earlier(const struct rf_segment *arena)
{
	DIR *dir = opendir(SEGMENT_DIR);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (is_aside(entry->d_name, arena))
			drop(entry->d_name, "a later one takes its place");
	if (dir)
		closedir(dir);
}

static int rename_aside(const struct rf_segment *arena, char *file)
{
	char from[sizeof(SEGMENT_DIR) + ASIDE_FILE_MAX];
	char to[sizeof(SEGMENT_DIR) + ASIDE_FILE_MAX];
	char stamp[ASIDE_DIGITS + 1];
	time_t now = time(NULL);
	struct tm utc;

	gmtime_r(&now, &utc);
	strftime(stamp, sizeof(stamp), "%Y%m%d%H%M%S", &utc);
	snprintf(file, ASIDE_FILE_MAX, "%s" ASIDE_MARK "%s", arena->name + 1,
		stamp);
	snprintf(from, sizeof(from), SEGMENT_DIR "%s", arena->name);
	snprintf(to, sizeof(to), SEGMENT_DIR "/%s", file);
	return rename(from, to) ? -errno : 0;
}

static void put_posix(struct service *s)
{
	struct rf_segment *arena = &s->arena;
	char file[ASIDE_FILE_MAX];
	struct fault fault;
	int error;

	drop_earlier(arena);
	error = rename_aside(arena, file);
	if (error) {
		rf_log(RF_LOG_WARNING,
			"keep the damaged arena " SEGMENT_DIR
			"%s: rename: %s; it is given up",
			arena->name, strerror(-error));
		rf_segment_unlink(arena);
	} else if (memory_probe_room(s, &fault)) {
		drop(file, "no room for it beside a new arena");
	} else {
		rf_log(RF_LOG_WARNING,
			"the damaged arena is kept as " SEGMENT_DIR "/%s; "
			"remove it when it is of no use",
			file);
	}
}

void aside_put(struct service *s)
{
	if (s->arena.backend == RF_BACKEND_POSIX)
		put_posix(s);
	else
		rf_log(RF_LOG_WARNING,
			"the damaged arena is given up: a memfd has no name "
			"to keep it by");
	rf_segment_close(&s->arena);
}
