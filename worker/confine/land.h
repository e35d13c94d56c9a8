/* SPDX-License-Identifier: MIT */
/* land.h -- landlock: which files and sockets of the system can be reached. */
#ifndef LAND_H
#define LAND_H

#include <stdint.h>

#define LAND_EXECUTE	 (UINT64_C(1) << 0)
#define LAND_WRITE_FILE	 (UINT64_C(1) << 1)
#define LAND_READ_FILE	 (UINT64_C(1) << 2)
#define LAND_READ_DIR	 (UINT64_C(1) << 3)
#define LAND_REMOVE_DIR	 (UINT64_C(1) << 4)
#define LAND_REMOVE_FILE (UINT64_C(1) << 5)
#define LAND_MAKE_REG	 (UINT64_C(1) << 8)
#define LAND_TRUNCATE	 (UINT64_C(1) << 14)
#define LAND_ALL	 ((UINT64_C(1) << 16) - 1)
#define LAND_READ	 (LAND_READ_FILE | LAND_READ_DIR)
/* All that changes something; but for sockets and devices that are open. */
#define LAND_CHANGE (LAND_ALL & ~LAND_READ & ~(UINT64_C(1) << 15))

#define LAND_NET_BIND	 UINT64_C(1)
#define LAND_NET_CONNECT UINT64_C(2)

/* Signals to processes outside. (Not abstract unix sockets: who writes a
 * process down, as criu does, speaks to it over one.) */
#define LAND_SCOPE_SIGNAL UINT64_C(2)

/* What is handled is refused, but for what `rules` give back. */
struct land {
	uint64_t fs, net, scope;
	struct land_rule {
		uint64_t fs;
		int fd; /* a directory, and all below it; -1: none */
	} rules[4];
	int rule_count;
};

/* The version that this kernel has; 0: none. */
int land_version(void);

/* Put it in force, as far as this kernel knows it. Needs no_new_privs. Returns
 * 0, -ENOSYS, -EOPNOTSUPP (switched off), -errno. */
int land_enter(const struct land *land);

#endif
