/* SPDX-License-Identifier: MIT */
/* net_unix.h -- a stage that listens on a unix socket, too. */
#ifndef NET_UNIX_H
#define NET_UNIX_H

#include "net_stage.h"

#include <sys/un.h>

static char unix_path[64];

static inline void stage_listen_unix(struct stage *s)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	static unsigned listens;

	/* Abstract: it leaves no file, whatever becomes of the test. Another
	 * each time: processes of the last one may still be ending. */
	snprintf(unix_path, sizeof(unix_path), "net_ferry.%d.%u", getpid(),
		++listens);
	snprintf(at.sun_path + 1, sizeof(at.sun_path) - 1, "%s", unix_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 511), 0);
	s->child.listen_fds[1] = fd;
	s->child.listen_names[1] = unix_path;
	s->child.listen_count = 2;
}

static inline int dial_unix(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	struct timeval limit = {.tv_sec = WAIT_MS / 1000};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(at.sun_path + 1, sizeof(at.sun_path) - 1, "%s", unix_path);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

#endif
