/* SPDX-License-Identifier: MIT */
/* confine.c -- what a child gives up before it meets its first client.
 *
 * The problem. The network process reads what strangers send, the business
 * process runs a worker that somebody wrote: either may be made to do what
 * nobody meant. What they can do then is what the kernel lets them.
 * The idea. Each child needs little, and is made by a process that has opened
 * all of it. So it gives up the rest, in an order in which each step is still
 * allowed:
 *
 *   no_new_privs    no program that it might start has more rights
 *   capabilities    root's powers                            rights.c
 *   landlock        files, TCP, signals to others            land.c
 *   seccomp         system calls                             filter.c, calls.c
 *
 *               files                    TCP   signals  calls
 *   network     lists /proc, no more     none  own      allow-list
 *   basic       runs none                any   own      deny-list
 *   strict      changes none, but for    none  own      deny-list, no sockets
 *               quarantined requests
 *
 * Each of them is for good and passed on. What a kernel does not have is said
 * once and done without: the service is worth more than its fence.
 *
 * An instrumented build (sanitizers, coverage) needs what is given up here:
 * it writes reports, starts programs, looks at itself.
 */
#include "confine.h"

#include "common/quarantine.h"
#include "conf/conf.h"
#include "filter.h"
#include "land.h"
#include "rights.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <refork/log.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define CAP(name) (UINT64_C(1) << CAP_##name)

/* What a worker that runs as root may go on with: its files, its memory, its
 * time. */
#define CAPS_BASIC                                                             \
	(CAP(CHOWN) | CAP(DAC_OVERRIDE) | CAP(DAC_READ_SEARCH) | CAP(FOWNER) | \
		CAP(FSETID) | CAP(IPC_LOCK) | CAP(IPC_OWNER) | CAP(SYS_NICE) | \
		CAP(SYS_RESOURCE) | CAP(NET_BIND_SERVICE) | CAP(LEASE))
#define CAPS_STRICT (CAP(IPC_LOCK) | CAP(SYS_NICE))

struct fence {
	const char *who;
	uint64_t capabilities;
	struct land land;
	const struct calls *calls;
};

/* Present when what they begin is linked in. */
extern void __asan_init(void) __attribute__((weak));
extern void __tsan_init(void) __attribute__((weak));
extern void __msan_init(void) __attribute__((weak));
extern void __gcov_dump(void) __attribute__((weak));

static bool is_instrumented(void)
{
	return __asan_init || __tsan_init || __msan_init || __gcov_dump;
}

static int enter_calls(const struct fence *fence)
{
	struct filter *filter = malloc(sizeof(*filter));
	int rc;

	if (!filter)
		return -ENOMEM;
	rc = filter_build(filter, fence->calls);
	if (!rc)
		rc = filter_enter(filter);
	free(filter);
	return rc;
}

/* Of all children made by one daemon, the first one says it. */
static uint32_t keep(const struct rf_child *self, const struct fence *fence,
	uint32_t part, const char *name, int rc)
{
	uint32_t *told = &self->status->confine_told;

	if (!rc)
		return part;
	if (!(__atomic_fetch_or(told, part, __ATOMIC_RELAXED) & part))
		rf_log(RF_LOG_WARNING,
			"%s child: %s: %s; it goes on without, and so do "
			"those after it (reforkctl doctor)",
			fence->who, name, strerror(-rc));
	return 0;
}

static uint32_t enter(const struct rf_child *self, const struct fence *fence)
{
	uint32_t done = 0;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) {
		keep(self, fence, RF_CONFINED_CALLS, "no_new_privs", -errno);
		return 0;
	}
	done |= keep(self, fence, RF_CONFINED_RIGHTS, "capset",
		rights_keep(fence->capabilities));
	done |= keep(self, fence, RF_CONFINED_FILES, "landlock",
		land_enter(&fence->land));
	done |= keep(
		self, fence, RF_CONFINED_CALLS, "seccomp", enter_calls(fence));
	return done;
}

static int open_place(const char *path)
{
	return open(path, O_PATH | O_CLOEXEC);
}

static void let(struct land *land, int fd, uint64_t fs)
{
	land->rules[land->rule_count++] = (struct land_rule){fs, fd};
}

static void close_places(const struct land *land)
{
	for (int i = 0; i < land->rule_count; i++)
		if (land->rules[i].fd >= 0)
			close(land->rules[i].fd);
}

uint32_t confine_network(const struct rf_child *self)
{
	struct fence fence = {
		.who = "network",
		.land = {.fs = LAND_ALL,
			.net = LAND_NET_BIND | LAND_NET_CONNECT,
			.scope = LAND_SCOPE_SIGNAL},
		.calls = &calls_network,
	};
	uint32_t done;

	if (!self->conf->network.confine || is_instrumented())
		return 0;
	let(&fence.land, open_place("/proc"), LAND_READ_DIR);
	done = enter(self, &fence);
	close_places(&fence.land);
	return done;
}

/* Where it writes requests that killed. */
static int open_quarantine(const struct rf_child *self)
{
	int fd = rf_quarantine_dir(self->conf->refork.state_dir,
		self->conf->refork.name, true, NULL);

	return fd < 0 ? -1 : fd;
}

uint32_t confine_business(const struct rf_child *self)
{
	bool strict = self->conf->business.confine == CONF_CONFINE_STRICT;
	struct fence fence = {
		.who = "business",
		.capabilities = strict ? CAPS_STRICT : CAPS_BASIC,
		.land = {.fs = strict ? LAND_CHANGE : LAND_EXECUTE,
			.net = strict ? LAND_NET_BIND | LAND_NET_CONNECT : 0,
			.scope = LAND_SCOPE_SIGNAL},
		.calls = strict ? &calls_strict : &calls_basic,
	};
	uint32_t done;

	if (self->conf->business.confine == CONF_CONFINE_OFF ||
		is_instrumented())
		return 0;
	if (strict) {
		let(&fence.land, open_quarantine(self), LAND_CHANGE);
		let(&fence.land, open_place("/dev/null"), LAND_WRITE_FILE);
	}
	done = enter(self, &fence);
	close_places(&fence.land);
	return done;
}
