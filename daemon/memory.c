/* SPDX-License-Identifier: MIT */
/* memory.c -- the segments of a service, the arena above all.
 *
 * A posix arena outlives its daemon when that is killed. The next start finds
 * it by name and takes it over, or refuses and says why: it is never emptied,
 * because only the operator knows what it is worth.
 *
 *   name is free             create, format, build
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
#include "common/super.h"

#include <errno.h>
#include <inttypes.h>
#include <refork/log.h>
#include <refork/tx.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* A daemon just killed may still be giving back its memory. */
#define OPEN_WAIT_MS 3000
/* A number further from that of the last child that served is damage. */
#define GENERATION_STEPS_MAX 1000000

_Static_assert((int)CONF_BACKEND_POSIX == (int)RF_BACKEND_POSIX &&
		       (int)CONF_BACKEND_MEMFD == (int)RF_BACKEND_MEMFD,
	"the ini names the backends of segment.h");

/* ---- who is in the way ---- */

/* The process that locked this file, from /proc/locks; 0: not found. */
static int lock_owner(const struct stat *st)
{
	FILE *locks = fopen("/proc/locks", "re");
	char line[256];
	unsigned int maj, min;
	uint64_t ino;
	int pid, owner = 0;

	while (locks && !owner && fgets(line, sizeof(line), locks))
		if (sscanf(line, "%*s FLOCK %*s %*s %d %x:%x:%" SCNu64, &pid,
			    &maj, &min, &ino) == 4 &&
			ino == st->st_ino && maj == major(st->st_dev) &&
			min == minor(st->st_dev))
			owner = pid;
	if (locks)
		fclose(locks);
	return owner;
}

/* The first string of its command line: a title. Empty when it is gone, or a
 * zombie. */
static void process_title(int pid, char *title, size_t bytes)
{
	char path[64];
	FILE *file;
	size_t n;

	*title = 0;
	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	file = fopen(path, "re");
	if (!file)
		return;
	n = fread(title, 1, bytes - 1, file);
	title[n] = 0;
	fclose(file);
}

struct holder {
	int pid;	 /* 0: not found */
	char title[128]; /* empty: it is ending, or cannot be seen */
};

static struct holder find_holder(const char *segment)
{
	struct holder holder = {0};
	char path[128];
	struct stat st;

	snprintf(path, sizeof(path), SEGMENT_DIR "%s", segment);
	if (!stat(path, &st))
		holder.pid = lock_owner(&st);
	if (holder.pid)
		process_title(holder.pid, holder.title, sizeof(holder.title));
	return holder;
}

static int in_use(const char *what, const char *segment,
	const struct holder *holder, struct fault *fault)
{
	char who[192] = "a process that cannot be named";

	if (*holder->title)
		snprintf(who, sizeof(who), "process %d (%s)", holder->pid,
			holder->title);
	return fault_set(fault, EX_OSERR,
		"%s " SEGMENT_DIR
		"%s is in use by %s: two daemons must not share one; "
		"stop that one or give this one another refork.name",
		what, segment, who);
}

/* ---- channel and status ---- */

static int open_status(struct service *s, int wait_ms)
{
	s->status_segment.backend = (enum rf_backend)s->conf->arena.backend;
	return rf_status_open(
		&s->status_segment, s->conf->refork.name, wait_ms, &s->status);
}

int memory_open_shared(struct service *s, struct fault *fault)
{
	const char *name = s->status_segment.name;
	struct holder holder = {0};
	int rc = open_status(s, 0);

	if (rc == -EWOULDBLOCK) {
		holder = find_holder(name);
		if (!*holder.title)
			rc = open_status(s, OPEN_WAIT_MS);
	}
	if (rc == -EWOULDBLOCK)
		return in_use("status segment", name, &holder, fault);
	if (rc)
		return fault_set(fault, fault_code(rc),
			"status segment %s: %zu KiB for it: %s", name,
			sizeof(*s->status) >> 10, strerror(-rc));
	/* Room for what a reload may raise max_request to: it is sparse. */
	rc = rf_channel_create(&s->channel, s->conf->refork.name,
		CONF_REQUEST_BYTES_MAX, s->conf->network.max_reply_bytes);
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
	rf_status_close(&s->status_segment, keep || found);
}

/* ---- the arena ---- */

/* A segment that is locked: by a daemon that lives, who is named, or by what
 * is left of one that has just died, and will be gone in a moment. */
static int open_locked(struct service *s, struct fault *fault)
{
	struct holder holder = find_holder(s->arena.name);
	int rc;

	if (!*holder.title) {
		rc = rf_segment_open(&s->arena, OPEN_WAIT_MS);
		if (rc != -EWOULDBLOCK)
			return rc;
	}
	in_use("arena", s->arena.name, &holder, fault);
	return -EWOULDBLOCK;
}

/* What stands where the arena must be. */
static int address_fault(struct fault *fault)
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

void memory_plan_arena(struct service *s)
{
	const struct conf *conf = s->conf;

	s->arena_conf = (struct rf_arena_conf){
		.size_bytes = conf->arena.size_bytes,
		.max_bytes = conf->arena.max_bytes,
		.worker_name = s->lib.worker.name,
		.state_version = s->lib.worker.state_version,
	};
	s->arena = (struct rf_segment){
		.backend = (enum rf_backend)conf->arena.backend,
		.fd = -1,
		.max_bytes = rf_arena_segment_bytes(&s->arena_conf),
		.huge_advise = conf->arena.huge_pages == CONF_HUGE_ADVISE,
		.core_include = conf->arena.core == CONF_CORE_INCLUDE,
		.lock_memory = conf->arena.lock_memory,
	};
	snprintf(s->arena.name, sizeof(s->arena.name), "/refork-%.50s",
		conf->refork.name);
}

static int refused(struct service *s, struct fault *fault, const char *reason)
{
	return fault_set(fault, EX_CONFIG,
		"arena " SEGMENT_DIR "%s does not fit: %s. It is left as it "
		"is. Run what made it, or give up its content: "
		"rm " SEGMENT_DIR "%s",
		s->arena.name, reason, s->arena.name);
}

static int open_once(struct service *s, struct fault *fault)
{
	int rc = rf_segment_create(&s->arena);

	s->arena_adopted = rc == -EEXIST;
	if (s->arena_adopted)
		rc = rf_segment_open(&s->arena, 0);
	if (rc == -EWOULDBLOCK)
		rc = open_locked(s, fault);
	if (rc == -EWOULDBLOCK)
		return fault->exit_code;
	if (rc)
		return fault_set(fault, fault_code(rc),
			"%s arena " SEGMENT_DIR "%s: %s",
			s->arena_adopted ? "open" : "create", s->arena.name,
			strerror(-rc));
	if (s->arena.max_bytes == 0) /* cannot even be mapped */
		return 0;
	rc = rf_segment_map(&s->arena, RF_ARENA_BASE);
	if (rc == -EEXIST)
		return address_fault(fault);
	if (rc)
		return fault_set(fault, EX_OSERR, "map arena %s: %s",
			s->arena.name, strerror(-rc));
	return 0;
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

	if (rc || !is_unfinished(s))
		return rc;
	rf_log(RF_LOG_NOTICE,
		"arena " SEGMENT_DIR "%s: a build of it was never finished; "
		"making it anew",
		s->arena.name);
	rf_segment_unlink(&s->arena);
	rf_segment_close(&s->arena);
	memory_plan_arena(s);
	return open_once(s, fault);
}

/* fallocate() on a tmpfs fills it before it finds that there is not enough. */
int memory_probe_room(const struct service *s, struct fault *fault)
{
	uint64_t wanted = s->conf->arena.size_bytes, room;
	char path[128];
	struct statvfs fs;
	struct stat st;

	if (s->arena.backend != RF_BACKEND_POSIX)
		return 0;
	if (statvfs(SEGMENT_DIR, &fs))
		return fault_set(fault, fault_code(errno),
			"arena.backend posix: " SEGMENT_DIR
			": %s; mount a tmpfs there or use memfd",
			strerror(errno));
	room = (uint64_t)fs.f_bavail * fs.f_frsize;
	snprintf(path, sizeof(path), SEGMENT_DIR "%s", s->arena.name);
	if (!stat(path, &st)) /* what stands is taken over */
		room += (uint64_t)st.st_blocks * 512;
	if (fs.f_blocks == 0 || room >= wanted) /* 0: a tmpfs without limit */
		return 0;
	return fault_set(fault, EX_OSERR,
		"arena.size is %" PRIu64 " MiB, " SEGMENT_DIR " has %" PRIu64
		" MiB free: %s; make that larger (mount -o remount,size=...) "
		"or arena.size smaller",
		wanted >> 20, room >> 20, strerror(ENOSPC));
}

static int format(struct service *s, struct fault *fault)
{
	int rc = memory_probe_room(s, fault);

	if (rc)
		return rc;
	rc = rf_arena_format(&s->arena, &s->arena_conf);
	if (!rc)
		return 0;
	return fault_set(fault, EX_OSERR,
		"arena %s: %" PRIu64 " MiB to start with: %s; make arena.size "
		"smaller or find it more memory",
		s->arena.name, s->conf->arena.size_bytes >> 20, strerror(-rc));
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

/* Become the holder of the lease of an arena that fits. */
static int enter(struct service *s, uint32_t *version, struct fault *fault)
{
	const struct rf_worker *worker = &s->lib.worker;
	char reason[256] = "";

	*version = worker->state_version;
	if (!s->arena_adopted)
		return format(s, fault);
	if (rf_arena_adopt(
		    &s->arena, &s->arena_conf, reason, sizeof(reason), version))
		return refused(s, fault, reason);
	if (*version == worker->state_version || worker->migrate)
		return 0;
	rf_lease_give();
	snprintf(reason, sizeof(reason),
		"it holds state version %u, worker %s %s needs %u and cannot "
		"migrate",
		*version, worker->name, worker->version, worker->state_version);
	return refused(s, fault, reason);
}

/* Generations go on where those of an arena before ended. */
static int open_arena(
	struct service *s, uint64_t generation, struct fault *fault)
{
	uint32_t version;
	int rc;

	memory_plan_arena(s);
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
		rf_log(RF_LOG_NOTICE,
			"took over arena " SEGMENT_DIR "%s as it stood",
			s->arena.name);
	return 0;

err_close:
	memory_close_arena(s, s->arena_adopted);
	return rc;
}

int memory_open_arena(struct service *s, struct fault *fault)
{
	return open_arena(s, 0, fault);
}

/* ---- empty state ---- */

/* The number of the last holder of the lease, who may have died before it
 * served. Read from the file: the arena may be damaged, and this process has
 * no access to it. */
static uint64_t last_generation(const struct service *s)
{
	uint64_t served = rf_status_get(s->status->business.serving), held;

	if (pread(s->arena.fd, &held, sizeof(held),
		    offsetof(struct rf_super, generation)) != sizeof(held))
		return served;
	return held > served && held - served < GENERATION_STEPS_MAX ? held
								     : served;
}

/* Read likewise. Also what a migration has stored and not yet committed. */
uint32_t memory_state_version(const struct service *s)
{
	uint32_t found;

	if (pread(s->arena.fd, &found, sizeof(found),
		    offsetof(struct rf_super, state_version)) != sizeof(found))
		return s->lib.worker.state_version;
	return found;
}

int memory_cold(struct service *s, struct fault *fault)
{
	uint64_t generation = last_generation(s);
	int rc;

	if (s->arena.fd >= 0)
		aside_put(s);
	rc = open_arena(s, generation, fault);
	if (!rc)
		rf_log(RF_LOG_WARNING,
			"arena %s is new and empty; generations go on from "
			"%" PRIu64,
			s->arena.name, generation);
	return rc;
}

void memory_close_arena(struct service *s, bool keep)
{
	if (s->arena.fd < 0)
		return;
	if (!keep)
		rf_segment_unlink(&s->arena);
	rf_segment_close(&s->arena);
}
