/* SPDX-License-Identifier: MIT */
/* aside.c -- an arena that is given up, kept for its operator.
 *
 * A service that starts anew with empty state has not been told to throw the
 * old one away: only the operator knows what it is worth. A posix one is
 * renamed, /dev/shm/refork-NAME.aside-TIME, and may become the live one again
 * by the way back. Each takes memory, so there are never more than
 * ASIDE_COUNT_MAX; the first ones are those that were served longest, so it is
 * the newest that makes room. Where they take the memory that the new arena
 * needs, going on comes first. A memfd has no name to keep it by.
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

#define ASIDE_MARK	".aside-"
#define ASIDE_DIGITS	14 /* 20260131120000, UTC */
#define ASIDE_COUNT_MAX 3
#define ASIDE_FILE_MAX	(sizeof(((struct rf_segment *)0)->name) + 32)

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

/* How many there are; the name of the newest. */
static int count(const struct rf_segment *arena, char newest[ASIDE_FILE_MAX])
{
	DIR *dir = opendir(SEGMENT_DIR);
	const struct dirent *entry;
	int found = 0;

	*newest = 0;
	while (dir && (entry = readdir(dir))) {
		if (!is_aside(entry->d_name, arena))
			continue;
		found++;
		if (strcmp(entry->d_name, newest) > 0)
			snprintf(newest, ASIDE_FILE_MAX, "%.*s",
				(int)ASIDE_FILE_MAX - 1, entry->d_name);
	}
	if (dir)
		closedir(dir);
	return found;
}

static void make_room(const struct rf_segment *arena)
{
	char newest[ASIDE_FILE_MAX];

	if (count(arena, newest) >= ASIDE_COUNT_MAX)
		drop(newest, "a later one takes its place, the earlier ones "
			     "stay");
}

static void name_aside(const struct rf_segment *arena, time_t at, char *file)
{
	char stamp[ASIDE_DIGITS + 1];
	struct tm utc;

	gmtime_r(&at, &utc);
	strftime(stamp, sizeof(stamp), "%Y%m%d%H%M%S", &utc);
	snprintf(file, ASIDE_FILE_MAX, "%s" ASIDE_MARK "%s", arena->name + 1,
		stamp);
}

static int rename_aside(const struct rf_segment *arena, char *file)
{
	char from[sizeof(SEGMENT_DIR) + ASIDE_FILE_MAX];
	char to[sizeof(SEGMENT_DIR) + ASIDE_FILE_MAX];
	time_t at = time(NULL);

	do { /* two within one second */
		name_aside(arena, at++, file);
		snprintf(to, sizeof(to), SEGMENT_DIR "/%s", file);
	} while (!access(to, F_OK));
	snprintf(from, sizeof(from), SEGMENT_DIR "%s", arena->name);
	return rename(from, to) ? -errno : 0;
}

static void put_posix(struct service *s)
{
	struct rf_segment *arena = &s->arena;
	char file[ASIDE_FILE_MAX];
	struct fault fault;
	int error;

	make_room(arena);
	error = rename_aside(arena, file);
	if (error) {
		rf_log(RF_LOG_WARNING,
			"keep the arena " SEGMENT_DIR
			"%s: rename: %s; it is given up",
			arena->name, strerror(-error));
		rf_segment_unlink(arena);
	} else if (memory_probe_room(s, &fault)) {
		drop(file, "no room for it beside a new arena");
	} else {
		rf_log(RF_LOG_WARNING,
			"the arena is kept as " SEGMENT_DIR "/%s; to use it: "
			"stop the service, mv " SEGMENT_DIR "/%s " SEGMENT_DIR
			"%s, start; remove it when it is of no use",
			file, file, arena->name);
	}
}

int aside_count(const struct service *s)
{
	char newest[ASIDE_FILE_MAX];

	return s->arena.backend == RF_BACKEND_POSIX ? count(&s->arena, newest)
						    : 0;
}

void aside_put(struct service *s)
{
	if (s->arena.backend == RF_BACKEND_POSIX)
		put_posix(s);
	else
		rf_log(RF_LOG_WARNING,
			"the arena is given up: a memfd has no name "
			"to keep it by");
	rf_segment_close(&s->arena);
}
