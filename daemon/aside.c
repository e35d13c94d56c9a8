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
 *   memfd  has no file: it is written to one, beside where arena.path would be
 *          (aside_file.c). The way back is a start with arena.backend = file.
 *
 * The same becomes of a memfd that the service manager has kept and this daemon
 * refuses: a start that fails may be the end of what is kept.
 *
 * Each takes memory, so there are never more than ASIDE_COUNT_MAX; the first
 * ones are those that were served longest, so it is the newest that makes
 * room. Where they take the memory that the new arena needs, going on comes
 * first.
 */
#include "aside.h"

#include "aside_file.h"
#include "common/events.h"
#include "common/file_mark.h"
#include "directory.h"
#include "machine.h"
#include "memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <refork/log.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ASIDE_COUNT_MAX 3

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

/* Each of them. */
static void walk(const struct rf_segment *arena,
	void (*each)(void *arg, const char *path), void *arg)
{
	char folder[PLACE_BYTES], live[PLACE_BYTES], path[ASIDE_BYTES];
	const struct dirent *entry;
	DIR *dir = split(arena, folder, live) ? opendir(folder) : NULL;

	while (dir && (entry = readdir(dir))) {
		if (!is_aside(entry->d_name, live))
			continue;
		snprintf(path, sizeof(path), "%.*s/%.*s", 200, folder, 200,
			entry->d_name);
		each(arg, path);
	}
	if (dir)
		closedir(dir);
}

struct counted {
	int count;
	char newest[ASIDE_BYTES];
};

static void count_one(void *arg, const char *path)
{
	struct counted *counted = arg;

	counted->count++;
	if (strcmp(path, counted->newest) > 0)
		snprintf(counted->newest, ASIDE_BYTES, "%s", path);
}

static struct counted count(const struct rf_segment *arena)
{
	struct counted counted = {0};

	walk(arena, count_one, &counted);
	return counted;
}

static void make_room(const struct rf_segment *arena)
{
	struct counted counted = count(arena);

	if (counted.count >= ASIDE_COUNT_MAX)
		drop(arena, counted.newest,
			"a later one takes its place, the earlier ones stay");
}

static void name_aside(const char *live, char aside[ASIDE_BYTES])
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
}

static void tell_kept(const struct service *s, const char *aside)
{
	char way[ASIDE_WAY_BYTES];

	rf_log_event(RF_EVENT_ARENA_ASIDE,
		RF_LOG_FIELDS(RF_LOG_TEXT("path", aside)),
		"the arena is kept as %s; to use it: stop the service, %s; "
		"when it is of no use: reforkctl arena release %s",
		aside, aside_way_back(s, aside, way),
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
	name_aside(live, aside);
	if (!rename(live, aside))
		return 0;
	error = -errno;
	rf_log_event(RF_EVENT_ARENA_LOST, NULL,
		"keep the arena %s: rename: %s; it is given up", live,
		strerror(-error));
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
		tell_kept(s, aside);
}

/* ---- without a name ---- */

/* The file that a memfd becomes. */
static struct rf_segment file_of(const struct service *s)
{
	struct rf_segment seg = {
		.backend = RF_BACKEND_FILE, .fd = -1, .shmid = -1};

	memory_plan_path(s->conf, &seg);
	return seg;
}

static struct rf_segment named(const struct service *s)
{
	return s->arena.backend == RF_BACKEND_MEMFD ? file_of(s) : s->arena;
}

struct sought {
	const struct rf_segment *like;
	char path[ASIDE_BYTES]; /* "": not found */
};

static void compare(void *arg, const char *path)
{
	struct sought *sought = arg;
	struct rf_segment seg = {.backend = RF_BACKEND_FILE};
	struct stat st;

	seg.fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (seg.fd < 0)
		return;
	if (!fstat(seg.fd, &st) && S_ISREG(st.st_mode)) {
		seg.max_bytes = (size_t)st.st_size;
		if (rf_mark_is_same(&seg, sought->like))
			snprintf(sought->path, ASIDE_BYTES, "%s", path);
	}
	close(seg.fd);
}

int aside_write(const struct service *s, const struct rf_segment *memory,
	char path[ASIDE_BYTES])
{
	struct sought sought = {.like = memory};
	struct rf_segment seg = file_of(s);
	int rc;

	snprintf(path, ASIDE_BYTES, "%s",
		*seg.path ? seg.path : s->conf->refork.state_dir);
	if (!*seg.path)
		return -ENAMETOOLONG;
	walk(&seg, compare, &sought);
	if (*sought.path) {
		snprintf(path, ASIDE_BYTES, "%s", sought.path);
		return 0;
	}
	rc = *s->conf->arena.path ? 0
				  : directory_make(s->conf->refork.state_dir);
	if (rc)
		return rc;
	make_room(&seg);
	name_aside(seg.path, path);
	return aside_file_write(memory, seg.path, path);
}

const char *aside_way_back(
	const struct service *s, const char *aside, char text[ASIDE_WAY_BYTES])
{
	struct rf_segment seg = named(s);
	bool memfd = s->arena.backend == RF_BACKEND_MEMFD;
	char live[PLACE_BYTES] = "", any[ASIDE_BYTES];

	place_file(&seg, live);
	snprintf(any, sizeof(any), "%s" PLACE_ASIDE_MARK "...", live);
	snprintf(text, ASIDE_WAY_BYTES, "mv %s %s, start%s",
		aside ? aside : any, live,
		memfd ? " with arena.backend = file" : "");
	return text;
}

/* ---- any ---- */

int aside_count(const struct service *s)
{
	struct rf_segment seg = named(s);

	return count(&seg).count;
}
/* NULL: it can be kept. */
static const char *why_not(const struct service *s)
{
	if (s->arena.backend == RF_BACKEND_SYSV && *s->conf->arena.key == '0')
		return "the new one needs its key (arena.key = auto would have "
		       "kept it)";
	return NULL;
}

/* The memory goes when the service manager has been told: kept_forget(). */
static void put_memory_aside(struct service *s)
{
	char path[ASIDE_BYTES];
	int error = aside_write(s, &s->arena, path);

	if (error)
		rf_log_event(RF_EVENT_ARENA_LOST, NULL,
			"keep the arena as %s: %s; it is given up", path,
			strerror(-error));
	else
		tell_kept(s, path);
	rf_segment_close(&s->arena);
}

void aside_put(struct service *s)
{
	const char *why = why_not(s);

	if (!why && s->arena.backend == RF_BACKEND_MEMFD) {
		put_memory_aside(s);
		return;
	}
	if (!why) {
		put_aside(s);
		return;
	}
	rf_log_event(
		RF_EVENT_ARENA_LOST, NULL, "the arena is given up: %s", why);
	rf_segment_unlink(&s->arena);
	rf_segment_close(&s->arena);
}
