/* SPDX-License-Identifier: MIT */
/* survey.c -- the segments of refork that stand on this machine.
 *
 * There is no register of them that could be wrong: each kind is looked for
 * where it must be. Names in /dev/shm; keys in /proc/sysvipc/shm, told from
 * other people's by what stands at their beginning, or by the file of a lock;
 * files below the places that the caller names; memfds at the supervisors that
 * run. What is read of them is somebody else's bytes, and may change meanwhile.
 */
#include "survey.h"

#include "common/arena.h"
#include "common/file_mark.h"
#include "common/status.h"
#include "common/super.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARENA_SUFFIX ".arena"
#define LOCK_NOTE    "refork: lock of"

struct walk {
	const struct survey_places *places;
	void (*each)(void *arg, const struct survey_segment *found);
	void *arg;
};

/* ---- what it says of itself ---- */

static void judge(struct survey_segment *s, const struct rf_super *super)
{
	const size_t room = sizeof(s->unfit);

	s->is_arena = true;
	s->format = super->format;
	s->state_version = super->state_version;
	s->generation = super->generation;
	snprintf(s->worker, sizeof(s->worker), "%.31s", super->worker_name);
	if (super->marker != RF_ARENA_MAGIC)
		snprintf(s->unfit, room, "its build was never finished");
	else if (super->format != RF_ARENA_FORMAT)
		snprintf(s->unfit, room, "its format is %u, not %d",
			super->format, RF_ARENA_FORMAT);
	else if (super->base != RF_ARENA_BASE)
		snprintf(s->unfit, room, "its address is %#" PRIx64,
			super->base);
	else if (super->segment_bytes != s->max_bytes)
		snprintf(s->unfit, room,
			"it has %" PRIu64 " bytes, and says %" PRIu64,
			s->max_bytes, super->segment_bytes);
}

/* It stands where an arena does, and does not begin like one: a start refuses
 * it, and only its operator can say that it may go. */
static void judge_damaged(
	struct survey_segment *s, const struct rf_super *super)
{
	s->is_arena = true;
	snprintf(s->unfit, sizeof(s->unfit), "%s",
		super->marker || super->base
			? "its beginning is damaged, or never was an arena's"
			: "its build was never finished");
}

/* named: as an arena is. False: it is none of ours. */
static bool recognize(
	struct survey_segment *s, const struct rf_super *super, bool named)
{
	const struct rf_status_shm *status = (const void *)super;

	if (status->magic == RF_STATUS_MAGIC)
		s->format = status->format;
	else if (super->marker == RF_ARENA_MAGIC ||
		 (!super->marker && super->base == RF_ARENA_BASE))
		judge(s, super);
	else if (named)
		judge_damaged(s, super);
	else
		return false;
	return true;
}

static void tell(const struct walk *w, struct survey_segment *s)
{
	place_name(&s->seg, s->name);
	w->each(w->arg, s);
}

static void set_aside(struct survey_segment *s, const char *path)
{
	const char *since = place_aside(path);

	if (since)
		snprintf(s->aside, sizeof(s->aside), "%s", since);
}

/* A file in /dev/shm or on a disk: its sizes, user and beginning. */
static bool look_at_file(
	const char *path, struct survey_segment *s, struct rf_super *super)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	bool seen;

	if (fd < 0)
		return false;
	seen = !fstat(fd, &st) && S_ISREG(st.st_mode) &&
	       pread(fd, super, sizeof(*super), 0) >= 0; /* it may be cut */
	close(fd);
	if (!seen)
		return false;
	s->seg.max_bytes = (size_t)st.st_size;
	s->max_bytes = (uint64_t)st.st_size;
	s->backed_bytes = (uint64_t)st.st_blocks * 512;
	s->by = occupant_of(path);
	set_aside(s, path);
	return !rf_segment_owner(&s->seg, &s->owner);
}

/* ---- posix ---- */

static void look_at_posix(const struct walk *w, const char *file)
{
	struct survey_segment s = {
		.seg.backend = RF_BACKEND_POSIX, .seg.fd = -1};
	struct rf_super super = {0};
	char path[PLACE_BYTES];

	if (strncmp(file, "refork-", strlen("refork-")) ||
		strlen(file) + 2 > sizeof(s.seg.name))
		return;
	snprintf(s.seg.name, sizeof(s.seg.name), "/%.62s", file);
	if (look_at_file(place_of(&s.seg, path), &s, &super) &&
		recognize(&s, &super, !strchr(file, ':')))
		tell(w, &s);
}

/* ---- files ---- */

static bool is_named_arena(const char *path, const struct rf_super *super)
{
	size_t end = strlen(ARENA_SUFFIX), bytes = strlen(path);

	return (place_aside(path) || (bytes > end && !strcmp(path + bytes - end,
							     ARENA_SUFFIX))) &&
	       strncmp((const char *)super, LOCK_NOTE, strlen(LOCK_NOTE)) != 0;
}

/* Whether it is whole. */
static void judge_mark(struct survey_segment *s)
{
	s->seg.fd = open(s->seg.path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (s->seg.fd < 0)
		return;
	rf_mark_judge(&s->seg, s->unfit, sizeof(s->unfit));
	close(s->seg.fd);
	s->seg.fd = -1;
}

static void look_at_disk(const struct walk *w, const char *path)
{
	struct survey_segment s = {
		.seg.backend = RF_BACKEND_FILE, .seg.fd = -1};
	struct rf_super super = {0};

	if (snprintf(s.seg.path, sizeof(s.seg.path), "%s", path) >=
			(int)sizeof(s.seg.path) ||
		!look_at_file(path, &s, &super) ||
		!recognize(&s, &super,
			s.max_bytes && is_named_arena(path, &super)))
		return;
	if (!*s.unfit && !s.by.held)
		judge_mark(&s);
	tell(w, &s);
}

/* ---- directories ---- */

/* Each entry of a directory, or the one file. */
static void list(const struct walk *w, const char *where,
	void (*look)(const struct walk *w, const char *path))
{
	char path[PATH_MAX];
	const struct dirent *entry;
	DIR *dir = opendir(where);

	if (!dir) {
		look(w, where);
		return;
	}
	while ((entry = readdir(dir)))
		if (snprintf(path, sizeof(path), "%s/%s", where,
			    entry->d_name) < (int)sizeof(path))
			look(w, path);
	closedir(dir);
}

static void look_at_shm_path(const struct walk *w, const char *path)
{
	look_at_posix(w, strrchr(path, '/') + 1);
}

/* ---- System V ---- */

/* Of somebody's segment, which a plain read would fill where it is a hole. */
static bool read_shm(int shmid, struct rf_super *super)
{
	const struct rf_segment seg = {.backend = RF_BACKEND_SYSV,
		.fd = -1,
		.shmid = shmid,
		.max_bytes = sizeof(*super)};

	return !rf_segment_read(&seg, 0, super, sizeof(*super));
}

struct search {
	struct walk walk; /* first: list() hands it on */
	int shmid;
	char *path;
};

/* The lock of a segment says whose it is: common/segment/sysv.c. */
static void look_at_lock(const struct walk *w, const char *path)
{
	const struct search *search = (const struct search *)w;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char note[128] = "";
	int shmid;

	if (fd < 0)
		return;
	if (read(fd, note, sizeof(note) - 1) > 0 &&
		sscanf(note, LOCK_NOTE " shared memory id %d,", &shmid) == 1 &&
		shmid == search->shmid)
		snprintf(search->path, PLACE_BYTES, "%s", path);
	close(fd);
}

/* Without the file of its lock it is the count of those attached that says
 * whether somebody lives there, and only its maker can be named. */
static void find_lock(const struct walk *w, struct survey_segment *s)
{
	char path[PLACE_BYTES] = "";
	const struct search search = {*w, s->owner.shmid, path};

	for (int i = 0; i < w->places->count; i++)
		list(&search.walk, w->places->paths[i], look_at_lock);
	if (*path && strlen(path) < sizeof(s->seg.path)) {
		strcpy(s->seg.path, path);
		s->by = occupant_of(path);
		set_aside(s, path);
		return;
	}
	s->by.held = s->owner.attached > 0;
	if (!s->by.held)
		return;
	s->by.pid = s->owner.creator_pid;
	occupant_title(s->by.pid, s->by.title, sizeof(s->by.title));
}

static void look_at_shm(const struct walk *w, const char *line)
{
	struct survey_segment s = {
		.seg = {.backend = RF_BACKEND_SYSV, .fd = -1}};
	struct rf_super super = {0};
	int key, shmid;
	uint64_t rss;

	if (sscanf(line,
		    "%d %d %*o %*u %*d %*d %*u %*u %*u %*u %*u %*u %*u %*u "
		    "%" SCNu64,
		    &key, &shmid, &rss) != 3 ||
		!key)
		return;
	s.seg.key = (uint32_t)key;
	s.seg.shmid = shmid;
	if (rf_segment_owner(&s.seg, &s.owner) || s.owner.shmid != shmid ||
		s.owner.bytes < sizeof(super) || !read_shm(shmid, &super))
		return;
	s.max_bytes = s.owner.bytes;
	s.backed_bytes = rss;
	find_lock(w, &s);
	if (recognize(&s, &super, *s.seg.path))
		tell(w, &s);
}

static void list_shm(const struct walk *w)
{
	FILE *in = fopen("/proc/sysvipc/shm", "re");
	char line[512];

	while (in && fgets(line, sizeof(line), in))
		look_at_shm(w, line);
	if (in)
		fclose(in);
}

/* ---- memfds ---- */

/* Of a supervisor. */
static void look_at_fd(const struct walk *w, int pid, const char *path)
{
	struct survey_segment s = {
		.seg = {.backend = RF_BACKEND_MEMFD, .fd = -1}};
	char target[128] = "", *end;
	struct rf_super super = {0};
	struct stat st;
	int fd;

	if (readlink(path, target, sizeof(target) - 1) < 0 ||
		strncmp(target, "/memfd:/refork-", strlen("/memfd:/refork-")))
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	end = strstr(target, " (deleted)");
	if (end)
		*end = 0;
	snprintf(s.seg.name, sizeof(s.seg.name), "%.63s",
		target + strlen("/memfd:"));
	s.by = (struct occupant){.held = true, .pid = pid};
	occupant_title(pid, s.by.title, sizeof(s.by.title));
	if (!fstat(fd, &st) &&
		pread(fd, &super, sizeof(super), 0) == (ssize_t)sizeof(super)) {
		s.max_bytes = (uint64_t)st.st_size;
		s.backed_bytes = (uint64_t)st.st_blocks * 512;
		s.owner = (struct rf_segment_owner){.uid = st.st_uid,
			.mode = st.st_mode & 07777,
			.shmid = -1,
			.bytes = (size_t)st.st_size};
		if (recognize(&s, &super, false))
			tell(w, &s);
	}
	close(fd);
}

static void look_at_process(const struct walk *w, const char *path)
{
	int pid = atoi(strrchr(path, '/') + 1);
	char title[128], fds[64], fd[PATH_MAX];
	const struct dirent *entry;
	DIR *dir;

	if (pid <= 0)
		return;
	occupant_title(pid, title, sizeof(title));
	if (strncmp(title, "refork: ", strlen("refork: ")) ||
		!strstr(title, " supervisor"))
		return;
	snprintf(fds, sizeof(fds), "/proc/%d/fd", pid);
	dir = opendir(fds);
	while (dir && (entry = readdir(dir)))
		if (snprintf(fd, sizeof(fd), "%s/%s", fds, entry->d_name) > 0)
			look_at_fd(w, pid, fd);
	if (dir)
		closedir(dir);
}

/* ---- all of them ---- */

void survey(const struct survey_places *places,
	void (*each)(void *arg, const struct survey_segment *found), void *arg)
{
	const struct walk w = {places, each, arg};

	list(&w, SEGMENT_DIR, look_at_shm_path);
	list_shm(&w);
	for (int i = 0; i < places->count; i++)
		list(&w, places->paths[i], look_at_disk);
	list(&w, "/proc", look_at_process);
}
