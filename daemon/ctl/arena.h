/* SPDX-License-Identifier: MIT */
/* arena.h -- an arena, opened by a command to look into it. See arena.c. */
#ifndef CTL_ARENA_H
#define CTL_ARENA_H

#include "ctl.h"
#include "daemon/worker_load.h"

#include <refork/attach.h>

struct arena_view {
	struct rf_attach *attach;
	const struct rf_attach_facts *facts;
	/* The code whose state it is; else why there is none. */
	struct worker_lib lib;
	bool has_worker;
	char no_worker[sizeof(((struct fault *)0)->text)];
};

/* What a command does with the arena once it is there. In a process of its
 * own: damage may end that.
 *
 * Returns  what is wrong with the arena: so many problems, all told */
struct arena_job {
	const char *name; /* "arena verify" */
	unsigned flags;	  /* enum rf_attach_flag */
	bool wants_worker;
	uint64_t (*run)(const struct ctl *ctl, struct arena_view *view);
};

/* Do it, and say so when it could not be done.
 *
 * problems  what run() returned, and what kept it from returning
 * Returns   CTL_OK: done, whatever was found; else an exit code */
enum ctl_exit arena_do(
	struct ctl *ctl, const struct arena_job *job, uint64_t *problems);

#define ARENA_TEXT_BYTES 512

/* Text out of the arena, which may be any bytes, as one that can be printed;
 * at most `bytes` of it. Returns `to`. */
const char *arena_text(
	char to[ARENA_TEXT_BYTES], const char *from, size_t bytes);

/* One problem, as text or as a line of JSON. */
void arena_tell(const struct ctl *ctl, const char *part, const void *at,
	const char *slot, const char *text);

#endif
