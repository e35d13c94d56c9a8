/* SPDX-License-Identifier: MIT */
/* directory.c -- a directory of a daemon's own. */
#include "directory.h"

#include "conf/conf.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

int directory_make(const char *path)
{
	char part[CONF_TEXT_MAX + 1];

	snprintf(part, sizeof(part), "%s", path);
	for (char *slash = strchr(part + 1, '/'); slash;
		slash = strchr(slash + 1, '/')) {
		*slash = 0;
		mkdir(part, 0755); /* the last one tells */
		*slash = '/';
	}
	return mkdir(part, 0700) && errno != EEXIST ? -errno : 0;
}
