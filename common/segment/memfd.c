/* SPDX-License-Identifier: MIT */
/* memfd.c -- memory without a name: it goes with its last descriptor.
 *
 * Sealed against a change of its size, which is final: nobody who gets the
 * descriptor can cut it under a mapping. fallocate() and holes inside go on.
 *
 * Who owns it. A descriptor that somebody keeps for the next daemon shares its
 * open file with the one it was copied from, and an flock() belongs to the open
 * file: kept so, the lock would never be free. So there are two open files of
 * one memory, as a name would give them. The daemon's own is locked, and every
 * mapping holds it (named.c); the one that is kept is not, and opens the memory
 * again for the next daemon, which locks anew.
 */
#include "backend.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
/* What the kernel adds by itself where vm.memfd_noexec says so. */
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020
#endif

/* Through /proc a descriptor is opened as a name is: by permission. */
static int memfd_make(struct rf_segment *seg)
{
	unsigned huge = seg->huge_require ? MFD_HUGETLB | MFD_HUGE_2MB : 0;
	int fd =
		memfd_create(seg->name, MFD_CLOEXEC | MFD_ALLOW_SEALING | huge);

	if (fd < 0)
		return -errno;
	if (fchmod(fd, 0600) != 0 || flock(fd, LOCK_EX | LOCK_NB) != 0) {
		int error = -errno;

		close(fd);
		return error;
	}
	seg->fd = fd;
	return 0;
}

static int memfd_size(struct rf_segment *seg)
{
	int error = rf_fd_size(seg);

	if (error == 0 && fcntl(seg->fd, F_ADD_SEALS, SEALS) != 0)
		error = -errno;
	return error;
}

/* ---- kept by somebody for the next daemon ---- */

static int open_again(int fd)
{
	char path[32];

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	return open(path, O_RDWR | O_CLOEXEC);
}

int rf_segment_share(const struct rf_segment *seg, int *fd)
{
	int again;

	if (seg->backend != RF_BACKEND_MEMFD || seg->fd < 0)
		return -EINVAL;
	again = open_again(seg->fd);
	if (again < 0)
		return -errno;
	*fd = again;
	return 0;
}

/* Is it one of ours? Nothing of it is changed. */
static int judge(const struct rf_segment *seg, int fd)
{
	int seals = fcntl(fd, F_GET_SEALS), error;
	struct statfs fs;

	if (seals < 0 || fstatfs(fd, &fs) != 0)
		return -EMEDIUMTYPE;
	error = rf_file_is_ours(fd);
	if (error == 0 && (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDWR)
		error = -EPERM;
	if (error == 0 && (seals & ~F_SEAL_EXEC) != SEALS)
		error = -EBADMSG;
	if (error == 0 && (fs.f_type == HUGETLBFS_MAGIC) != seg->huge_require)
		error = -EMSGSIZE;
	return error;
}

int rf_segment_adopt(struct rf_segment *seg, int fd, int wait_ms)
{
	struct stat st;
	int error, again;

	seg->backend = RF_BACKEND_MEMFD;
	seg->base = NULL;
	seg->lock_page = NULL;
	seg->fd = seg->shmid = -1;
	seg->page_bytes = seg->huge_require ? RF_PAGE_HUGE : RF_PAGE_SMALL;
	error = judge(seg, fd);
	if (error != 0)
		return error;
	again = open_again(fd);
	if (again < 0)
		return -errno;
	error = rf_lock_within(again, wait_ms);
	if (error == 0 && fstat(again, &st) != 0)
		error = -errno;
	if (error != 0) {
		close(again);
		return error;
	}
	seg->max_bytes = (size_t)st.st_size;
	seg->fd = again;
	return 0;
}

/* ---- what it is ---- */

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
