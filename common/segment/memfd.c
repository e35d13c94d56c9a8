/* SPDX-License-Identifier: MIT */
/* memfd.c -- memory without a name: it goes with its last user.
 *
 * Sealed against a change of its size, which is final: nobody who gets the
 * descriptor can cut it under a mapping. fallocate() and holes inside go on.
 */
#include "backend.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int memfd_make(struct rf_segment *seg)
{
	unsigned huge = seg->huge_require ? MFD_HUGETLB | MFD_HUGE_2MB : 0;
	int fd =
		memfd_create(seg->name, MFD_CLOEXEC | MFD_ALLOW_SEALING | huge);

	if (fd < 0)
		return -errno;
	seg->fd = fd;
	return 0;
}

static int memfd_size(struct rf_segment *seg)
{
	int error = rf_fd_size(seg);

	if (error == 0 &&
		fcntl(seg->fd, F_ADD_SEALS,
			F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
		error = -errno;
	return error;
}

static int memfd_owner(
	const struct rf_segment *seg, struct rf_segment_owner *out)
{
	struct stat st;

	if (seg->fd < 0)
		return -ENOENT;
	if (fstat(seg->fd, &st) != 0)
		return -errno;
	*out = (struct rf_segment_owner){.uid = st.st_uid,
		.mode = st.st_mode & 07777,
		.shmid = -1,
		.bytes = (size_t)st.st_size};
	return 0;
}

static void memfd_place(
	const struct rf_segment *seg, struct rf_segment_place *out)
{
	snprintf(out->path, sizeof out->path, "/proc/%d/fd/%d", (int)getpid(),
		seg->fd);
}

static int memfd_unlink(const struct rf_segment *seg)
{
	(void)seg; /* has no name */
	return 0;
}

const struct rf_backend_ops rf_backend_memfd = {
	.create = memfd_make,
	.size = memfd_size,
	.map = rf_fd_map,
	.back = rf_fd_back,
	.punch = rf_fd_punch,
	.next = rf_fd_next,
	.read = rf_fd_read,
	.owner = memfd_owner,
	.place = memfd_place,
	.find = rf_fd_find,
	.unlink = memfd_unlink,
	.huge = true,
	.tells_untouched = rf_fd_tells_untouched,
};
