/* SPDX-License-Identifier: MIT */
/* disk_full.c -- no file takes a byte more while the file $DISK_FULL exists.
 * The log, on descriptors 1 and 2, still does. */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

__attribute__((visibility("default"))) ssize_t write(
	int fd, const void *bytes, size_t count)
{
	const char *flag = getenv("DISK_FULL");
	ssize_t (*real_write)(int, const void *, size_t) = (ssize_t(*)(
		int, const void *, size_t))dlsym(RTLD_NEXT, "write");
	struct stat seen;

	if (fd > STDERR_FILENO && flag != NULL && access(flag, F_OK) == 0 &&
		fstat(fd, &seen) == 0 && S_ISREG(seen.st_mode)) {
		errno = ENOSPC;
		return -1;
	}
	return real_write(fd, bytes, count);
}
