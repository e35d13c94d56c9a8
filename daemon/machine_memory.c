/* SPDX-License-Identifier: MIT */
/* machine_memory.c -- what the machine must offer the arena.
 *
 * A row that is `needed` is asked before anything is made: half a start later
 * the same want would be a signal, or an errno that names nothing. Of an arena
 * that stands already, what it holds is not asked for again.
 */
#include "machine_row.h"

#include "common/channel.h"
#include "common/super.h"
#include "limits.h"
#include "memory.h"
#include "place.h"

#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MIB(bytes) (((uint64_t)(bytes) + ((1 << 20) - 1)) >> 20)
#define POOL	   "/sys/kernel/mm/hugepages/hugepages-2048kB/"

static uint64_t number_of(const char *path)
{
	char text[32] = "0";

	machine_line(path, text, sizeof(text));
	return strtoull(text, NULL, 10);
}

/* ---- what is needed ---- */

static bool is_backend(const struct machine_asked *a, enum conf_backend backend)
{
	return machine_conf(a)->arena.backend == (int)backend;
}

static uint64_t whole_bytes(const struct machine_asked *a)
{
	return a->service->arena.max_bytes;
}

/* What the arena takes when it is made: heap and its page map, log. */
static uint64_t first_bytes(const struct machine_asked *a)
{
	const struct conf *conf = machine_conf(a);
	uint64_t size = conf->arena.size_bytes;

	if (conf->arena.reserve || is_backend(a, CONF_BACKEND_SYSV))
		return whole_bytes(a);
	return size + (size >> RF_PAGE_SHIFT) * (sizeof(struct rf_run) + 4);
}

/* "arena.size 16 MiB takes 17 MiB": with log and page map. */
static const char *first_words(const struct machine_asked *a, char text[80])
{
	const struct conf *conf = machine_conf(a);
	bool whole = conf->arena.reserve;

	snprintf(text, 80, "%s %" PRIu64 " MiB takes %" PRIu64 " MiB",
		whole ? "arena.max" : "arena.size",
		MIB(whole ? conf->arena.max_bytes : conf->arena.size_bytes),
		MIB(first_bytes(a)));
	return text;
}

/* Adopting it takes no more than it has. */
static bool stands(const struct machine_asked *a)
{
	return a->running || memory_stands(a->service);
}

/* ---- /dev/shm ---- */

static void probe_shm(const struct machine_asked *a, struct machine_finding *f)
{
	uint64_t needed = first_bytes(a), max = whole_bytes(a), all, free;
	struct statvfs fs;
	char words[80];

	if (!is_backend(a, CONF_BACKEND_POSIX)) {
		machine_found(f, "not used by arena.backend %s",
			place_backends[machine_conf(a)->arena.backend]);
		return;
	}
	if (statvfs(SEGMENT_DIR, &fs)) {
		machine_found(f, "%s", strerror(errno));
		machine_fix(f, MACHINE_PROBLEM,
			"arena.backend posix: " SEGMENT_DIR
			": %s; mount a tmpfs there (mount -t tmpfs "
			"tmpfs " SEGMENT_DIR ") or use memfd",
			strerror(errno));
		return;
	}
	all = (uint64_t)fs.f_blocks * fs.f_frsize;
	free = (uint64_t)fs.f_bavail * fs.f_frsize;
	machine_found(
		f, "%" PRIu64 " MiB free of %" PRIu64, free >> 20, all >> 20);
	if (all && free < needed && !stands(a)) /* 0: without a limit */
		machine_fix(f, MACHINE_PROBLEM,
			"%s, " SEGMENT_DIR " has %" PRIu64
			" MiB free: mount -o remount,size=%" PRIu64
			"M " SEGMENT_DIR
			" (of a container: docker run --shm-size=%" PRIu64
			"m), or make it smaller",
			first_words(a, words), free >> 20,
			MIB(all - free + needed), MIB(all - free + needed));
	else if (all && all < max)
		machine_fix(f, MACHINE_ADVICE,
			"the arena cannot reach arena.max (%" PRIu64
			" MiB): mount -o remount,size=%" PRIu64 "M " SEGMENT_DIR
			" (of a container: docker run --shm-size=%" PRIu64 "m)",
			MIB(machine_conf(a)->arena.max_bytes), MIB(max),
			MIB(max));
}

/* ---- System V ---- */

/* Not asked of a segment that stands. */
static bool is_sysv(const struct machine_asked *a, struct machine_finding *f,
	const char *name, uint64_t limit)
{
	bool used = is_backend(a, CONF_BACKEND_SYSV);

	machine_found(
		f, "%s %" PRIu64 "%s", name, limit, used ? "" : "; not used");
	return used && !stands(a);
}

static void probe_shmmax(
	const struct machine_asked *a, struct machine_finding *f)
{
	uint64_t max = number_of("/proc/sys/kernel/shmmax");

	if (is_sysv(a, f, "SHMMAX", max) && max < whole_bytes(a))
		machine_fix(f, MACHINE_PROBLEM,
			"arena.size: one System V segment of %" PRIu64
			" bytes is needed, SHMMAX allows %" PRIu64
			": sysctl kernel.shmmax=%" PRIu64
			", or make it smaller",
			whole_bytes(a), max, whole_bytes(a));
}

static void probe_shmall(
	const struct machine_asked *a, struct machine_finding *f)
{
	uint64_t all = number_of("/proc/sys/kernel/shmall");
	uint64_t needed = whole_bytes(a) / RF_PAGE_BYTES;
	struct shm_info used = {0};

	shmctl(0, SHM_INFO, (void *)&used);
	if (is_sysv(a, f, "SHMALL", all) && all < used.shm_tot + needed)
		machine_fix(f, MACHINE_PROBLEM,
			"arena.size: %" PRIu64
			" pages of System V memory are needed, SHMALL is "
			"%" PRIu64 " and %lu are taken (ipcs -m): sysctl "
			"kernel.shmall=%" PRIu64 ", or make it smaller",
			needed, all, used.shm_tot, used.shm_tot + needed);
}

static void probe_shmmni(
	const struct machine_asked *a, struct machine_finding *f)
{
	uint64_t all = number_of("/proc/sys/kernel/shmmni");
	struct shm_info used = {0};

	shmctl(0, SHM_INFO, (void *)&used);
	if (is_sysv(a, f, "SHMMNI", all) && all < (uint64_t)used.used_ids + 1)
		machine_fix(f, MACHINE_PROBLEM,
			"arena.backend sysv: SHMMNI allows %" PRIu64
			" segments and %d stand (ipcs -m): sysctl "
			"kernel.shmmni=%d",
			all, used.used_ids, used.used_ids + 1);
}

/* ---- a file ---- */

/* Without storage below it a file is gone with the machine's run. */
static bool is_of_memory(const char *path)
{
	struct statfs fs;

	return !statfs(path, &fs) &&
	       (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
}

/* Where the file is to stand. False after saying why not there. */
static bool find_directory(const struct machine_asked *a,
	struct machine_finding *f, char path[CONF_TEXT_MAX + 1],
	struct statvfs *fs)
{
	const char *file = a->service->arena.path;
	char text[CONF_TEXT_MAX + 1], *dir;

	machine_found(f, "%.200s", file);
	snprintf(text, sizeof(text), "%s", file);
	dir = dirname(text);
	if (!machine_can_have(dir, path) || statvfs(path, fs)) {
		machine_fix(f, MACHINE_PROBLEM,
			"arena.path: %.200s: %s; make it writable for this "
			"user or choose another",
			path, strerror(errno));
		return false;
	}
	/* Of a path that was typed no directories are made. */
	if (*machine_conf(a)->arena.path && access(dir, F_OK)) {
		machine_fix(f, MACHINE_PROBLEM,
			"arena.path: %.120s: %s: mkdir -p %.120s", dir,
			strerror(errno), dir);
		return false;
	}
	return true;
}

static void judge_disk(const struct machine_asked *a, struct machine_finding *f,
	const char *path, uint64_t free)
{
	char words[80];

	if (free < first_bytes(a) && !stands(a))
		machine_fix(f, MACHINE_PROBLEM,
			"%s, the file system of %.160s has %" PRIu64
			" MiB free: free some (df -h %.40s), choose another "
			"arena.path, or make it smaller",
			first_words(a, words), path, free >> 20, path);
	else if (is_of_memory(path))
		machine_fix(f, MACHINE_WARNING,
			"arena.path: %.200s is memory, not a disk: the state "
			"is gone when the machine stops",
			path);
	else if (free < whole_bytes(a) && !machine_conf(a)->arena.reserve)
		machine_fix(f, MACHINE_ADVICE,
			"the arena may not reach arena.max (%" PRIu64
			" MiB): free some of the disk below %.160s, or choose "
			"another arena.path",
			MIB(machine_conf(a)->arena.max_bytes), path);
}

static void probe_disk(const struct machine_asked *a, struct machine_finding *f)
{
	char path[CONF_TEXT_MAX + 1];
	struct statvfs fs;
	uint64_t free;

	if (!*a->service->arena.path) {
		machine_found(f, "not used by arena.backend %s",
			place_backends[machine_conf(a)->arena.backend]);
		return;
	}
	if (!find_directory(a, f, path, &fs) ||
		is_backend(a, CONF_BACKEND_SYSV))
		return;
	free = (uint64_t)fs.f_bavail * fs.f_frsize;
	machine_found(f, "%" PRIu64 " MiB free for %.180s", free >> 20,
		a->service->arena.path);
	judge_disk(a, f, path, free);
}

/* The largest of the files that are made, of memory or on a disk. */
static uint64_t file_bytes(const struct machine_asked *a)
{
	return whole_bytes(a) > RF_FRONT_BYTES ? whole_bytes(a)
					       : RF_FRONT_BYTES;
}

/* A file that exceeds it is a signal. */
static void probe_file_size(
	const struct machine_asked *a, struct machine_finding *f)
{
	struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};

	getrlimit(RLIMIT_FSIZE, &limit);
	if (limit.rlim_max == RLIM_INFINITY) {
		machine_found(f, "unlimited");
		return;
	}
	machine_found(f, "RLIMIT_FSIZE %" PRIu64 " MiB",
		(uint64_t)limit.rlim_max >> 20);
	if (limit.rlim_max < file_bytes(a))
		machine_fix(f, MACHINE_PROBLEM,
			"arena.max: sparse files of up to %" PRIu64
			" MiB are made, of memory, too; RLIMIT_FSIZE allows "
			"%" PRIu64
			" MiB: ulimit -f unlimited (LimitFSIZE= in the unit)",
			MIB(file_bytes(a)), (uint64_t)limit.rlim_max >> 20);
}

/* ---- memory ---- */

/* CAP_IPC_LOCK: root of a container commonly has it not. */
static bool may_lock_all(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3] = {0};

	return syscall(SYS_capget, &head, caps) == 0 &&
	       caps[0].effective & 1U << CAP_IPC_LOCK;
}

static void probe_locked_memory(
	const struct machine_asked *a, struct machine_finding *f)
{
	uint64_t needed = whole_bytes(a);
	struct rlimit limit = {0};

	getrlimit(RLIMIT_MEMLOCK, &limit);
	if (limit.rlim_max == RLIM_INFINITY)
		machine_found(f, "unlimited");
	else
		machine_found(f, "RLIMIT_MEMLOCK %" PRIu64 " KiB",
			(uint64_t)limit.rlim_max >> 10);
	if (machine_conf(a)->arena.lock_memory && !may_lock_all() &&
		limit.rlim_max < needed)
		machine_fix(f, MACHINE_PROBLEM,
			"arena.lock_memory: the arena takes up to %" PRIu64
			" MiB, RLIMIT_MEMLOCK allows %" PRIu64
			" MiB: ulimit -l %" PRIu64
			" (LimitMEMLOCK=infinity in the unit), or set "
			"lock_memory = no",
			MIB(needed), (uint64_t)limit.rlim_max >> 20,
			needed >> 10);
}

static void probe_address_space(
	const struct machine_asked *a, struct machine_finding *f)
{
	struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};

	getrlimit(RLIMIT_AS, &limit);
	if (limit.rlim_cur == RLIM_INFINITY) {
		machine_found(f, "unlimited");
		return;
	}
	machine_found(
		f, "RLIMIT_AS %" PRIu64 " MiB", (uint64_t)limit.rlim_cur >> 20);
	if (limit.rlim_cur < whole_bytes(a) + RF_FRONT_BYTES)
		machine_fix(f, MACHINE_PROBLEM,
			"arena.max: %" PRIu64
			" MiB of address space are taken, %" PRIu64
			" of them to give each connection its place: ulimit -v "
			"unlimited (LimitAS= in the unit)",
			MIB(whole_bytes(a) + RF_FRONT_BYTES),
			MIB(RF_FRONT_BYTES));
}

static uint64_t meminfo_bytes(const char *key)
{
	char path[256], line[128];
	uint64_t kib = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/proc/meminfo", machine_root);
	file = fopen(path, "re");
	while (file && !kib && fgets(line, sizeof(line), file))
		if (!strncmp(line, key, strlen(key)))
			kib = strtoull(line + strlen(key), NULL, 10);
	if (file)
		fclose(file);
	return kib << 10;
}

static void probe_reserve(
	const struct machine_asked *a, struct machine_finding *f)
{
	const struct conf *conf = machine_conf(a);
	uint64_t free = meminfo_bytes("MemAvailable:");
	uint64_t swap = meminfo_bytes("SwapFree:");

	machine_found(f, "%" PRIu64 " MiB available", free >> 20);
	if (conf->arena.reserve && free + swap < whole_bytes(a) &&
		conf->arena.huge_pages != CONF_HUGE_REQUIRE && !stands(a) &&
		!is_backend(a, CONF_BACKEND_FILE))
		machine_fix(f, MACHINE_PROBLEM,
			"arena.reserve: it takes %" PRIu64
			" MiB at the start, %" PRIu64
			" MiB are available (free -m): end what takes them, "
			"make arena.max smaller, or set reserve = no",
			MIB(whole_bytes(a)), (free + swap) >> 20);
}

/* ---- huge pages ---- */

static void probe_transparent(
	const struct machine_asked *a, struct machine_finding *f)
{
	static const char path[] =
		"/sys/kernel/mm/transparent_hugepage/shmem_enabled";
	char modes[128] = "not known to this kernel";

	machine_line(path, modes, sizeof(modes));
	machine_found(f, "%s", modes);
	if (machine_conf(a)->arena.huge_pages != CONF_HUGE_ADVISE ||
		is_backend(a, CONF_BACKEND_FILE) || strstr(modes, "[advise]") ||
		strstr(modes, "[always]") || strstr(modes, "[within_size]") ||
		strstr(modes, "[force]"))
		return;
	machine_fix(f, MACHINE_ADVICE,
		"the arena gets no huge pages, forks and restarts take "
		"longer: echo advise > %s, or arena.huge_pages = never",
		path);
}

static uint64_t huge_pages(uint64_t bytes)
{
	return (bytes + HUGE_PAGE_BYTES - 1) / HUGE_PAGE_BYTES;
}

/* Superblock with log, page map, run entries and heap begin on pages of their
 * own. */
#define HUGE_PARTS 4

static void probe_pool(const struct machine_asked *a, struct machine_finding *f)
{
	uint64_t all = number_of(POOL "nr_hugepages");
	uint64_t free = number_of(POOL "free_hugepages");
	uint64_t promised = number_of(POOL "resv_hugepages");
	uint64_t more = number_of(POOL "nr_overcommit_hugepages");
	uint64_t needed = huge_pages(first_bytes(a)) + HUGE_PARTS;
	uint64_t whole = huge_pages(whole_bytes(a));
	char words[80];

	if (needed > whole)
		needed = whole;
	free = free > promised ? free - promised : 0;
	machine_found(
		f, "%" PRIu64 " free of %" PRIu64 " (2 MiB each)", free, all);
	if (machine_conf(a)->arena.huge_pages != CONF_HUGE_REQUIRE || stands(a))
		return;
	if (free + more < needed)
		machine_fix(f, MACHINE_PROBLEM,
			"arena.huge_pages = require: %" PRIu64
			" pages of 2 MiB are needed (%s, in parts that begin "
			"pages of their own), the pool has "
			"%" PRIu64 " free: sysctl vm.nr_hugepages=%" PRIu64
			", or huge_pages = advise",
			needed, first_words(a, words), free + more,
			all - free + needed);
	else if (free + more < whole)
		machine_fix(f, MACHINE_ADVICE,
			"the arena cannot reach arena.max: sysctl "
			"vm.nr_hugepages=%" PRIu64,
			all - free + whole);
}

/* ---- write guard ---- */

static void probe_guard(
	const struct machine_asked *a, struct machine_finding *f)
{
	int key = pkey_alloc(0, 0), error = errno;

	if (key >= 0)
		pkey_free(key);
	machine_found(f, "%s", key < 0 ? strerror(error) : "protection keys");
	if (key < 0 && machine_conf(a)->arena.guard == CONF_GUARD_PKEY)
		machine_fix(f, MACHINE_PROBLEM,
			"arena.guard = pkey: this processor or kernel has no "
			"protection keys (%s): use auto or off",
			strerror(error));
}

/* ---- all of them ---- */

const struct machine_row machine_memory_rows[] = {
	{"shared memory", probe_shm, true},
	{"SHMMAX", probe_shmmax, true},
	{"SHMALL", probe_shmall, true},
	{"SHMMNI", probe_shmmni, true},
	{"disk", probe_disk, true},
	{"file size", probe_file_size, true},
	{"address space", probe_address_space, true},
	{"available memory", probe_reserve, true},
	{"locked memory", probe_locked_memory, true},
	{"huge page pool", probe_pool, true},
	{"huge pages", probe_transparent, false},
	{"write guard", probe_guard, true},
};
const int machine_memory_row_count =
	sizeof(machine_memory_rows) / sizeof(*machine_memory_rows);
