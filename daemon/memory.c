/* SPDX-License-Identifier: MIT */
/* memory.c -- the segments of a service, the arena above all.
 *
 * An arena outlives its daemon when that is killed; a memfd does where the
 * service manager keeps it (memory_kept.c). The next start finds it by its
 * name, key or path, or is handed it, and takes it over, or refuses and says
 * why: it is never emptied, because only the operator knows what it is worth.
 *
 *   nothing stands           create, format, build
 *   it stands, unlocked      map, adopt (rolls back), migrate?, build
 *   it stands, locked        somebody lives in it: refuse, naming him
 *
 * While the daemon runs it is given up only for what on_limit = cold asks for:
 * memory_cold() puts it aside and makes an empty one.
 *
 * Whatever `migrate` and `build` change is one transaction: a start that fails
 * leaves an adopted arena as it was, and a created one not at all.
 */
#include "memory.h"

#include "aside.h"
#include "common/events.h"
#include "common/super.h"
#include "directory.h"
#include "machine.h"
#include "memory_fault.h"
#include "memory_kept.h"
#include "place.h"
#include "preserve.h"

#include <errno.h>
#include <inttypes.h>
#include <refork/log.h>
#include <refork/tx.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A daemon just killed may still be giving back its memory. */
#define OPEN_WAIT_MS 3000
#define OPEN_TRIES   8
/* A number further from that of the last child that served is damage. */
#define GENERATION_STEPS_MAX 1000000

_Static_assert((int)CONF_BACKEND_POSIX == (int)RF_BACKEND_POSIX &&
		       (int)CONF_BACKEND_MEMFD == (int)RF_BACKEND_MEMFD &&
		       (int)CONF_BACKEND_SYSV == (int)RF_BACKEND_SYSV &&
		       (int)CONF_BACKEND_FILE == (int)RF_BACKEND_FILE,
	"the ini names the backends of segment.h");

/* A System V segment under our key whose lock is not our file's can be named
 * by its maker only. */
static struct occupant find_occupant(const struct rf_segment *seg)
{
	struct occupant by = {0};
	struct rf_segment_owner owner;
	char path[PLACE_BYTES];

	if (place_file(seg, path))
		by = occupant_of(path);
	if (by.held || rf_segment_owner(seg, &owner) || !owner.creator_pid)
		return by;
	by.pid = owner.creator_pid;
	occupant_title(by.pid, by.title, sizeof(by.title));
	return by;
}

/* Not one that ends, nor one that has got the number of such a one. */
static bool is_daemon(const struct occupant *by)
{
	return !strncmp(by->title, "refork: ", strlen("refork: "));
}

/* ---- channel and status ---- */

static int open_status(struct service *s, int wait_ms)
{
	s->status_segment.backend =
		s->conf->arena.backend == CONF_BACKEND_MEMFD
			? RF_BACKEND_MEMFD
			: RF_BACKEND_POSIX; /* what survives is found by name */
	return rf_status_open(
		&s->status_segment, s->conf->refork.name, wait_ms, &s->status);
}

int memory_open_shared(struct service *s, struct fault *fault)
{
	const char *name = s->status_segment.name;
	struct occupant by = {0};
	int rc;

	memory_plan_arena(s);
	kept_receive(s);
	rc = machine_has_room(s, fault);
	if (rc)
		return rc;
	rc = kept_find_status(s, OPEN_WAIT_MS);
	if (rc == -ENOENT)
		rc = open_status(s, 0);
	if (rc == -EWOULDBLOCK) {
		by = find_occupant(&s->status_segment);
		if (!is_daemon(&by))
			rc = open_status(s, OPEN_WAIT_MS);
	}
	if (rc == -EWOULDBLOCK)
		return memory_in_use(
			"status segment", &s->status_segment, &by, fault);
	if (rc)
		return fault_set(fault, fault_code(rc),
			"status segment %s: %zu KiB for it: %s", name,
			sizeof(*s->status) >> 10, strerror(-rc));
	rc = preserve_open(s);
	if (rc) {
		rf_status_close(&s->status_segment, true);
		return fault_set(
			fault, EX_OSERR, "channel segment: %s", strerror(-rc));
	}
	return 0;
}

void memory_close_shared(struct service *s, bool keep)
{
	const struct rf_status_shm *st = s->status;
	/* A start that failed leaves the records of the daemon before. */
	bool found = st->supervisor.pid == 0 && st->crashes.last_id > 0;

	rf_channel_destroy(&s->channel);
	if (!keep && !found && s->stored)
		kept_forget(&s->kept_status);
	rf_status_close(&s->status_segment, keep || found);
}

/* ---- the arena ---- */

/* A segment that is locked: by a daemon that lives, who is named, or by what
 * is left of one that has just died, and will be gone in a moment. */
static int open_locked(struct service *s, struct fault *fault)
{
	struct occupant by = find_occupant(&s->arena);
	int rc;

	if (!is_daemon(&by)) {
		rc = rf_segment_open(&s->arena, OPEN_WAIT_MS);
		if (rc != -EWOULDBLOCK)
			return rc;
	}
	memory_in_use("arena", &s->arena, &by, fault);
	return -EWOULDBLOCK;
}

void memory_plan_path(const struct conf *conf, struct rf_segment *arena)
{
	int bytes;

	if (*conf->arena.path)
		bytes = snprintf(arena->path, sizeof(arena->path), "%s",
			conf->arena.path);
	else
		bytes = snprintf(arena->path, sizeof(arena->path),
			"%s/%s.arena", conf->refork.state_dir,
			conf->refork.name);
	if (bytes >= (int)sizeof(arena->path))
		*arena->path = 0;
}

void memory_plan_arena(struct service *s)
{
	const struct conf *conf = s->conf;
	bool huge = conf->arena.huge_pages == CONF_HUGE_REQUIRE;

	s->arena_conf = (struct rf_arena_conf){
		.size_bytes = conf->arena.size_bytes,
		.max_bytes = conf->arena.max_bytes,
		.worker_name = s->lib.worker.name,
		.state_version = s->lib.worker.state_version,
	};
	s->arena = (struct rf_segment){
		.backend = (enum rf_backend)conf->arena.backend,
		.fd = -1,
		.shmid = -1,
		.max_bytes = rf_arena_segment_bytes(&s->arena_conf),
		.page_bytes = huge ? HUGE_PAGE_BYTES : RF_PAGE_BYTES,
		.reserve = conf->arena.reserve,
		.huge_require = huge,
		.huge_advise = conf->arena.huge_pages == CONF_HUGE_ADVISE,
		.core_include = conf->arena.core == CONF_CORE_INCLUDE,
		.lock_memory = conf->arena.lock_memory,
		.key = (uint32_t)strtoul(conf->arena.key, NULL, 0),
	};
	snprintf(s->arena.name, sizeof(s->arena.name), "/refork-%.50s",
		conf->refork.name);
	if (conf->arena.backend == CONF_BACKEND_SYSV ||
		conf->arena.backend == CONF_BACKEND_FILE)
		memory_plan_path(conf, &s->arena);
}

bool memory_stands(const struct service *s)
{
	struct rf_segment_owner owner;

	if (s->arena.backend == RF_BACKEND_MEMFD)
		return s->kept_arena.count > 0;
	return !rf_segment_owner(&s->arena, &owner) && owner.bytes > 0;
}

static int create_or_open(struct service *s, struct fault *fault)
{
	int rc = rf_segment_create(&s->arena);

	s->arena_adopted = rc == -EEXIST;
	if (s->arena_adopted) {
		s->arena.max_bytes = 0; /* as it stands; adopting judges */
		rc = rf_segment_open(&s->arena, 0);
	}
	return rc == -EWOULDBLOCK ? open_locked(s, fault) : rc;
}

static int open_once(struct service *s, struct fault *fault)
{
	int rc = kept_find_arena(s, OPEN_WAIT_MS, fault);

	if (rc)
		return rc;
	s->arena_adopted = s->arena.fd >= 0;
	rc = s->arena_adopted ? 0 : create_or_open(s, fault);
	/* What stood was removed meanwhile: by who had it, or an operator. */
	for (int i = 0; i < OPEN_TRIES && rc == -ENOENT && s->arena_adopted;
		i++) {
		memory_plan_arena(s);
		rc = create_or_open(s, fault);
	}
	if (rc == -EWOULDBLOCK)
		return fault->exit_code;
	if (rc)
		return memory_not_had(&s->arena,
			s->arena_adopted ? "open" : "create", rc, fault);
	if (s->arena.max_bytes == 0) /* cannot even be mapped */
		return 0;
	rc = rf_segment_map(&s->arena, RF_ARENA_BASE);
	if (rc == -EEXIST)
		return memory_no_address(fault);
	return rc ? memory_not_had(&s->arena, "map", rc, fault) : 0;
}

/* Under our lock, and it never held state: a daemon died while building it. */
static bool is_unfinished(struct service *s)
{
	return s->arena_adopted &&
	       (s->arena.max_bytes == 0 ||
		       rf_arena_is_unfinished(&s->arena, &s->arena_conf));
}

static int open_segment(struct service *s, struct fault *fault)
{
	int rc = open_once(s, fault);
	char place[PLACE_BYTES];

	if (rc || !is_unfinished(s))
		return rc;
	rf_log(RF_LOG_NOTICE,
		"arena %s: a build of it was never finished; making it anew",
		place_of(&s->arena, place));
	rf_segment_unlink(&s->arena);
	rf_segment_close(&s->arena);
	memory_plan_arena(s);
	return open_once(s, fault);
}

/* Before anything of it stands. */
static int prepare(struct service *s, struct fault *fault)
{
	const struct conf *conf = s->conf;
	char file[PLACE_BYTES];
	int rc = 0;

	if (s->arena.backend != RF_BACKEND_POSIX &&
		place_file(&s->arena, file)) {
		if (!*file)
			return fault_set(fault, EX_CONFIG,
				"refork.state_dir: with /%s.arena it is longer "
				"than a path can be: set arena.path",
				conf->refork.name);
		if (!*conf->arena.path)
			rc = directory_make(conf->refork.state_dir);
	}
	if (rc)
		return fault_set(fault, fault_code(rc),
			"refork.state_dir %s: mkdir: %s",
			conf->refork.state_dir, strerror(-rc));
	return machine_has_room(s, fault);
}

static int format(struct service *s, struct fault *fault)
{
	int rc = rf_arena_format(&s->arena, &s->arena_conf);
	char place[PLACE_BYTES];

	if (!rc)
		return 0;
	return fault_set(fault, EX_OSERR,
		"arena %s: %" PRIu64 " MiB to start with: %s; make arena.size "
		"smaller or find it more memory",
		place_of(&s->arena, place), s->conf->arena.size_bytes >> 20,
		strerror(-rc));
}

/* The lease is held. One transaction over migration and build. */
static int build_state(
	struct service *s, uint32_t version_found, struct fault *fault)
{
	const struct rf_worker *worker = &s->lib.worker;
	const char *hook = "build";
	int rc = 0;

	rf_tx_begin();
	if (version_found != worker->state_version) {
		hook = "migrate";
		rf_log(RF_LOG_NOTICE, "migrating state version %u to %u",
			version_found, worker->state_version);
		rc = worker->migrate(version_found);
	}
	if (!rc && worker->build) {
		hook = "build";
		rc = worker->build(&s->env);
	}
	if (rc)
		rf_tx_fail(rc < 0 ? rc : -EINVAL);
	rf_arena_set_state_version(worker->state_version);
	rc = rf_tx_commit();
	if (rc)
		return fault_set(fault, EX_CONFIG,
			"worker %s %s: its `%s` hook: %s; the arena is as it "
			"was before",
			worker->name, worker->version, hook, strerror(-rc));
	rf_arena_publish();
	return 0;
}

static int refuse(struct service *s, const char *reason, struct fault *fault)
{
	if (s->arena.backend == RF_BACKEND_MEMFD)
		return kept_refuse(s, &s->arena, reason, fault);
	return memory_refused(&s->arena, reason, fault);
}

/* Become the holder of the lease of an arena that fits. */
static int enter(struct service *s, uint32_t *version, struct fault *fault)
{
	const struct rf_worker *worker = &s->lib.worker;
	char reason[256] = "";

	*version = worker->state_version;
	s->arena_entered = !s->arena_adopted;
	if (!s->arena_adopted)
		return format(s, fault);
	if (rf_arena_adopt(
		    &s->arena, &s->arena_conf, reason, sizeof(reason), version))
		return refuse(s, reason, fault);
	s->arena_entered = true;
	if (*version == worker->state_version || worker->migrate)
		return 0;
	rf_lease_give();
	snprintf(reason, sizeof(reason),
		"it holds state version %u, worker %s %s needs %u and cannot "
		"migrate",
		*version, worker->name, worker->version, worker->state_version);
	return refuse(s, reason, fault);
}

/* Generations go on where those of an arena before ended. */
static int open_arena(
	struct service *s, uint64_t generation, struct fault *fault)
{
	char place[PLACE_BYTES];
	uint32_t version;
	int rc;

	memory_plan_arena(s);
	s->arena_entered = false;
	rc = prepare(s, fault);
	if (rc)
		return rc;
	rc = open_segment(s, fault);
	if (!rc)
		rc = enter(s, &version, fault);
	if (rc)
		goto err_close;
	if (RF_SUPER->generation < generation)
		rf_arena_set_generation(generation);
	rf_status_set(s->status->business.serving, RF_SUPER->generation);
	rc = build_state(s, version, fault);
	rf_lease_give();
	if (rc)
		goto err_close;
	rf_segment_protect(&s->arena, false);
	s->lib.build_here = false;
	if (s->arena_adopted)
		rf_log_event(RF_EVENT_ARENA_ADOPTED, NULL,
			"took over arena %s as it stood",
			place_of(&s->arena, place));
	return 0;

err_close:
	memory_close_arena(s, s->arena_adopted);
	return rc;
}

int memory_open_arena(struct service *s, struct fault *fault)
{
	int rc = open_arena(s, 0, fault);

	if (!rc)
		preserve_review(s);
	return rc;
}

/* ---- empty state ---- */

/* The number of the last holder of the lease, who may have died before it
 * served. Read from the file: the arena may be damaged, and this process has
 * no access to it. */
static uint64_t last_generation(const struct service *s)
{
	uint64_t served = rf_status_get(s->status->business.serving), held;

	if (rf_segment_read(&s->arena, offsetof(struct rf_super, generation),
		    &held, sizeof(held)))
		return served;
	return held > served && held - served < GENERATION_STEPS_MAX ? held
								     : served;
}

/* Read likewise. Also what a migration has stored and not yet committed. */
uint32_t memory_state_version(const struct service *s)
{
	uint32_t found;

	if (rf_segment_read(&s->arena, offsetof(struct rf_super, state_version),
		    &found, sizeof(found)))
		return s->lib.worker.state_version;
	return found;
}

int memory_cold(struct service *s, struct fault *fault)
{
	uint64_t generation = last_generation(s);
	char place[PLACE_BYTES];
	int rc;

	if (s->arena.fd >= 0) {
		aside_put(s);
		kept_forget(&s->kept_arena);
	}
	rc = open_arena(s, generation, fault);
	if (!rc)
		rf_log(RF_LOG_WARNING,
			"arena %s is new and empty; generations go on from "
			"%" PRIu64,
			place_of(&s->arena, place), generation);
	if (!rc)
		kept_store(s);
	return rc;
}

/* One that was refused is not even said to be whole. */
static void close_kept(struct service *s)
{
	int error = rf_arena_close_whole(&s->arena);
	char place[PLACE_BYTES];

	if (error)
		rf_log(RF_LOG_ERROR,
			"write arena %s to its disk: %s; a next start takes it "
			"over only while this machine runs",
			place_of(&s->arena, place), strerror(-error));
}

static void give_up(struct service *s)
{
	if (s->kept_arena.stored)
		kept_forget(&s->kept_arena);
	rf_segment_unlink(&s->arena);
}

void memory_close_arena(struct service *s, bool keep)
{
	if (s->arena.fd < 0)
		return;
	if (keep && s->arena_entered)
		close_kept(s);
	else if (!keep)
		give_up(s);
	rf_segment_close(&s->arena);
}
