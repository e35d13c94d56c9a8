/* SPDX-License-Identifier: MIT */
/* arena_release.c -- remove one segment, by its name, and nothing else.
 *
 * It is locked first, as a daemon would: so nobody has it, and no daemon that
 * starts meanwhile can take over what is about to go.
 */
#include "arena_found.h"

#include "daemon/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/shm.h>

static bool is_called(const struct survey_segment *s, const char *name)
{
	const char *short_name = name;

	if (!strncmp(name, SEGMENT_DIR "/", strlen(SEGMENT_DIR) + 1))
		short_name += strlen(SEGMENT_DIR) + 1;
	return !strcmp(s->name, short_name) ||
	       (*s->seg.path && !strcmp(s->seg.path, name));
}

static enum ctl_exit refuse_unknown(const struct command *command,
	const char *name, const struct survey_segment *list, int count)
{
	const char *nearest = NULL;
	size_t best = strlen(name) / 2 + 1;
	char why[3 * PLACE_BYTES];

	for (int i = 0; i < count; i++) {
		size_t d = ctl_distance(name, list[i].name);

		if (d < best) {
			best = d;
			nearest = list[i].name;
		}
	}
	snprintf(why, sizeof(why), "no segment is called %s%s%s%s", name,
		nearest ? "; did you mean " : "", nearest ? nearest : "",
		nearest ? "?" : " (see arena list)");
	return ctl_refuse(command, why);
}

/* Without the file of its lock: as long as nobody is attached. */
static int remove_unlocked(const struct survey_segment *s)
{
	struct shmid_ds now;

	if (shmctl(s->owner.shmid, IPC_STAT, &now))
		return -errno;
	if (now.shm_nattch)
		return -EWOULDBLOCK;
	return shmctl(s->owner.shmid, IPC_RMID, NULL) ? -errno : 0;
}

static int remove_segment(const struct survey_segment *s)
{
	struct rf_segment seg = s->seg;
	int rc;

	if (seg.backend == RF_BACKEND_SYSV && !*seg.path)
		return remove_unlocked(s);
	rc = rf_segment_open(&seg, 0);
	if (rc == -EMSGSIZE) { /* as it is made of huge pages */
		seg = s->seg;
		seg.huge_require = true;
		rc = rf_segment_open(&seg, 0);
	}
	if (!rc)
		rc = rf_segment_unlink(&seg);
	rf_segment_close(&seg);
	return rc;
}

static enum ctl_exit release(const struct ctl *ctl,
	const struct command *command, const struct survey_segment *s)
{
	char why[3 * PLACE_BYTES], who[192];
	int rc = s->by.held ? -EWOULDBLOCK : remove_segment(s);

	if (rc == -EWOULDBLOCK)
		snprintf(why, sizeof(why), "%s is in use by %s%s", s->name,
			arena_user(s, who),
			s->seg.backend == RF_BACKEND_MEMFD
				? ": it goes with that process, or where a "
				  "service manager keeps it, when that stops "
				  "the service"
				: ": stop that one first");
	else if (rc == -EPERM)
		snprintf(why, sizeof(why), "%s belongs to user %u: be that one",
			s->name, s->owner.uid);
	else if (rc)
		snprintf(why, sizeof(why), "%s: %s", s->name, strerror(-rc));
	if (rc)
		return ctl_refuse(command, why);
	if (ctl->json) {
		json_begin(stdout);
		json_text(stdout, "released", s->name);
		json_number(stdout, "bytes", s->backed_bytes);
		json_end(stdout);
	} else {
		printf("%s released, %llu MiB\n", s->name,
			(unsigned long long)s->backed_bytes >> 20);
	}
	return CTL_OK;
}

enum ctl_exit run_arena_release(struct ctl *ctl, const struct command *command)
{
	const char *name = ctl->arguments[0];
	struct survey_segment *list;
	enum ctl_exit code = CTL_REFUSED;
	int count, i = 0;

	count = arena_find(ctl, *name == '/' ? name : NULL, &list);
	if (count < 0)
		return ctl_refuse(command, strerror(-count));
	while (i < count && !is_called(&list[i], name))
		i++;
	if (i == count)
		code = refuse_unknown(command, name, list, count);
	else
		code = release(ctl, command, &list[i]);
	free(list);
	return code;
}
