/* SPDX-License-Identifier: MIT */
/* journal.c -- the journal's socket. */
#include "journal.h"
#include <errno.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS 5

static struct {
	int fd;
	pid_t opener;
	const char *path;
} journal = {.fd = -1};

static int connect_it(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof address.sun_path, "%s", journal.path);
	return connect(journal.fd, (struct sockaddr *)&address,
		       sizeof address) != 0
		       ? -errno
		       : 0;
}

int rf_journal_open(const char *path)
{
	rf_journal_close();
	journal.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (journal.fd < 0)
		return -errno;
	journal.opener = getpid();
	journal.path = path;
	return connect_it();
}

void rf_journal_close(void)
{
	if (journal.fd >= 0)
		close(journal.fd);
	journal.fd = -1;
}

int rf_journal_fd(void)
{
	return journal.fd;
}

void rf_journal_settle(int timeout_ms)
{
	const struct timespec look = {0, LOOK_MS * 1000000L};
	int unread = 1;

	for (; unread > 0 && timeout_ms > 0; timeout_ms -= LOOK_MS) {
		if (journal.fd < 0 || ioctl(journal.fd, SIOCOUTQ, &unread) != 0)
			return;
		/* Also once it is read: it is looked at just after that. */
		nanosleep(&look, NULL);
	}
}

void rf_journal_mend(void)
{
	struct sockaddr_un peer;
	socklen_t bytes = sizeof peer;

	if (journal.fd >= 0 && getpid() == journal.opener &&
		getpeername(journal.fd, (struct sockaddr *)&peer, &bytes) != 0)
		connect_it();
}

static int send_once(const struct msghdr *message)
{
	return sendmsg(journal.fd, message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0
		       ? -errno
		       : 0;
}

int rf_journal_send(const struct rf_said *said)
{
	char head[RF_SAID_HEAD_BYTES];
	struct iovec parts[] = {
		{head, rf_said_as_fields(said, head)},
		{(char *)(uintptr_t)said->text, said->text_bytes},
		{(char[]){'\n'}, 1},
	};
	const struct msghdr message = {
		.msg_iov = parts, .msg_iovlen = sizeof parts / sizeof *parts};
	int error;

	if (journal.fd < 0)
		return -ENOTCONN;
	error = send_once(&message);
	/* The others may not connect: their filters see to that. */
	if ((error == -ECONNREFUSED || error == -ENOTCONN) &&
		getpid() == journal.opener && connect_it() == 0)
		error = send_once(&message);
	return error == -ENOBUFS ? -EAGAIN : error;
}
