/* SPDX-License-Identifier: MIT */
/* ring_file.h -- crash records in state_dir, between two daemons. */
#ifndef RING_FILE_H
#define RING_FILE_H

#include "common/crash.h"
#include "conf/conf.h"

/* Write all the records that are whole, wait for the disk. 0, or -errno after
 * saying so; a file that stood before is replaced whole, or not at all. Any
 * process may, at any time. */
int ring_file_save(const struct conf *conf, const struct rf_crash_ring *ring);

/* Fill an empty ring. -ENOENT: nothing was kept; -EBADMSG: not what it should
 * be; -errno. The ring is left empty then. */
int ring_file_load(const struct conf *conf, struct rf_crash_ring *ring);

#define RING_FILE_PATH_BYTES (2 * CONF_TEXT_MAX + 16)
void ring_file_path(const struct conf *conf, char path[RING_FILE_PATH_BYTES]);

#endif
