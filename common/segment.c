/* SPDX-License-Identifier: MIT */
/* segment.c -- posix shared memory and memfd behind one interface.
 *
 * The problem. tmpfs hands out memory on first touch and answers SIGBUS when
 * there is none: a full /dev/shm would kill whoever touches the next page.
 * The idea. The file is sparse and mapped whole; nobody touches a range before
 * fallocate() has put memory behind it, and fallocate() answers with an error.
 *
 * Who owns a posix segment. An flock() belongs to the open file, and a mapping
 * keeps its file open. All of a daemon's processes inherit one open file, so
 * the lock is free exactly when the last of them has lost its mapping.
 */
#include "segment.h"
#include <errno.h>
#include <fcntl.h>
#include <refork/check.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

static size_t page_up(size_t n)
{
	return (n + 4095) & ~(size_t)4095;
}

static int posix_create(struct rf_segment *seg)
{
	int fd = shm_open(seg->name, O_RDWR | O_CREAT | O_EXCL, 0600);

	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		/* Another daemon saw the name at once and is faster. */
		close(fd);
		return -EEXIST;
	}
	return fd;
}

static int memfd_make(struct rf_segment *seg)
{
	int fd = memfd_create(seg->name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	return fd < 0 ? -errno : fd;
}

static int posix_unlink(struct rf_segment *seg)
{
	return shm_unlink(seg->name) == 0 ? 0 : -errno;
}

static int memfd_unlink(struct rf_segment *seg)
{
	(void)seg; /* has no name */
	return 0;
}

static const struct {
	int (*create)(struct rf_segment *seg); /* descriptor or -errno */
	int (*unlink)(struct rf_segment *seg);
} backends[RF_BACKEND_COUNT] = {
	[RF_BACKEND_POSIX] = {posix_create, posix_unlink},
	[RF_BACKEND_MEMFD] = {memfd_make, memfd_unlink},
};

int rf_segment_create(struct rf_segment *seg)
{
	int error;

	seg->base = NULL;
	seg->fd = backends[seg->backend].create(seg);
	if (seg->fd < 0)
		return seg->fd;
	if (ftruncate(seg->fd, (off_t)seg->max_bytes) == 0)
		return 0;
	error = -errno;
	backends[seg->backend].unlink(seg);
	close(seg->fd);
	seg->fd = -1;
	return error;
}

/* True while `fd` is what the name stands for: the winner of the lock may have
 * waited for one who removed it. */
static bool still_named(const struct rf_segment *seg, int fd)
{
	struct stat mine, named;
	int again = shm_open(seg->name, O_RDWR, 0);
	bool same;

	if (again < 0)
		return false;
	same = fstat(fd, &mine) == 0 && fstat(again, &named) == 0 &&
	       mine.st_ino == named.st_ino && mine.st_dev == named.st_dev;
	close(again);
	return same;
}

static int lock_within(int fd, int wait_ms)
{
	const struct timespec nap = {0, 5 * 1000 * 1000};

	for (int waited_ms = 0;; waited_ms += 5) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (waited_ms >= wait_ms)
			return -EWOULDBLOCK;
		nanosleep(&nap, NULL);
	}
}

int rf_segment_open(struct rf_segment *seg, int wait_ms)
{
	struct stat st;
	int error, fd;

	seg->base = NULL;
	seg->fd = -1;
	if (seg->backend != RF_BACKEND_POSIX)
		return -ENOENT; /* a memfd cannot be found by name */
	fd = shm_open(seg->name, O_RDWR, 0);
	if (fd < 0)
		return -errno;
	error = lock_within(fd, wait_ms);
	if (error == 0 && !still_named(seg, fd))
		error = -ENOENT;
	if (error == 0 && fstat(fd, &st) != 0)
		error = -errno;
	if (error != 0) {
		close(fd);
		return error;
	}
	seg->max_bytes = (size_t)st.st_size;
	seg->fd = fd;
	return 0;
}

int rf_segment_map(struct rf_segment *seg, uint64_t address)
{
	int flags = MAP_SHARED | (address != 0 ? MAP_FIXED_NOREPLACE : 0);
	void *at = mmap((void *)address, seg->max_bytes, PROT_READ | PROT_WRITE,
		flags, seg->fd, 0);

	if (at == MAP_FAILED)
		return -errno;
	if (address != 0 && (uint64_t)at != address) { /* kernel before 4.17 */
		munmap(at, seg->max_bytes);
		return -EEXIST;
	}
	seg->base = at;
	/* Nothing belongs into a core dump until it is backed: dumping a hole
	 * would fill it. */
	madvise(at, seg->max_bytes, MADV_DONTDUMP);
	if (seg->huge_advise)
		madvise(at, seg->max_bytes, MADV_HUGEPAGE);
	return 0;
}

/* What the mapping (not the memory) must be told of a backed range. */
static int tell_mapping(struct rf_segment *seg, size_t off, size_t bytes)
{
	if (seg->core_include &&
		madvise(seg->base + off, bytes, MADV_DODUMP) != 0)
		return -errno;
	if (seg->lock_memory &&
		mlock2(seg->base + off, bytes, MLOCK_ONFAULT) != 0)
		return -errno;
	return 0;
}

int rf_segment_back(struct rf_segment *seg, size_t off, size_t bytes)
{
	size_t from = off & ~(size_t)4095;
	size_t to = page_up(off + bytes);
	int error;

	RF_CHECK(off <= seg->max_bytes && bytes <= seg->max_bytes - off);
	do
		error = fallocate(seg->fd, 0, (off_t)from, (off_t)(to - from));
	while (error != 0 && errno == EINTR);
	if (error != 0)
		return -errno;
	return seg->base != NULL ? tell_mapping(seg, from, to - from) : 0;
}

int rf_segment_inherit(struct rf_segment *seg, size_t off, size_t bytes)
{
	return tell_mapping(seg, off & ~(size_t)4095, page_up(bytes));
}

int rf_segment_unback(struct rf_segment *seg, size_t off, size_t bytes)
{
	size_t from = page_up(off);
	size_t to = (off + bytes) & ~(size_t)4095;

	if (to <= from)
		return 0;
	if (seg->core_include)
		madvise(seg->base + from, to - from, MADV_DONTDUMP);
	if (fallocate(seg->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		    (off_t)from, (off_t)(to - from)) != 0)
		return -errno;
	return 0;
}

int rf_segment_protect(struct rf_segment *seg, bool access)
{
	int prot = access ? PROT_READ | PROT_WRITE : PROT_NONE;

	return mprotect(seg->base, seg->max_bytes, prot) == 0 ? 0 : -errno;
}

void rf_segment_close(struct rf_segment *seg)
{
	if (seg->base != NULL)
		munmap(seg->base, seg->max_bytes);
	if (seg->fd >= 0)
		close(seg->fd);
	seg->base = NULL;
	seg->fd = -1;
}

int rf_segment_unlink(struct rf_segment *seg)
{
	return backends[seg->backend].unlink(seg);
}
