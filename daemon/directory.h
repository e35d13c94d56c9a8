/* SPDX-License-Identifier: MIT */
/* directory.h -- a directory of a daemon's own. */
#ifndef DIRECTORY_H
#define DIRECTORY_H

/* Make it, for this user only, and what is missing above it. 0, also when it
 * is there already, or -errno. */
int directory_make(const char *path);

#endif
