/* SPDX-License-Identifier: MIT */
/* arena_list.c -- the segments of this machine, whose they are, and what of
 * them a daemon would take over.
 */
#include "arena_found.h"

#include "daemon/json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MIB(bytes) (((bytes) + (1 << 19)) >> 20)

/* "20260131120000" as "2026-01-31 12:00:00 UTC". */
static void since(const char *stamp, char text[40])
{
	snprintf(text, 40, "%.4s-%.2s-%.2s %.2s:%.2s:%.2s UTC", stamp,
		stamp + 4, stamp + 6, stamp + 8, stamp + 10, stamp + 12);
}

static void put_line(const struct survey_segment *s)
{
	char who[192], when[40];

	printf("%-30s %-6s %7" PRIu64 " of %-7" PRIu64, s->name,
		place_backends[s->seg.backend], MIB(s->backed_bytes),
		MIB(s->max_bytes));
	if (s->is_arena)
		printf(" %-10s %5u %6u %10" PRIu64, s->worker, s->state_version,
			s->format, s->generation);
	else
		printf(" %-10s %5s %6u %10s", "(status)", "", s->format, "");
	printf("  %s\n", arena_user(s, who));
	if (*s->aside) {
		since(s->aside, when);
		printf("    kept aside since %s\n", when);
	}
	if (*s->unfit)
		printf("    does not fit: %s\n", s->unfit);
	if (s->seg.backend == RF_BACKEND_SYSV)
		printf("    id %d, permission %04o, made by process %d of user "
		       "%u%s%s\n",
			s->owner.shmid, s->owner.mode, s->owner.creator_pid,
			s->owner.uid, *s->seg.path ? ", lock file " : "",
			s->seg.path);
}

static void put_json(const struct survey_segment *s)
{
	json_begin(stdout);
	json_text(stdout, "name", s->name);
	json_text(stdout, "backend", place_backends[s->seg.backend]);
	json_text(stdout, "holds", s->is_arena ? "arena" : "status");
	json_number(stdout, "backed_bytes", s->backed_bytes);
	json_number(stdout, "max_bytes", s->max_bytes);
	json_text(stdout, "worker", s->worker);
	json_number(stdout, "state_version", s->state_version);
	json_number(stdout, "format", s->format);
	json_number(stdout, "generation", s->generation);
	json_number(stdout, "held", s->by.held);
	json_signed(stdout, "pid", s->by.pid);
	json_text(stdout, "title", s->by.title);
	json_number(stdout, "fits", !*s->unfit);
	json_text(stdout, "unfit", s->unfit);
	json_text(stdout, "aside_since", s->aside);
	json_number(stdout, "uid", s->owner.uid);
	json_number(stdout, "mode", s->owner.mode);
	json_signed(stdout, "shmid", s->owner.shmid);
	json_signed(stdout, "creator_pid", s->owner.creator_pid);
	json_text(stdout, "path", s->seg.path);
	json_end(stdout);
}

enum ctl_exit run_arena_list(struct ctl *ctl, const struct command *command)
{
	const char *where = ctl->argument_count ? ctl->arguments[0] : NULL;
	struct survey_segment *list;
	int count = arena_find(ctl, where, &list);

	if (count < 0)
		return ctl_refuse(command, strerror(-count));
	if (!ctl->json && count)
		printf("%-30s %-6s %7s    %-7s %-10s %5s %6s %10s  %s\n",
			"NAME", "KIND", "MIB", "MAX", "WORKER", "STATE",
			"FORMAT", "GENERATION", "IN USE BY");
	else if (!ctl->json)
		puts("no segment of refork stands here that you can see");
	for (int i = 0; i < count; i++)
		(ctl->json ? put_json : put_line)(&list[i]);
	free(list);
	return CTL_OK;
}
