/* SPDX-License-Identifier: MIT */
/* aside_file.h -- an arena without a name, written to a file. */
#ifndef ASIDE_FILE_H
#define ASIDE_FILE_H

#include "common/segment.h"

/* Write all of `from` that has memory to a new file, closed as a stop closes
 * one: a daemon with arena.backend = file starts from it. Either the whole of
 * it stands at `path` afterwards, on the disk, or nothing.
 *
 * from     open; needs no mapping; nobody changes a byte meanwhile
 * live     absolute: LIVE.part is written to meanwhile
 * path     in the same folder; nothing stands there
 * Returns  0; -ENOSPC, -ENAMETOOLONG, -errno
 * Cost     the time the disk takes; the watchdog is fed meanwhile */
int aside_file_write(
	const struct rf_segment *from, const char *live, const char *path);

#endif
