/* SPDX-License-Identifier: MIT */
/* machine.c -- what a machine must offer a service, and whether it does.
 *
 * One probe a row, each answering for itself: what was found, whether that is
 * enough for this configuration, and what to do about it. What only makes
 * something slower or a crash harder to understand is advice; it never stands
 * between a configuration and its start.
 */
#include "machine.h"

#include "admission.h"
#include "limits.h"
#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#define MIB(bytes) ((uint64_t)(bytes) >> 20)
/* Mappings of one process: its libraries, the segments, the worker's own. */
#define MAPS_MIN 4096

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

const char *const machine_verdict_names[MACHINE_VERDICT_COUNT] = {
	[MACHINE_FINE] = "ok",
	[MACHINE_ADVICE] = "advice",
	[MACHINE_WARNING] = "warning",
	[MACHINE_PROBLEM] = "problem",
};

static void found(struct machine_finding *f, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static void found(struct machine_finding *f, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(f->found, sizeof(f->found), format, args);
	va_end(args);
}

static void fix(struct machine_finding *f, enum machine_verdict verdict,
	const char *format, ...) __attribute__((format(printf, 3, 4)));
static void fix(struct machine_finding *f, enum machine_verdict verdict,
	const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(f->fix, sizeof(f->fix), format, args);
	va_end(args);
	f->verdict = verdict;
}

static const struct conf *conf_of(const struct machine_asked *a)
{
	return a->service->conf;
}

/* The first line of a small file; false when there is none. */
static bool line_of(const char *path, char *text, int bytes)
{
	FILE *file = fopen(path, "re");
	bool got = file && fgets(text, bytes, file);

	if (file)
		fclose(file);
	if (got)
		text[strcspn(text, "\n")] = 0;
	return got;
}

/* ---- kernel ---- */

static void probe_kernel(
	const struct machine_asked *a, struct machine_finding *f)
{
	struct utsname system;
	int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	bool ranges = syscall(SYS_close_range, ~0U, ~0U, 0) == 0;

	(void)a;
	uname(&system);
	found(f, "%.64s %.64s", system.sysname, system.release);
	if (pidfd >= 0)
		close(pidfd);
	if (pidfd < 0 || !ranges)
		fix(f, MACHINE_PROBLEM,
			"%s does not work here; it takes Linux 5.9 or later, "
			"and no filter of system calls that refuses it",
			pidfd < 0 ? "pidfd_open" : "close_range");
}

static void probe_pinning(
	const struct machine_asked *a, struct machine_finding *f)
{
	int fd = memfd_create("refork-probe", MFD_CLOEXEC | MFD_EXEC);

	(void)a;
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("refork-probe", MFD_CLOEXEC);
	found(f, "%s", fd < 0 ? strerror(errno) : "memory can be run");
	if (fd < 0)
		fix(f, MACHINE_ADVICE,
			"the worker's file is loaded itself and must stay as "
			"it is; sysctl vm.memfd_noexec=1 lets it be pinned");
	else
		close(fd);
}

static void probe_overcommit(
	const struct machine_asked *a, struct machine_finding *f)
{
	char mode[16] = "";

	(void)a;
	line_of("/proc/sys/vm/overcommit_memory", mode, sizeof(mode));
	found(f, "vm.overcommit_memory %s", mode);
	if (!strcmp(mode, "2"))
		fix(f, MACHINE_ADVICE,
			"a fork may be refused while there is memory; sysctl "
			"vm.overcommit_memory=0");
}

static void probe_map_count(
	const struct machine_asked *a, struct machine_finding *f)
{
	char count[24] = "";

	(void)a;
	line_of("/proc/sys/vm/max_map_count", count, sizeof(count));
	found(f, "vm.max_map_count %s", count);
	if (*count && atol(count) < MAPS_MIN)
		fix(f, MACHINE_ADVICE, "sysctl vm.max_map_count=65530");
}

/* ---- memory ---- */

static void probe_room(const struct machine_asked *a, struct machine_finding *f)
{
	const struct conf *conf = conf_of(a);
	struct fault fault;
	struct statvfs fs;

	if (conf->arena.backend != CONF_BACKEND_POSIX) {
		found(f, "not used by arena.backend memfd");
		return;
	}
	if (statvfs(SEGMENT_DIR, &fs) == 0)
		found(f, "%" PRIu64 " MiB free of %" PRIu64,
			MIB(fs.f_bavail * fs.f_frsize),
			MIB(fs.f_blocks * fs.f_frsize));
	if (!a->running && memory_probe_room(a->service, &fault))
		fix(f, MACHINE_PROBLEM, "%.255s", fault.text);
	else if (fs.f_blocks &&
		 fs.f_blocks * fs.f_frsize < conf->arena.max_bytes)
		fix(f, MACHINE_ADVICE,
			"the arena cannot reach arena.max (%" PRIu64
			" MiB): mount -o remount,size=... " SEGMENT_DIR,
			MIB(conf->arena.max_bytes));
}

static void probe_system_v(
	const struct machine_asked *a, struct machine_finding *f)
{
	char max[32] = "?", all[32] = "?";

	(void)a;
	line_of("/proc/sys/kernel/shmmax", max, sizeof(max));
	line_of("/proc/sys/kernel/shmall", all, sizeof(all));
	found(f, "SHMMAX %s, SHMALL %s; not used", max, all);
}

static void probe_huge_pages(
	const struct machine_asked *a, struct machine_finding *f)
{
	static const char path[] =
		"/sys/kernel/mm/transparent_hugepage/shmem_enabled";
	char modes[128] = "not known to this kernel";

	line_of(path, modes, sizeof(modes));
	found(f, "%s", modes);
	if (conf_of(a)->arena.huge_pages == CONF_HUGE_NEVER ||
		strstr(modes, "[advise]") || strstr(modes, "[always]") ||
		strstr(modes, "[within_size]") || strstr(modes, "[force]"))
		return;
	fix(f, MACHINE_ADVICE,
		"the arena gets no huge pages, forks and restarts take "
		"longer: echo advise > %s, or arena.huge_pages = never",
		path);
}

static void probe_locked_memory(
	const struct machine_asked *a, struct machine_finding *f)
{
	uint64_t needed = conf_of(a)->arena.max_bytes;
	struct rlimit limit = {0};

	getrlimit(RLIMIT_MEMLOCK, &limit);
	if (limit.rlim_max == RLIM_INFINITY)
		found(f, "unlimited");
	else
		found(f, "RLIMIT_MEMLOCK %" PRIu64 " KiB",
			(uint64_t)limit.rlim_max >> 10);
	if (conf_of(a)->arena.lock_memory && geteuid() != 0 &&
		limit.rlim_max < needed)
		fix(f, MACHINE_PROBLEM,
			"arena.lock_memory: arena.max is %" PRIu64
			" MiB, RLIMIT_MEMLOCK allows %" PRIu64
			" MiB; raise it (ulimit -Hl, LimitMEMLOCK= in the "
			"unit) or set lock_memory = no",
			MIB(needed), MIB(limit.rlim_max));
}

static void probe_address_space(
	const struct machine_asked *a, struct machine_finding *f)
{
	struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};

	getrlimit(RLIMIT_AS, &limit);
	if (limit.rlim_cur == RLIM_INFINITY) {
		found(f, "unlimited");
		return;
	}
	found(f, "RLIMIT_AS %" PRIu64 " MiB", MIB(limit.rlim_cur));
	if (limit.rlim_cur < conf_of(a)->arena.max_bytes)
		fix(f, MACHINE_PROBLEM,
			"arena.max is %" PRIu64 " MiB: ulimit -v unlimited "
			"(LimitAS= in the unit)",
			MIB(conf_of(a)->arena.max_bytes));
}

/* ---- sockets ---- */

static void probe_files(
	const struct machine_asked *a, struct machine_finding *f)
{
	uint64_t needed = limits_files_needed(conf_of(a));
	struct rlimit limit = {0};
	uint64_t allowed;

	prlimit(a->network_pid, RLIMIT_NOFILE, NULL, &limit);
	allowed = a->network_pid ? limit.rlim_cur : limit.rlim_max;
	found(f, "RLIMIT_NOFILE %" PRIu64, allowed);
	if (allowed >= needed || (!a->network_pid && geteuid() == 0))
		return;
	fix(f, MACHINE_PROBLEM,
		"network.max_clients %" PRIu64 " needs %" PRIu64
		" descriptors, RLIMIT_NOFILE allows %" PRIu64
		"; raise it (ulimit -Hn, LimitNOFILE= in the unit) or lower "
		"max_clients",
		conf_of(a)->network.max_clients, needed, allowed);
}

static void probe_backlog(
	const struct machine_asked *a, struct machine_finding *f)
{
	char max[24] = "";

	if (!line_of("/proc/sys/net/core/somaxconn", max, sizeof(max))) {
		found(f, "net.core.somaxconn cannot be seen");
		return;
	}
	found(f, "net.core.somaxconn %s", max);
	if (strtoull(max, NULL, 10) < conf_of(a)->network.backlog)
		fix(f, MACHINE_ADVICE,
			"network.backlog %" PRIu64
			" is cut to that: sysctl net.core.somaxconn=%" PRIu64,
			conf_of(a)->network.backlog,
			conf_of(a)->network.backlog);
}

/* ---- crashes ---- */

static void probe_core_files(
	const struct machine_asked *a, struct machine_finding *f)
{
	char pattern[160] = "?";
	struct rlimit limit = {0};

	(void)a;
	line_of("/proc/sys/kernel/core_pattern", pattern, sizeof(pattern));
	getrlimit(RLIMIT_CORE, &limit);
	found(f, "kernel.core_pattern %s, RLIMIT_CORE %s", pattern,
		limit.rlim_cur == 0		  ? "0"
		: limit.rlim_cur == RLIM_INFINITY ? "unlimited"
						  : "limited");
	if (limit.rlim_cur == 0)
		fix(f, MACHINE_ADVICE,
			"crashes leave no core file: ulimit -c unlimited "
			"(LimitCORE=infinity in the unit)");
}

/* A named segment counts as a file's memory, a memfd as anonymous. */
static void probe_core_filter(
	const struct machine_asked *a, struct machine_finding *f)
{
	const struct conf *conf = conf_of(a);
	unsigned long wanted =
		conf->arena.backend == CONF_BACKEND_POSIX ? 0x8 : 0x2;
	char filter[24] = "";

	if (!line_of("/proc/self/coredump_filter", filter, sizeof(filter))) {
		found(f, "no core dumps in this kernel");
		return;
	}
	found(f, "coredump_filter 0x%lx", strtoul(filter, NULL, 16));
	if (conf->arena.core == CONF_CORE_INCLUDE &&
		!(strtoul(filter, NULL, 16) & wanted))
		fix(f, MACHINE_ADVICE,
			"arena.core = include, but the kernel leaves such "
			"memory out: echo 0x%lx > /proc/self/coredump_filter "
			"before the start (CoredumpFilter= in the unit)",
			strtoul(filter, NULL, 16) | wanted);
}

static void probe_ptrace(
	const struct machine_asked *a, struct machine_finding *f)
{
	char scope[8] = "0";

	(void)a;
	line_of("/proc/sys/kernel/yama/ptrace_scope", scope, sizeof(scope));
	found(f, "kernel.yama.ptrace_scope %s", scope);
	if (*scope == '3' || (*scope == '2' && geteuid() != 0))
		fix(f, MACHINE_ADVICE,
			"the stack of a hung process cannot be read before it "
			"is ended: sysctl kernel.yama.ptrace_scope=1");
}

/* ---- directories ---- */

/* The directory itself, or the nearest one above it that exists. */
static bool can_have(const char *dir, char path[CONF_TEXT_MAX + 1])
{
	char *slash;

	strcpy(path, dir);
	while (access(path, F_OK) && (slash = strrchr(path, '/')) &&
		slash != path)
		*slash = 0;
	return access(path, W_OK | X_OK) == 0;
}

static void probe_runtime_dir(
	const struct machine_asked *a, struct machine_finding *f)
{
	const char *wanted = conf_of(a)->refork.runtime_dir;
	char path[CONF_TEXT_MAX + 1];

	found(f, "%.200s", wanted);
	if (!can_have(wanted, path))
		fix(f, MACHINE_PROBLEM,
			"refork.runtime_dir: %.100s: %s; make it writable for "
			"this user or choose another",
			path, strerror(errno));
}

/* A file without a name shows that the disk takes bytes; where there are no
 * such files, the permission has to do. */
static int write_there(const char *dir)
{
	static const char page[4096];
	int fd = open(dir, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	ssize_t n;

	if (fd < 0)
		return errno == EOPNOTSUPP || errno == EISDIR ? 0 : -errno;
	n = write(fd, page, sizeof(page));
	close(fd);
	return n == (ssize_t)sizeof(page) ? 0 : n < 0 ? -errno : -ENOSPC;
}

static void probe_state_dir(
	const struct machine_asked *a, struct machine_finding *f)
{
	const char *wanted = conf_of(a)->refork.state_dir;
	char path[CONF_TEXT_MAX + 1];
	int rc = can_have(wanted, path) ? write_there(path) : -errno;

	found(f, "%.200s", wanted);
	if (rc)
		fix(f, MACHINE_PROBLEM,
			"refork.state_dir: %.90s: %s: crash records and "
			"quarantined requests would be lost; make it writable "
			"for this user or choose another",
			path, strerror(-rc));
}

static void probe_on_crash_exec(
	const struct machine_asked *a, struct machine_finding *f)
{
	const char *path = conf_of(a)->crash.on_crash_exec;
	struct stat st;
	int error = 0;

	found(f, "%.200s", *path ? path : "none");
	if (!*path)
		return;
	if (stat(path, &st) || access(path, X_OK))
		error = errno;
	else if (!S_ISREG(st.st_mode))
		error = EACCES;
	if (error)
		fix(f, MACHINE_PROBLEM,
			"crash.on_crash_exec: %.100s: %s; name a program that "
			"this user may run",
			path, strerror(error));
}

/* ---- who is let in ---- */

static void probe_exposure(
	const struct machine_asked *a, struct machine_finding *f)
{
	const struct conf *conf = conf_of(a);
	const char *open_to = admission_open_to(conf);

	found(f, "%.200s", open_to ? open_to : "only from this machine");
	if (!open_to || *conf->kv.requirepass_file)
		return;
	fix(f, MACHINE_WARNING,
		"network.listen %.60s: no AUTH: whoever reaches it may do "
		"everything%s",
		open_to,
		conf->business.allow_crash_test
			? ", and with business.allow_crash_test end the "
			  "process at will: set that to no"
			: ": listen on 127.0.0.1, set kv.requirepass_file, or "
			  "see to the firewall");
}

static void probe_password(
	const struct machine_asked *a, struct machine_finding *f)
{
	const char *path = conf_of(a)->kv.requirepass_file;
	const char *flaw = *path ? admission_password_flaw(path) : NULL;

	found(f, "%.200s", *path ? path : "none");
	if (flaw)
		fix(f, MACHINE_PROBLEM,
			"kv.requirepass_file: %.100s: %s; without a password "
			"there it does not start",
			path, flaw);
	else if (admission_password_is_shown(path))
		fix(f, MACHINE_WARNING,
			"kv.requirepass_file: every user of this machine may "
			"read it: chmod o= %.100s",
			path);
}

/* ---- all of them ---- */

static const struct {
	const char *name;
	void (*probe)(const struct machine_asked *a, struct machine_finding *f);
} probes[] = {
	{"kernel", probe_kernel},
	{"runtime_dir", probe_runtime_dir},
	{"state_dir", probe_state_dir},
	{"shared memory", probe_room},
	{"system v memory", probe_system_v},
	{"address space", probe_address_space},
	{"locked memory", probe_locked_memory},
	{"huge pages", probe_huge_pages},
	{"overcommit", probe_overcommit},
	{"mappings", probe_map_count},
	{"descriptors", probe_files},
	{"backlog", probe_backlog},
	{"exposure", probe_exposure},
	{"password", probe_password},
	{"worker pinning", probe_pinning},
	{"on_crash_exec", probe_on_crash_exec},
	{"core files", probe_core_files},
	{"core filter", probe_core_filter},
	{"stack capture", probe_ptrace},
};

bool machine_probe(
	int index, const struct machine_asked *a, struct machine_finding *f)
{
	if (index < 0 || (size_t)index >= sizeof(probes) / sizeof(*probes))
		return false;
	*f = (struct machine_finding){.name = probes[index].name};
	probes[index].probe(a, f);
	return true;
}
