/* SPDX-License-Identifier: MIT */
/* posix.c -- shm_open(): a name in /dev/shm, which outlives every process. */
#include "backend.h"
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>

#define SHM_DIR "/dev/shm"

static int open_name(const struct rf_segment *seg, int flags)
{
	return shm_open(seg->name, flags, 0600);
}

static int posix_create(struct rf_segment *seg)
{
	return rf_named_create(seg, open_name);
}

static int posix_open(struct rf_segment *seg, int wait_ms)
{
	return rf_named_open(seg, wait_ms, open_name);
}

static int posix_owner(
	const struct rf_segment *seg, struct rf_segment_owner *out)
{
	char path[sizeof SHM_DIR + sizeof seg->name];

	snprintf(path, sizeof path, SHM_DIR "%s", seg->name);
	return rf_path_owner(path, out);
}

static void posix_place(
	const struct rf_segment *seg, struct rf_segment_place *out)
{
	snprintf(out->path, sizeof out->path, SHM_DIR "%s", seg->name);
}

static int posix_unlink(const struct rf_segment *seg)
{
	return shm_unlink(seg->name) == 0 ? 0 : -errno;
}

const struct rf_backend_ops rf_backend_posix = {
	.create = posix_create,
	.size = rf_fd_size,
	.open = posix_open,
	.map = rf_fd_map,
	.back = rf_fd_back,
	.punch = rf_fd_punch,
	.next = rf_fd_next,
	.read = rf_fd_read,
	.owner = posix_owner,
	.place = posix_place,
	.find = rf_fd_find,
	.unlink = posix_unlink,
	.tells_untouched = rf_fd_tells_untouched,
};
