/* SPDX-License-Identifier: MIT */
/* named.c -- a file with a name: made once, had by one daemon at a time.
 *
 * Who owns it. An flock() belongs to the open file, and a mapping keeps its
 * file open. All of a daemon's processes inherit one open file, so the lock is
 * free exactly when the last of them has lost its mapping.
 *
 * A name is judged before it is trusted: in a folder that everybody may write,
 * another user could have made it first.
 */
#include "backend.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int rf_open_path(const struct rf_segment *seg, int flags)
{
	return open(seg->path,
		flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0600);
}

int rf_file_is_ours(int fd)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EMEDIUMTYPE;
	return st.st_uid == geteuid() && (st.st_mode & 022) == 0 ? 0 : -EPERM;
}

int rf_lock_within(int fd, int wait_ms)
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

/* The winner of the lock may have waited for one who removed the name. */
bool rf_is_still_named(const struct rf_segment *seg, int fd,
	int (*open_name)(const struct rf_segment *seg, int flags))
{
	struct stat mine, named;
	int again = open_name(seg, O_RDWR);
	bool same;

	if (again < 0)
		return false;
	same = fstat(fd, &mine) == 0 && fstat(again, &named) == 0 &&
	       mine.st_ino == named.st_ino && mine.st_dev == named.st_dev;
	close(again);
	return same;
}

int rf_named_create(struct rf_segment *seg,
	int (*open_name)(const struct rf_segment *seg, int flags))
{
	int fd = open_name(seg, O_RDWR | O_CREAT | O_EXCL);

	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		/* Another daemon saw the name at once and is faster. */
		close(fd);
		return -EEXIST;
	}
	seg->fd = fd;
	return 0;
}

int rf_named_open(struct rf_segment *seg, int wait_ms,
	int (*open_name)(const struct rf_segment *seg, int flags))
{
	int fd = open_name(seg, O_RDWR), error;
	struct stat st;

	if (fd < 0)
		return errno == EISDIR ? -EMEDIUMTYPE : -errno;
	error = rf_file_is_ours(fd);
	if (error == 0)
		error = rf_lock_within(fd, wait_ms);
	if (error == 0 && !rf_is_still_named(seg, fd, open_name))
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

int rf_path_owner(const char *path, struct rf_segment_owner *out)
{
	struct stat st;

	if (lstat(path, &st) != 0)
		return -errno;
	*out = (struct rf_segment_owner){.uid = st.st_uid,
		.mode = st.st_mode & 07777,
		.shmid = -1,
		.bytes = (size_t)st.st_size};
	return 0;
}
