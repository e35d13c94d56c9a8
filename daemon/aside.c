/* SPDX-License-Identifier: MIT */
/* aside.c -- an arena that is given up, kept for its operator.
 *
 * A service that starts anew with empty state has not been told to throw the
 * old one away: only the operator knows what it is worth. The file that it
 * stands by is renamed to FILE.aside-TIME, and may become the live one again
 * by the way back:
 *
 *   posix  /dev/shm/refork-NAME
 *   file   arena.path
 *   sysv   the file at arena.path, whose inode the key is made of: so the
 *          segment goes with it. One whose key was given cannot be kept,
 *          because the new arena needs the key.
 *   memfd  cannot be kept: it has no name.
 *
 * Each takes memory, so there are never more than ASIDE_COUNT_MAX; the first
 * ones are those that were served longest, so it is the newest that makes
 * room. Where they take the memory that the new arena needs, going on comes
 * first.
 */
#include "aside.h"

#include "machine.h"
#include "memory.h"

#include <dirent.h>
#include <errno.h>
#include <libgen.h>
#include <refork/log.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ASIDE_COUNT_MAX 3
#define ASIDE_BYTES	(PLACE_BYTES + 32)

static bool is_aside(const char *file, const char *live)
{
	size_t bytes = strlen(live) + strlen(PLACE_ASIDE_MARK);

	return !strncmp(file, live, strlen(live)) && strlen(file) > bytes &&
	       place_aside(file) == file + bytes;
}

/* Of the planned arena. False: nothing can be kept of it. */
static bool split(const struct rf_segment *arena, char *dir, char *live)
{
	char path[PLACE_BYTES];

	if (!place_file(arena, path))
		return false;
	snprintf(live, PLACE_BYTES, "%s", basename(path));
	place_file(arena, path);
	snprintf(dir, PLACE_BYTES, "%s", dirname(path));
	return true;
}

/* With the segment that goes with it. */
static void drop(
	const struct rf_segment *arena, const char *path, const char *why)
{
	struct rf_segment aside = *arena;
	struct rf_segment_owner owner;
	int rc;

	aside.fd = -1;
	aside.base = NULL;
	aside.lock_page = NULL;
	aside.key = 0;
	aside.max_bytes = 0;
	if (arena->backend == RF_BACKEND_POSIX)
		snprintf(aside.name, sizeof(aside.name), "%s",
			path + strlen(SEGMENT_DIR));
	else
		snprintf(aside.path, sizeof(aside.path), "%s", path);
	rc = rf_segment_open(&aside, 0);
	/* What still has it are processes of ours that end. */
	if (rc == -EWOULDBLOCK && !rf_segment_owner(&aside, &owner)) {
		aside.shmid = owner.shmid;
		rc = 0;
	}
	if (!rc)
		rc = rf_segment_unlink(&aside);
	rf_segment_close(&aside);
	if (rc)
		rf_log(RF_LOG_WARNING, "remove %s: %s; it stays", path,
			strerror(-rc));
	else
		rf_log(RF_LOG_NOTICE, "removed %s: %s", path, why);
}

/* How many there are; the path of the newest. */
static int count(const struct rf_segment *arena, char newest[ASIDE_BYTES])
{
	char path[PLACE_BYTES], live[PLACE_BYTES], name[PLACE_BYTES] = "";
	const struct dirent *entry;
	DIR *dir = split(arena, path, live) ? opendir(path) : NULL;
	int found = 0;

	while (dir && (entry = readdir(dir))) {
		if (!is_aside(entry->d_name, live))
			continue;
		found++;
		if (strcmp(entry->d_name, name) > 0)
			snprintf(name, sizeof(name), "%s", entry->d_name);
	}
	if (dir)
		closedir(dir);
	snprintf(newest, ASIDE_BYTES, "%.*s/%.*s", 200, path, 200, name);
	return found;
}

static void make_room(const struct rf_segment *arena)
{
	char newest[ASIDE_BYTES];

	if (count(arena, newest) >= ASIDE_COUNT_MAX)
		drop(arena, newest,
			"a later one takes its place, the earlier ones stay");
}

static int rename_aside(const char *live, char aside[ASIDE_BYTES])
{
	char stamp[PLACE_ASIDE_DIGITS + 1];
	time_t at = time(NULL);
	struct tm utc;

	do { /* two within one second */
		gmtime_r(&at, &utc);
		strftime(stamp, sizeof(stamp), "%Y%m%d%H%M%S", &utc);
		snprintf(aside, ASIDE_BYTES, "%s" PLACE_ASIDE_MARK "%s", live,
			stamp);
		at++;
	} while (!access(aside, F_OK));
	return rename(live, aside) ? -errno : 0;
}

static void tell_kept(const char *aside, const char *live)
{
	rf_log(RF_LOG_WARNING,
		"the arena is kept as %s; to use it: stop the service, mv %s "
		"%s, start; when it is of no use: reforkctl arena release %s",
		aside, aside, live,
		strncmp(aside, SEGMENT_DIR "/", strlen(SEGMENT_DIR) + 1)
			? aside
			: aside + strlen(SEGMENT_DIR) + 1);
}

/* Until the rename it is locked: nobody takes it for free. */
static int move_aside(
	struct rf_segment *arena, const char *live, char aside[ASIDE_BYTES])
{
	int error = rf_arena_close_whole(arena);

	if (error)
		rf_log(RF_LOG_WARNING,
			"write the arena %s to its disk: %s; what is kept of "
			"it "
			"is of use until the machine stops",
			live, strerror(-error));
	error = rename_aside(live, aside);
	if (!error)
		return 0;
	rf_log(RF_LOG_WARNING, "keep the arena %s: rename: %s; it is given up",
		live, strerror(-error));
	rf_segment_unlink(arena);
	return error;
}

static void put_aside(struct service *s)
{
	char live[PLACE_BYTES], aside[ASIDE_BYTES];
	struct fault fault = {0};
	int error;

	make_room(&s->arena);
	place_file(&s->arena, live);
	error = move_aside(&s->arena, live, aside);
	rf_segment_close(&s->arena);
	memory_plan_arena(s);
	if (error)
		return;
	if (machine_has_room(s, &fault))
		drop(&s->arena, aside, "no room for it beside a new arena");
	else
		tell_kept(aside, live);
}

int aside_count(const struct service *s)
{
	char newest[ASIDE_BYTES];

	return count(&s->arena, newest);
}

/* NULL: it can be kept. */
static const char *why_not(const struct service *s)
{
	if (s->arena.backend == RF_BACKEND_MEMFD)
		return "a memfd has no name to keep it by";
	if (s->arena.backend == RF_BACKEND_SYSV && *s->conf->arena.key == '0')
		return "the new one needs its key (arena.key = auto would have "
		       "kept it)";
	return NULL;
}

void aside_put(struct service *s)
{
	const char *why = why_not(s);

	if (!why) {
		put_aside(s);
		return;
	}
	rf_log(RF_LOG_WARNING, "the arena is given up: %s", why);
	rf_segment_unlink(&s->arena);
	rf_segment_close(&s->arena);
}
