/* SPDX-License-Identifier: MIT */
/* file.c -- a regular file on a disk: the only one that outlives the machine's
 * run.
 *
 * Whether it is whole then is for file_mark.c to say. Here it is made so that
 * it can be found again: its name is on the disk before it is used.
 */
#include "backend.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Extents asked for at once. */
#define EXTENTS 32

/* Of the file that this process has: what the disk answered, once for all. */
static int lost;

static int sync_folder(const char *path)
{
	char folder[sizeof(((struct rf_segment *)0)->path)];
	char *slash;
	int fd, error = 0;

	snprintf(folder, sizeof folder, "%s", path);
	slash = strrchr(folder, '/');
	if (slash == NULL)
		return -EINVAL;
	slash[slash == folder] = 0; /* "/" stays */
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fsync(fd) != 0)
		error = -errno;
	close(fd);
	return error;
}

static int file_create(struct rf_segment *seg)
{
	lost = 0;
	return rf_named_create(seg, rf_open_path);
}

/* One page tells whether the file system can do what back() needs. */
static int file_size(struct rf_segment *seg)
{
	int error = rf_fd_size(seg);

	if (error == 0)
		error = rf_fd_back(seg, 0, RF_PAGE_SMALL);
	return error == 0 ? sync_folder(seg->path) : error;
}

static int file_open(struct rf_segment *seg, int wait_ms)
{
	lost = 0;
	return rf_named_open(seg, wait_ms, rf_open_path);
}

/* Its extents are pages of memory, as those of posix are. */
static bool is_on_tmpfs(const struct rf_segment *seg)
{
	struct statfs fs;

	return fstatfs(seg->fd, &fs) == 0 && fs.f_type == TMPFS_MAGIC;
}

static bool file_tells_untouched(const struct rf_segment *seg)
{
	return !is_on_tmpfs(seg) || rf_fd_tells_untouched(seg);
}

/* lseek() would take what was backed and never written for a hole. */
static bool file_next(const struct rf_segment *seg, size_t off, size_t end,
	struct rf_range *out)
{
	union {
		struct fiemap map;
		uint8_t room[sizeof(struct fiemap) +
			     EXTENTS * sizeof(struct fiemap_extent)];
	} ask;
	const struct fiemap_extent *extent = ask.map.fm_extents;
	size_t from, to;

	memset(&ask, 0, sizeof ask);
	ask.map.fm_start = off;
	ask.map.fm_length = end - off;
	ask.map.fm_extent_count = EXTENTS;
	if (ioctl(seg->fd, FS_IOC_FIEMAP, &ask) != 0)
		return is_on_tmpfs(seg) ? rf_fd_next(seg, off, end, out)
					: rf_all_backed(off, end, out);
	if (ask.map.fm_mapped_extents == 0)
		return false;
	from = to = extent->fe_logical;
	for (uint32_t i = 0; i < ask.map.fm_mapped_extents; i++, extent++)
		if (extent->fe_logical == to)
			to += extent->fe_length;
	if (from < off)
		from = off;
	return rf_all_backed(from, to < end ? to : end, out);
}

/* The kernel tells once that the disk did not take a page: what is lost stays
 * lost, and no later answer may hide it. */
static int file_sync(
	const struct rf_segment *seg, size_t off, size_t bytes, bool wait)
{
	int error;

	do
		error = wait ? fdatasync(seg->fd)
			     : sync_file_range(seg->fd, (off_t)off,
				       (off_t)bytes, SYNC_FILE_RANGE_WRITE);
	while (error != 0 && errno == EINTR);
	if (error != 0 && lost == 0)
		lost = -errno;
	return lost;
}

static int file_owner(
	const struct rf_segment *seg, struct rf_segment_owner *out)
{
	return rf_path_owner(seg->path, out);
}

static void file_place(
	const struct rf_segment *seg, struct rf_segment_place *out)
{
	snprintf(out->path, sizeof out->path, "%s", seg->path);
}

/* Gone for good: after a power loss it would stand there again, and torn. */
static int file_unlink(const struct rf_segment *seg)
{
	if (unlink(seg->path) != 0)
		return -errno;
	sync_folder(seg->path);
	return 0;
}

const struct rf_backend_ops rf_backend_file = {
	.create = file_create,
	.size = file_size,
	.open = file_open,
	.map = rf_fd_map,
	.back = rf_fd_back,
	.punch = rf_fd_punch,
	.next = file_next,
	.tells_untouched = file_tells_untouched,
	.read = rf_fd_read,
	.sync = file_sync,
	.owner = file_owner,
	.place = file_place,
	.find = rf_fd_find,
	.unlink = file_unlink,
};
