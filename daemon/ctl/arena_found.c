/* SPDX-License-Identifier: MIT */
/* arena_found.c -- the segments of this machine, as the commands see them. */
#include "arena_found.h"

#include "ask.h"
#include "common/flat.h"
#include "conf/conf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PLACES_MAX     8
#define DAEMON_WAIT_MS 1000

struct places {
	char texts[PLACES_MAX][PLACE_BYTES];
	const char *paths[PLACES_MAX];
	int count;
};

/* Once. */
static void add(struct places *p, const char *path)
{
	if (!*path || p->count == PLACES_MAX)
		return;
	for (int i = 0; i < p->count; i++)
		if (!strcmp(p->paths[i], path))
			return;
	snprintf(p->texts[p->count], PLACE_BYTES, "%s", path);
	p->paths[p->count] = p->texts[p->count];
	p->count++;
}

/* Where a file stands, so do those of its name that are kept aside. */
static void add_with_directory(struct places *p, const char *path)
{
	char dir[PLACE_BYTES];
	char *slash;

	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (slash && slash > dir)
		*slash = 0;
	add(p, dir);
}

/* What a configuration says, also one that has problems. NULL: the defaults. */
static void add_conf(struct places *p, const char *path)
{
	static struct conf conf;
	FILE *nowhere = fopen("/dev/null", "we");

	if (!nowhere)
		return;
	conf_load(&conf, path, NULL, 0, nowhere);
	fclose(nowhere);
	add(p, conf.refork.state_dir);
	if (*conf.arena.path)
		add_with_directory(p, conf.arena.path);
}

static void add_daemon(struct places *p, struct ctl *ctl)
{
	char path[PLACE_BYTES] = "";

	if (ask(ctl, "status", "json", NULL, DAEMON_WAIT_MS))
		return; /* there is none, or it hangs */
	rf_flat_text(ctl->answer, "conf_path", path, sizeof(path));
	if (*path)
		add_conf(p, path);
}

static bool ends_in(const char *text, const char *end)
{
	size_t bytes = strlen(text), last = strlen(end);

	return bytes >= last && !strcmp(text + bytes - last, end);
}

static void add_named(struct places *p, const char *where)
{
	struct stat st;

	if (ends_in(where, ".ini") || ends_in(where, ".conf"))
		add_conf(p, where);
	else if (!stat(where, &st) && S_ISDIR(st.st_mode))
		add(p, where);
	else
		add_with_directory(p, where);
}

struct found {
	struct survey_segment *list;
	int count, error;
};

static void keep(void *arg, const struct survey_segment *s)
{
	struct found *found = arg;
	struct survey_segment *more;

	more = reallocarray(
		found->list, (size_t)found->count + 1, sizeof(*more));
	if (!more) {
		found->error = -ENOMEM;
		return;
	}
	found->list = more;
	found->list[found->count++] = *s;
}

int arena_find(struct ctl *ctl, const char *where, struct survey_segment **list)
{
	struct places places = {.count = 0};
	struct survey_places seen;
	struct found found = {0};

	add_conf(&places, NULL);
	add_daemon(&places, ctl);
	if (where)
		add_named(&places, where);
	seen = (struct survey_places){places.paths, places.count};
	survey(&seen, keep, &found);
	*list = found.list;
	return found.error ? found.error : found.count;
}

const char *arena_user(const struct survey_segment *s, char text[192])
{
	if (!s->by.held)
		snprintf(text, 192, "nobody");
	else if (*s->by.title)
		snprintf(text, 192, "process %d (%s)", s->by.pid, s->by.title);
	else
		snprintf(text, 192, "a process that cannot be named");
	return text;
}

static bool is_of_service(const struct survey_segment *s, const char *service)
{
	const char *file = strrchr(s->seg.path, '/');
	char own[PLACE_BYTES];

	snprintf(own, sizeof(own), "%s.arena", service);
	if (file && !strcmp(file + 1, own))
		return true;
	snprintf(own, sizeof(own), "refork-%s", service);
	return !strcmp(s->name, own);
}

static bool is_meant(const struct survey_segment *s, const char *what)
{
	return s->is_arena && s->seg.backend != RF_BACKEND_MEMFD &&
	       (!strcmp(s->name, what) || !strcmp(s->seg.path, what) ||
		       is_of_service(s, what));
}

const char *arena_kept(
	struct ctl *ctl, const char *what, char path[PLACE_BYTES])
{
	struct survey_segment *list = NULL;
	int i = 0, count;

	count = arena_find(ctl, strchr(what, '/') ? what : NULL, &list);
	while (i < count && !is_meant(&list[i], what))
		i++;
	if (i < count && list[i].seg.backend == RF_BACKEND_SYSV)
		snprintf(path, PLACE_BYTES, "sysv:%d", list[i].owner.shmid);
	else if (i < count && list[i].seg.backend == RF_BACKEND_FILE)
		snprintf(path, PLACE_BYTES, "%s", list[i].seg.path);
	else if (i < count)
		snprintf(
			path, PLACE_BYTES, SEGMENT_DIR "/%.128s", list[i].name);
	free(list);
	return i < count ? path : what;
}
