/* SPDX-License-Identifier: MIT */
/* pin.c -- a copy of a file that nobody can change.
 *
 * Code that is mapped from its file goes with the file: one that is written
 * over changes under the running process, one that is cut short kills it by
 * SIGBUS at the next page it touches. A process that must be able to fork the
 * same code again, whatever happens to the file, maps a copy: memory without a
 * name (memfd), sealed, so that not even its owner can change it.
 */
#include "pin.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

/* A kernel before 6.3 does not know MFD_EXEC, and needs none. */
static int memory_file(const char *name)
{
	const unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd = memfd_create(name, flags | MFD_EXEC);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, flags);
	return fd < 0 ? -errno : fd;
}

/* A file that shrinks meanwhile is not what was asked for. */
static int copy(int to, int from, int64_t bytes)
{
	while (bytes > 0) {
		ssize_t n = sendfile(to, from, NULL, (size_t)bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		bytes -= n;
	}
	return 0;
}

static int copy_sealed(int to, int from, int64_t bytes)
{
	int error = copy(to, from, bytes);

	if (!error && fcntl(to, F_ADD_SEALS,
			      F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE |
				      F_SEAL_SEAL))
		error = -errno;
	return error;
}

static int judge(int fd, struct stat *st)
{
	if (fstat(fd, st))
		return -errno;
	if (!S_ISREG(st->st_mode))
		return -EINVAL;
	return st->st_size > PIN_BYTES_MAX ? -EFBIG : 0;
}

int pin_file(const char *path, const char *name, struct pin *pin)
{
	/* Not waiting for the writer of what is no file. */
	int from = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	int fd, error;

	if (from < 0)
		return -errno;
	error = judge(from, &st);
	if (error)
		goto err_close;
	fd = error = memory_file(name);
	if (fd < 0)
		goto err_close;
	error = copy_sealed(fd, from, st.st_size);
	if (error) {
		close(fd);
		goto err_close;
	}
	close(from);
	*pin = (struct pin){
		.fd = fd,
		.bytes = st.st_size,
		.changed_at_ms = (int64_t)st.st_mtim.tv_sec * 1000 +
				 st.st_mtim.tv_nsec / 1000000,
	};
	return 0;

err_close:
	close(from);
	return error;
}
