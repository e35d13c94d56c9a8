/* SPDX-License-Identifier: MIT */
/* memory_fault.c -- why a segment cannot be had, and what to do about it. */
#include "memory_fault.h"

#include "place.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

int memory_in_use(const char *what, const struct rf_segment *seg,
	const struct occupant *by, struct fault *fault)
{
	char who[192] = "a process that cannot be named", place[PLACE_BYTES];

	if (*by->title)
		snprintf(who, sizeof(who), "process %d (%s)", by->pid,
			by->title);
	return fault_set(fault, EX_OSERR,
		"%s %s is in use by %s: two daemons must not share one; "
		"stop that one or give this one another refork.name%s",
		what, place_of(seg, place), who,
		*seg->path ? " and arena.path" : "");
}

int memory_no_address(struct fault *fault)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512] = "";
	uint64_t from;

	while (maps && fgets(line, sizeof(line), maps))
		if (sscanf(line, "%" SCNx64, &from) == 1 &&
			from >= RF_ARENA_BASE)
			break;
	if (maps)
		fclose(maps);
	line[strcspn(line, "\n")] = 0;
	return fault_set(fault, EX_OSERR,
		"map the arena at %#" PRIx64 ": the address is taken by %s",
		RF_ARENA_BASE, line);
}

int memory_refused(
	const struct rf_segment *arena, const char *reason, struct fault *fault)
{
	char place[PLACE_BYTES], name[PLACE_BYTES];

	fault->arena_refused = true;
	return fault_set(fault, EX_CONFIG,
		"arena %s does not fit: %s. It is left as it is, for a daemon "
		"that it fits. To give up its content: reforkctl arena "
		"release %s",
		place_of(arena, place), reason,
		/* a lock file is not found by the key */
		*arena->path ? arena->path : place_name(arena, name));
}

/* Of something that is in the way: whose it is. */
static void tell_owner(const struct rf_segment *arena, char *text, size_t bytes)
{
	struct rf_segment_owner owner;

	*text = 0;
	if (rf_segment_owner(arena, &owner))
		return;
	if (arena->backend == RF_BACKEND_SYSV)
		snprintf(text, bytes,
			": key 0x%08" PRIx32 ", id %d, made by process %d of "
			"user %u, permission %04o, %zu bytes (ipcs -m); it is "
			"left as it is: choose another arena.key",
			owner.key, owner.shmid, owner.creator_pid, owner.uid,
			owner.mode, owner.bytes);
	else
		snprintf(text, bytes,
			": it belongs to user %u, permission %04o; it is left "
			"as it is",
			owner.uid, owner.mode);
}

int memory_not_had(const struct rf_segment *arena, const char *verb, int error,
	struct fault *fault)
{
	static const int foreign[] = {
		-EPERM, -EACCES, -EMEDIUMTYPE, -ELOOP, -EEXIST};
	char place[PLACE_BYTES], owner[256] = "";

	/* Any other size is read, and refused by its superblock. */
	if (error == -EMSGSIZE)
		return memory_refused(arena,
			arena->huge_require ? "it is not of huge pages, as "
					      "arena.huge_pages = require asks"
					    : "it is of huge pages, without "
					      "arena.huge_pages = require",
			fault);
	for (size_t i = 0; i < sizeof(foreign) / sizeof(*foreign); i++)
		if (error == foreign[i])
			tell_owner(arena, owner, sizeof(owner));
	return fault_set(fault, fault_code(error), "%s arena %s: %s%s", verb,
		place_of(arena, place), strerror(-error), owner);
}
