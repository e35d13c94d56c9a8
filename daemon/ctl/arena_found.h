/* SPDX-License-Identifier: MIT */
/* arena_found.h -- the segments of this machine, as the commands see them. */
#ifndef ARENA_FOUND_H
#define ARENA_FOUND_H

#include "ctl.h"
#include "daemon/survey.h"

/* Every one there is. Looked into beside /dev/shm, the keys and the processes:
 * the state_dir of this user, what the daemon that is asked says of itself, and
 * `where`: a directory, the file of an arena, or an ini; NULL: nothing more.
 *
 * Returns  how many there are, in *list: to be freed; -errno */
int arena_find(
	struct ctl *ctl, const char *where, struct survey_segment **list);

/* What rf_attach() calls the kept arena that is meant: a name of the list, that
 * of its service, or the path of its file or lock. `what` itself when there is
 * none. */
const char *arena_kept(
	struct ctl *ctl, const char *what, char path[PLACE_BYTES]);

/* "process 812 (refork: kv supervisor)", "nobody". */
const char *arena_user(const struct survey_segment *s, char text[192]);

#endif
