/* SPDX-License-Identifier: MIT */
/* attach_ask.c -- ask a daemon for its arena: one line there, one answer back.
 *
 * The words that are sent need no encoding; what comes back is short. The
 * daemon answers within its own deadlines, so a longer silence is its end.
 */
#include "attach_parts.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define PATIENCE_S 15

static int connect_to(const char *path)
{
	const struct timeval patience = {.tv_sec = PATIENCE_S};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int error, fd;

	if (strlen(path) >= sizeof address.sun_path)
		return -ENAMETOOLONG;
	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
		return fd;
	error = -errno;
	close(fd);
	return error;
}

/* Up to the end of the stream; what is too long for us is cut. */
static int receive(int fd, char *body, size_t bytes)
{
	size_t used = 0;

	while (used + 1 < bytes) {
		ssize_t n = recv(fd, body + used, bytes - 1 - used, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		if (n == 0)
			break;
		used += (size_t)n;
	}
	body[used] = '\0';
	return 0;
}

/* Take the head off. */
static int judge(char *body)
{
	static const struct {
		const char *text;
		int result;
	} heads[] = {{"ok\n", 0}, {"error: ", 1}};

	for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
		size_t bytes = strlen(heads[i].text);

		if (strncmp(body, heads[i].text, bytes) != 0)
			continue;
		memmove(body, body + bytes, strlen(body + bytes) + 1);
		body[strcspn(body, "\n")] = '\0';
		return heads[i].result;
	}
	return -EPROTO;
}

int rf_attach_ask(
	const char *socket, const char *request, char *body, size_t bytes)
{
	char line[128];
	int length = snprintf(line, sizeof line, "%s\n", request);
	int error = 0, fd = connect_to(socket);

	body[0] = '\0';
	if (fd < 0)
		return fd;
	if (send(fd, line, (size_t)length, MSG_NOSIGNAL) != length)
		error = -errno;
	if (error == 0)
		error = receive(fd, body, bytes);
	close(fd);
	return error != 0 ? error : judge(body);
}
