/* SPDX-License-Identifier: MIT */
/* limits.c -- what the system must allow this process. */
#include "limits.h"

#include <errno.h>
#include <inttypes.h>
#include <refork/log.h>
#include <string.h>
#include <sys/resource.h>

#define OWN_FILES 64 /* listeners, segments, bells, loop; generously */

uint64_t limits_files_needed(const struct conf *conf)
{
	return conf->network.max_clients + OWN_FILES;
}

void limits_raise_files(const struct conf *conf)
{
	rlim_t needed = limits_files_needed(conf);
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= needed)
		return;
	if (limit.rlim_max < needed) {
		/* Root may; else take what there is. */
		struct rlimit higher = {needed, needed};

		if (!setrlimit(RLIMIT_NOFILE, &higher))
			return;
		rf_log(RF_LOG_WARNING,
			"network.max_clients %" PRIu64 " needs %" PRIu64
			" descriptors, RLIMIT_NOFILE allows %" PRIu64
			": clients beyond it will be refused",
			conf->network.max_clients, (uint64_t)needed,
			(uint64_t)limit.rlim_max);
		needed = limit.rlim_max;
	}
	limit.rlim_cur = needed;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		rf_log(RF_LOG_WARNING, "raise RLIMIT_NOFILE: %s",
			strerror(errno));
}

static void raise_to_most(__rlimit_resource_t resource)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(resource, &limit);
}

void limits_raise_memory(void)
{
	raise_to_most(RLIMIT_FSIZE);
	raise_to_most(RLIMIT_MEMLOCK);
}
