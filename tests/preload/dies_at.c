/* SPDX-License-Identifier: MIT */
/* dies_at.c -- a supervisor that is killed before the Nth thing it does that
 * somebody else could see afterwards: $DIES_AT. Its children are spared. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static int left; /* 0: never */
static pid_t supervisor;

__attribute__((constructor)) static void begin(void)
{
	const char *at = getenv("DIES_AT");

	if (at == NULL || strcmp(program_invocation_short_name, "reforkd") != 0)
		return;
	left = atoi(at);
	supervisor = getpid();
}

static void step(void)
{
	if (left > 0 && getpid() == supervisor && --left == 0)
		kill(supervisor, SIGKILL);
}

#define WATCHED(type, name, parameters, arguments)                             \
	__attribute__((visibility("default"))) type name parameters;           \
	type name parameters                                                   \
	{                                                                      \
		static type(*real) parameters;                                 \
                                                                               \
		if (real == NULL)                                              \
			*(void **)&real = dlsym(RTLD_NEXT, #name);             \
		step();                                                        \
		return real arguments;                                         \
	}

WATCHED(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags),
	(fd, message, flags))
WATCHED(ssize_t, pwrite, (int fd, const void *at, size_t bytes, off_t off),
	(fd, at, bytes, off))
WATCHED(int, rename, (const char *from, const char *to), (from, to))
WATCHED(int, unlink, (const char *path), (path))
WATCHED(int, shm_unlink, (const char *name), (name))
WATCHED(int, flock, (int fd, int operation), (fd, operation))
WATCHED(int, ftruncate, (int fd, off_t bytes), (fd, bytes))
WATCHED(int, fallocate, (int fd, int mode, off_t off, off_t bytes),
	(fd, mode, off, bytes))
WATCHED(int, fdatasync, (int fd), (fd))
WATCHED(int, fsync, (int fd), (fd))
WATCHED(int, memfd_create, (const char *name, unsigned flags), (name, flags))
WATCHED(int, bind, (int fd, const struct sockaddr *at, socklen_t bytes),
	(fd, at, bytes))
WATCHED(int, listen, (int fd, int backlog), (fd, backlog))
WATCHED(int, msync, (void *at, size_t bytes, int flags), (at, bytes, flags))
