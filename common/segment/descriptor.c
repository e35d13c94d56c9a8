/* SPDX-License-Identifier: MIT */
/* descriptor.c -- what all segments that are files have in common.
 *
 * The problem. tmpfs and disks hand out memory on first touch and answer SIGBUS
 * when there is none: a full /dev/shm would kill whoever touches the next page.
 * The idea. The file is sparse and mapped whole; nobody touches a range before
 * fallocate() has put memory behind it, and fallocate() answers with an error.
 *
 * Its size is final from the start: only the memory behind it comes and goes.
 */
#include "backend.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif

#define LEAP_LEAST ((size_t)2 << 20)

int rf_fd_size(struct rf_segment *seg)
{
	return ftruncate(seg->fd, (off_t)seg->max_bytes) == 0 ? 0 : -errno;
}

int rf_fd_map(struct rf_segment *seg, uint64_t address, int prot)
{
	/* Of hugetlb pages it would set aside as many as the whole has. */
	int flags = MAP_SHARED | (seg->huge_require ? MAP_NORESERVE : 0) |
		    (address != 0 ? MAP_FIXED_NOREPLACE : 0);
	void *at =
		mmap((void *)address, seg->max_bytes, prot, flags, seg->fd, 0);

	if (at == MAP_FAILED)
		return -errno;
	if (address != 0 && (uint64_t)at != address) { /* kernel before 4.17 */
		munmap(at, seg->max_bytes);
		return -EEXIST;
	}
	seg->base = at;
	return 0;
}

static int allocate(
	const struct rf_segment *seg, int mode, size_t off, size_t bytes)
{
	int error;

	do
		error = fallocate(seg->fd, mode, (off_t)off, (off_t)bytes);
	while (error != 0 && errno == EINTR);
	return error == 0 ? 0 : -errno;
}

int rf_fd_back(const struct rf_segment *seg, size_t off, size_t bytes)
{
	return allocate(seg, 0, off, bytes);
}

int rf_fd_punch(const struct rf_segment *seg, size_t off, size_t bytes)
{
	return allocate(
		seg, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, bytes);
}

bool rf_all_backed(size_t off, size_t end, struct rf_range *out)
{
	*out = (struct rf_range){off, end - off};
	return end > off;
}

/* ---- what has memory ---- */

/* Pages of a range that have memory, swapped out or not; -errno. Also those
 * that fallocate() has put there and nobody has touched. */
static int64_t count_pages(int fd, size_t off, size_t bytes)
{
	const uint64_t range[2] = {off, bytes};
	uint64_t stat[5]; /* cache, dirty, writeback, evicted, ... */

	if (syscall(SYS_cachestat, fd, range, stat, 0) != 0)
		return -errno;
	return (int64_t)(stat[0] + stat[3]);
}

bool rf_fd_tells_untouched(const struct rf_segment *seg)
{
	return count_pages(seg->fd, 0, RF_PAGE_SMALL) >= 0;
}

/* From `off` on, the first page that has (`there`) or has no memory: in leaps
 * over what is all of one kind, then by halves. */
static size_t seek_page(int fd, size_t off, size_t end, bool there)
{
	size_t leap = LEAP_LEAST, half;

	for (;;) {
		size_t bytes = end - off < leap ? end - off : leap;
		size_t pages = (bytes + RF_PAGE_SMALL - 1) / RF_PAGE_SMALL;
		int64_t count = bytes > 0 ? count_pages(fd, off, bytes) : 0;

		if (bytes == 0)
			return end;
		if (count < 0) /* all may be there */
			return there ? off : end;
		if (there ? count > 0 : (size_t)count < pages) {
			leap = pages;
			break;
		}
		off += bytes;
		leap *= 2;
	}
	while (leap > 1) {
		int64_t count;

		half = leap / 2;
		count = count_pages(fd, off, half * RF_PAGE_SMALL);
		if (there ? count > 0 : (size_t)count < half) {
			leap = half;
		} else {
			off += half * RF_PAGE_SMALL;
			leap -= half;
		}
	}
	return off;
}

/* Kernels before 6.5: what nobody has touched is a hole. */
static bool next_touched(const struct rf_segment *seg, size_t off, size_t end,
	struct rf_range *out)
{
	off_t from = lseek(seg->fd, (off_t)off, SEEK_DATA), to;

	if (from < 0)
		return errno != ENXIO && rf_all_backed(off, end, out);
	to = lseek(seg->fd, from, SEEK_HOLE);
	if (to < 0 || (size_t)to > end)
		to = (off_t)end;
	return rf_all_backed((size_t)from, (size_t)to, out);
}

bool rf_fd_next(const struct rf_segment *seg, size_t off, size_t end,
	struct rf_range *out)
{
	if (seg->huge_require) /* hugetlbfs tells neither way */
		return rf_all_backed(off, end, out);
	if (!rf_fd_tells_untouched(seg))
		return next_touched(seg, off, end, out);
	off = seek_page(seg->fd, off, end, true);
	return rf_all_backed(off, seek_page(seg->fd, off, end, false), out);
}

int rf_fd_read(const struct rf_segment *seg, size_t off, void *to, size_t n)
{
	uint8_t *at = to;

	while (n > 0) {
		ssize_t got = pread(seg->fd, at, n, (off_t)off);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EIO;
		at += got;
		off += (size_t)got;
		n -= (size_t)got;
	}
	return 0;
}

static int fits(struct rf_segment *seg, const struct rf_segment_place *place)
{
	struct statfs fs;
	struct stat st;

	if (fstat(seg->fd, &st) != 0 || fstatfs(seg->fd, &fs) != 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EMEDIUMTYPE;
	if ((size_t)st.st_size != place->max_bytes)
		return -EMSGSIZE;
	seg->max_bytes = place->max_bytes;
	seg->huge_require = fs.f_type == HUGETLBFS_MAGIC;
	return 0;
}

/* O_NONBLOCK: whatever stands there, opening it must not wait. */
int rf_fd_find(struct rf_segment *seg, const struct rf_segment_place *place)
{
	int error;

	seg->fd =
		open(place->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (seg->fd < 0)
		return -errno;
	error = fits(seg, place);
	if (error == 0)
		return 0;
	close(seg->fd);
	seg->fd = -1;
	return error;
}
