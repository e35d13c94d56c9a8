/* SPDX-License-Identifier: MIT */
/* post.c -- one datagram to the service manager.
 *
 * Not by sd_notify(3): that one waits for as long as the manager's queue is
 * full. A manager that hangs, or is busy with itself, must not hang the
 * supervisor, who has children to look after. So what is said is lost, and the
 * caller knows.
 */
#include "post.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define POST_FDS_MAX 253 /* SCM_MAX_FD of Linux */

/* "/path", or "@name" in the abstract namespace. */
static int address_of(
	const char *path, struct sockaddr_un *address, socklen_t *bytes)
{
	size_t length = strlen(path);

	if (*path != '/' && *path != '@')
		return -EAFNOSUPPORT;
	if (length < 2 || length >= sizeof(address->sun_path))
		return -EINVAL;
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(address->sun_path, path, length);
	if (*path == '@')
		*address->sun_path = 0;
	*bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
	return 0;
}

static int send_to(int fd, const struct msghdr *message, int patience_ms)
{
	struct pollfd room = {.fd = fd, .events = POLLOUT};

	while (sendmsg(fd, message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		if (errno != EAGAIN)
			return -errno;
		/* Another one may have been faster: that is the end of it. */
		if (!patience_ms || poll(&room, 1, patience_ms) <= 0)
			return -EAGAIN;
		patience_ms = 0;
	}
	return 0;
}

static void attach(struct msghdr *message, void *control, size_t bytes,
	const int *fds, unsigned int count)
{
	struct cmsghdr *head;

	message->msg_control = control;
	message->msg_controllen = CMSG_SPACE(count * sizeof(*fds));
	memset(control, 0, bytes);
	head = CMSG_FIRSTHDR(message);
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(count * sizeof(*fds));
	memcpy(CMSG_DATA(head), fds, count * sizeof(*fds));
}

int post(const char *text, const int *fds, unsigned int count, int patience_ms)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(POST_FDS_MAX * sizeof(*fds))];
	} control;
	struct iovec part = {(char *)(size_t)text, strlen(text)};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address;
	socklen_t bytes;
	int fd, rc;

	if (!path || !*path)
		return 0;
	if (count > POST_FDS_MAX)
		return -E2BIG;
	rc = address_of(path, &address, &bytes);
	if (rc)
		return rc;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (count > 0)
		attach(&message, &control, sizeof(control), fds, count);
	/* Only for one that is connected poll(2) asks whether its peer has
	 * room. */
	rc = connect(fd, (struct sockaddr *)&address, bytes)
		     ? -errno
		     : send_to(fd, &message, patience_ms);
	close(fd);
	return rc;
}
