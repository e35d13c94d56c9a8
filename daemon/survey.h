/* SPDX-License-Identifier: MIT */
/* survey.h -- the segments of refork that stand on this machine. */
#ifndef SURVEY_H
#define SURVEY_H

#include "occupant.h"
#include "place.h"

struct survey_segment {
	struct rf_segment seg;	/* not open; sysv: path empty when the file of
				 * its lock was not found */
	char name[PLACE_BYTES]; /* as place_name(); memfd: with a pid */
	struct rf_segment_owner owner;
	struct occupant by;
	uint64_t backed_bytes, max_bytes;
	bool is_arena; /* or the status of a service */
	/* Of an arena, as it says. */
	char worker[32];
	uint32_t format, state_version;
	uint64_t generation;
	char unfit[160]; /* why no daemon of this version takes it; or empty */
	char aside[16];	 /* "20260131120000": since when it is kept */
};

/* Where files and the locks of System V segments are looked for, one level
 * deep: a directory, or a file. */
struct survey_places {
	const char *const *paths;
	int count;
};

/* Each that this user can see, posix first. Nothing is locked or changed. */
void survey(const struct survey_places *places,
	void (*each)(void *arg, const struct survey_segment *found), void *arg);

#endif
