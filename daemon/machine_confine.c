/* SPDX-License-Identifier: MIT */
/* machine_confine.c -- what the kernel has to confine children with. */
#include "machine_row.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LANDLOCK_CREATE_RULESET 444 /* on all machines */
#define LANDLOCK_ASK_VERSION	1u

/* Each version as far as something is missing in it; the last one is whole. */
static const char *const lacks[] = {
	[0] = "files", /* not there at all */
	[1] = "cutting files short, TCP, signals",
	[2] = "cutting files short, TCP, signals",
	[3] = "TCP, signals",
	[4] = "signals",
	[5] = "signals",
};
#define WHOLE ((long)(sizeof(lacks) / sizeof(*lacks)))

static bool is_wanted(const struct conf *conf)
{
	return conf->network.confine ||
	       conf->business.confine != CONF_CONFINE_OFF;
}

static void probe_landlock(
	const struct machine_asked *a, struct machine_finding *f)
{
	long version =
		syscall(LANDLOCK_CREATE_RULESET, NULL, 0, LANDLOCK_ASK_VERSION);

	if (version > 0)
		machine_found(f, "landlock ABI %ld", version);
	else
		machine_found(f, "no landlock: %s", strerror(errno));
	if (version >= WHOLE || !is_wanted(machine_conf(a)))
		return;
	machine_fix(f, MACHINE_ADVICE,
		"children are not kept from %s by it; it takes %s",
		lacks[version > 0 ? version : 0],
		version > 0 ? "a newer kernel (6.12)"
			    : "Linux 5.13 with landlock in its lsm= list");
}

/* The program that is asked for stands nowhere: where there are filters, that
 * is the complaint. */
static void probe_seccomp(
	const struct machine_asked *a, struct machine_finding *f)
{
	bool has = prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL) == 0 ||
		   errno == EFAULT;

	machine_found(f, "%s",
		has ? "system calls can be filtered" : strerror(errno));
	if (!has && is_wanted(machine_conf(a)))
		machine_fix(f, MACHINE_ADVICE,
			"children may make any system call; it takes a kernel "
			"with CONFIG_SECCOMP_FILTER");
}

const struct machine_row machine_confine_rows[] = {
	{"landlock", probe_landlock, 0},
	{"seccomp", probe_seccomp, 0},
};
const int machine_confine_row_count =
	sizeof(machine_confine_rows) / sizeof(*machine_confine_rows);
