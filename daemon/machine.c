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
#include "machine_row.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

/* Mappings of one process: its libraries, the segments, the worker's own. */
#define MAPS_MIN 4096

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

const char *machine_root = "";

const char *const machine_verdict_names[MACHINE_VERDICT_COUNT] = {
	[MACHINE_FINE] = "ok",
	[MACHINE_ADVICE] = "advice",
	[MACHINE_WARNING] = "warning",
	[MACHINE_PROBLEM] = "problem",
};

void machine_found(struct machine_finding *f, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(f->found, sizeof(f->found), format, args);
	va_end(args);
}

void machine_fix(struct machine_finding *f, enum machine_verdict verdict,
	const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(f->fix, sizeof(f->fix), format, args);
	va_end(args);
	f->verdict = verdict;
}

bool machine_line(const char *path, char *text, int bytes)
{
	char where[256];
	FILE *file;
	bool got;

	snprintf(where, sizeof(where), "%s%s", machine_root, path);
	file = fopen(where, "re");
	got = file && fgets(text, bytes, file);
	if (file)
		fclose(file);
	if (got)
		text[strcspn(text, "\n")] = 0;
	return got;
}

bool machine_can_have(const char *dir, char path[CONF_TEXT_MAX + 1])
{
	char *slash;

	strcpy(path, dir);
	while (access(path, F_OK) && path[1] && (slash = strrchr(path, '/')))
		slash[slash == path] = 0; /* "/" is the last */
	return access(path, W_OK | X_OK) == 0;
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
	machine_found(f, "%.64s %.64s", system.sysname, system.release);
	if (pidfd >= 0)
		close(pidfd);
	if (pidfd < 0 || !ranges)
		machine_fix(f, MACHINE_PROBLEM,
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
	machine_found(f, "%s", fd < 0 ? strerror(errno) : "memory can be run");
	if (fd < 0)
		machine_fix(f, MACHINE_ADVICE,
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
	machine_line("/proc/sys/vm/overcommit_memory", mode, sizeof(mode));
	machine_found(f, "vm.overcommit_memory %s", mode);
	if (!strcmp(mode, "2"))
		machine_fix(f, MACHINE_ADVICE,
			"a fork may be refused while there is memory; sysctl "
			"vm.overcommit_memory=0");
}

static void probe_map_count(
	const struct machine_asked *a, struct machine_finding *f)
{
	char count[24] = "";

	(void)a;
	machine_line("/proc/sys/vm/max_map_count", count, sizeof(count));
	machine_found(f, "vm.max_map_count %s", count);
	if (*count && atol(count) < MAPS_MIN)
		machine_fix(f, MACHINE_ADVICE, "sysctl vm.max_map_count=65530");
}

/* ---- sockets ---- */

static void probe_files(
	const struct machine_asked *a, struct machine_finding *f)
{
	uint64_t needed = limits_files_needed(machine_conf(a));
	struct rlimit limit = {0};
	uint64_t allowed;

	prlimit(a->network_pid, RLIMIT_NOFILE, NULL, &limit);
	allowed = a->network_pid ? limit.rlim_cur : limit.rlim_max;
	machine_found(f, "RLIMIT_NOFILE %" PRIu64, allowed);
	if (allowed >= needed || (!a->network_pid && geteuid() == 0))
		return;
	machine_fix(f, MACHINE_PROBLEM,
		"network.max_clients %" PRIu64 " needs %" PRIu64
		" descriptors, RLIMIT_NOFILE allows %" PRIu64
		"; raise it (ulimit -Hn, LimitNOFILE= in the unit) or lower "
		"max_clients",
		machine_conf(a)->network.max_clients, needed, allowed);
}

static void probe_backlog(
	const struct machine_asked *a, struct machine_finding *f)
{
	char max[24] = "";

	if (!machine_line("/proc/sys/net/core/somaxconn", max, sizeof(max))) {
		machine_found(f, "net.core.somaxconn cannot be seen");
		return;
	}
	machine_found(f, "net.core.somaxconn %s", max);
	if (strtoull(max, NULL, 10) < machine_conf(a)->network.backlog)
		machine_fix(f, MACHINE_ADVICE,
			"network.backlog %" PRIu64
			" is cut to that: sysctl net.core.somaxconn=%" PRIu64,
			machine_conf(a)->network.backlog,
			machine_conf(a)->network.backlog);
}

/* ---- crashes ---- */

static void probe_core_files(
	const struct machine_asked *a, struct machine_finding *f)
{
	char pattern[160] = "?";
	struct rlimit limit = {0};

	(void)a;
	machine_line("/proc/sys/kernel/core_pattern", pattern, sizeof(pattern));
	getrlimit(RLIMIT_CORE, &limit);
	machine_found(f, "kernel.core_pattern %s, RLIMIT_CORE %s", pattern,
		limit.rlim_cur == 0		  ? "0"
		: limit.rlim_cur == RLIM_INFINITY ? "unlimited"
						  : "limited");
	if (limit.rlim_cur == 0)
		machine_fix(f, MACHINE_ADVICE,
			"crashes leave no core file: ulimit -c unlimited "
			"(LimitCORE=infinity in the unit)");
}

static void probe_ptrace(
	const struct machine_asked *a, struct machine_finding *f)
{
	char scope[8] = "0";

	(void)a;
	machine_line(
		"/proc/sys/kernel/yama/ptrace_scope", scope, sizeof(scope));
	machine_found(f, "kernel.yama.ptrace_scope %s", scope);
	if (*scope == '3' || (*scope == '2' && geteuid() != 0))
		machine_fix(f, MACHINE_ADVICE,
			"the stack of a hung process cannot be read before it "
			"is ended: sysctl kernel.yama.ptrace_scope=1");
}

/* ---- directories ---- */

static void probe_runtime_dir(
	const struct machine_asked *a, struct machine_finding *f)
{
	const char *wanted = machine_conf(a)->refork.runtime_dir;
	char path[CONF_TEXT_MAX + 1];

	machine_found(f, "%.200s", wanted);
	if (!machine_can_have(wanted, path))
		machine_fix(f, MACHINE_PROBLEM,
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
	const char *wanted = machine_conf(a)->refork.state_dir;
	char path[CONF_TEXT_MAX + 1];
	int rc = machine_can_have(wanted, path) ? write_there(path) : -errno;

	machine_found(f, "%.200s", wanted);
	if (rc)
		machine_fix(f, MACHINE_PROBLEM,
			"refork.state_dir: %.90s: %s: crash records and "
			"quarantined requests would be lost; make it writable "
			"for this user or choose another",
			path, strerror(-rc));
}

static void probe_on_crash_exec(
	const struct machine_asked *a, struct machine_finding *f)
{
	const char *path = machine_conf(a)->crash.on_crash_exec;
	struct stat st;
	int error = 0;

	machine_found(f, "%.200s", *path ? path : "none");
	if (!*path)
		return;
	if (stat(path, &st) || access(path, X_OK))
		error = errno;
	else if (!S_ISREG(st.st_mode))
		error = EACCES;
	if (error)
		machine_fix(f, MACHINE_PROBLEM,
			"crash.on_crash_exec: %.100s: %s; name a program that "
			"this user may run",
			path, strerror(error));
}

/* ---- who is let in ---- */

static void probe_exposure(
	const struct machine_asked *a, struct machine_finding *f)
{
	const struct conf *conf = machine_conf(a);
	const char *open_to = admission_open_to(
		conf, a->service->listeners, a->service->listener_count);

	machine_found(
		f, "%.200s", open_to ? open_to : "only from this machine");
	if (!open_to || *conf->kv.requirepass_file)
		return;
	machine_fix(f, MACHINE_WARNING,
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
	const char *path = machine_conf(a)->kv.requirepass_file;
	const char *flaw = *path ? admission_password_flaw(path) : NULL;

	machine_found(f, "%.200s", *path ? path : "none");
	if (flaw)
		machine_fix(f, MACHINE_PROBLEM,
			"kv.requirepass_file: %.100s: %s; without a password "
			"there it does not start",
			path, flaw);
	else if (admission_password_is_shown(path))
		machine_fix(f, MACHINE_WARNING,
			"kv.requirepass_file: every user of this machine may "
			"read it: chmod o= %.100s",
			path);
}

/* ---- all of them ---- */

static const struct machine_row first_rows[] =
	{
		{"kernel", probe_kernel, 0},
		{"runtime_dir", probe_runtime_dir, 0},
		{"state_dir", probe_state_dir, 0},
},
				last_rows[] = {
					{"overcommit", probe_overcommit, 0},
					{"mappings", probe_map_count, 0},
					{"descriptors", probe_files, 0},
					{"backlog", probe_backlog, 0},
					{"exposure", probe_exposure, 0},
					{"password", probe_password, 0},
					{"worker pinning", probe_pinning, 0},
					{"on_crash_exec", probe_on_crash_exec,
						0},
					{"core files", probe_core_files, 0},
					{"stack capture", probe_ptrace, 0},
};

static const struct machine_row *row(int index)
{
	const struct {
		const struct machine_row *rows;
		int count;
	} groups[] = {
		{first_rows, sizeof(first_rows) / sizeof(*first_rows)},
		{machine_memory_rows, machine_memory_row_count},
		{machine_confine_rows, machine_confine_row_count},
		{last_rows, sizeof(last_rows) / sizeof(*last_rows)},
	};

	for (size_t i = 0; i < sizeof(groups) / sizeof(*groups); i++) {
		if (index >= 0 && index < groups[i].count)
			return &groups[i].rows[index];
		index -= groups[i].count;
	}
	return NULL;
}

bool machine_probe(
	int index, const struct machine_asked *a, struct machine_finding *f)
{
	const struct machine_row *r = index < 0 ? NULL : row(index);

	if (!r)
		return false;
	*f = (struct machine_finding){.name = r->name};
	r->probe(a, f);
	return true;
}

int machine_has_room(const struct service *service, struct fault *fault)
{
	const struct machine_asked asked = {.service = service};
	struct machine_finding f;

	for (int i = 0; i < machine_memory_row_count; i++) {
		const struct machine_row *r = &machine_memory_rows[i];

		if (!r->needed)
			continue;
		f = (struct machine_finding){.name = r->name};
		r->probe(&asked, &f);
		if (f.verdict == MACHINE_PROBLEM)
			return fault_set(fault, EX_OSERR, "%s", f.fix);
	}
	return 0;
}
