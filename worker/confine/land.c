/* SPDX-License-Identifier: MIT */
/* land.c -- landlock: which files and sockets of the system can be reached.
 *
 * What a version does not know is left out: an older kernel refuses less. The
 * structs are the kernel's; its header is often older than the kernel.
 */
#include "land.h"

#include <errno.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_landlock_create_ruleset /* the same on all machines */
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule	    445
#define SYS_landlock_restrict_self  446
#endif

#define ASK_VERSION  1u
#define PATH_BENEATH 1

struct ruleset {
	uint64_t fs, net, scope;
};

struct path_beneath {
	uint64_t fs;
	int32_t fd;
} __attribute__((packed));

/* What came with each version. */
static const struct ruleset since[] = {
	{0, 0, 0},
	{(UINT64_C(1) << 13) - 1, 0, 0},
	{UINT64_C(1) << 13, 0, 0}, /* rename into another directory */
	{LAND_TRUNCATE, 0, 0},
	{0, LAND_NET_BIND | LAND_NET_CONNECT, 0},
	{UINT64_C(1) << 15, 0, 0}, /* ioctl on devices */
	{0, 0, LAND_SCOPE_SIGNAL},
};
#define NEWEST ((int)(sizeof(since) / sizeof(*since)) - 1)

int land_version(void)
{
	long version =
		syscall(SYS_landlock_create_ruleset, NULL, 0, ASK_VERSION);

	return version > 0 ? (int)version : 0;
}

static struct ruleset known_to(int version)
{
	struct ruleset all = {0};

	for (int i = 0; i <= version && i <= NEWEST; i++) {
		all.fs |= since[i].fs;
		all.net |= since[i].net;
		all.scope |= since[i].scope;
	}
	return all;
}

static int add_rules(int set, const struct land *land, uint64_t handled)
{
	for (int i = 0; i < land->rule_count; i++) {
		struct path_beneath rule = {
			.fs = land->rules[i].fs & handled,
			.fd = land->rules[i].fd,
		};

		if (rule.fd >= 0 && rule.fs &&
			syscall(SYS_landlock_add_rule, set, PATH_BENEATH, &rule,
				0))
			return -errno;
	}
	return 0;
}

int land_enter(const struct land *land)
{
	struct ruleset known = known_to(land_version());
	struct ruleset handled = {
		.fs = land->fs & known.fs,
		.net = land->net & known.net,
		.scope = land->scope & known.scope,
	};
	int set, rc;

	if (!known.fs)
		return -ENOSYS;
	set = (int)syscall(
		SYS_landlock_create_ruleset, &handled, sizeof(handled), 0);
	if (set < 0)
		return -errno;
	rc = add_rules(set, land, handled.fs);
	if (!rc && syscall(SYS_landlock_restrict_self, set, 0))
		rc = -errno;
	close(set);
	return rc;
}
