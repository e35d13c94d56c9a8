/* SPDX-License-Identifier: MIT */
/* fdstore.c -- what came, by libsystemd, and what is sent, by post.c. */
#include "fdstore.h"

#include "post.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <refork/log.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What it has not taken until then it does not take: it hangs. */
#define PUT_MS	  5000
#define REMOVE_MS 1000

#if RF_SYSTEMD
#include <systemd/sd-daemon.h>
#else
#define SD_LISTEN_FDS_START 3
static int sd_listen_fds_with_names(int unset_environment, char ***names)
{
	(void)unset_environment;
	*names = NULL;
	return 0;
}
#endif

static struct {
	char **names; /* of SD_LISTEN_FDS_START and those that follow */
	bool *taken;
	int count;
} came;

int fdstore_open(void)
{
	int count = sd_listen_fds_with_names(1, &came.names);

	if (count <= 0)
		return 0;
	came.taken = calloc((size_t)count, sizeof(*came.taken));
	if (!came.taken)
		return 0;
	came.count = count;
	return count;
}

int fdstore_room(void)
{
	const char *room = getenv("FDSTORE");

	return room ? atoi(room) : 0;
}

bool fdstore_is_kept(void)
{
	return RF_SYSTEMD && fdstore_room() > 0 && getenv("NOTIFY_SOCKET");
}

int fdstore_take(const char *name)
{
	for (int i = 0; i < came.count; i++) {
		if (came.taken[i] || strcmp(came.names[i], name) != 0)
			continue;
		came.taken[i] = true;
		return SD_LISTEN_FDS_START + i;
	}
	return -1;
}

void fdstore_list(char *text, size_t bytes)
{
	size_t at = 0;

	snprintf(text, bytes, "nothing");
	for (int i = 0; i < came.count && at < bytes; i++)
		if (!came.taken[i])
			at += (size_t)snprintf(text + at, bytes - at, "%s%s",
				at ? ", " : "", came.names[i]);
}

bool fdstore_is_own_name(const char *name)
{
	static const char *const own[] = {
		"arena", "status", "channel", "front", "listen", "ferry"};

	for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++) {
		size_t bytes = strlen(own[i]);

		if (!strncmp(own[i], name, bytes) &&
			(!name[bytes] || name[bytes] == '-'))
			return true;
	}
	return false;
}

bool fdstore_had(const char *name)
{
	for (int i = 0; i < came.count; i++)
		if (strcmp(came.names[i], name) == 0)
			return true;
	return false;
}

void fdstore_close_rest(void)
{
	for (int i = 0; i < came.count; i++) {
		if (came.taken[i])
			continue;
		rf_log(RF_LOG_NOTICE,
			"the service manager kept a descriptor \"%s\" that is "
			"of no use any more: closed",
			came.names[i]);
		close(SD_LISTEN_FDS_START + i);
		came.taken[i] = true;
		fdstore_remove(came.names[i]);
	}
}

int fdstore_put(const char *name, int fd)
{
	char text[128];

	if (!fdstore_is_kept())
		return 0;
	snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=%s\nFDPOLL=0", name);
	return post(text, &fd, 1, PUT_MS);
}

int fdstore_put_segment(const char *name, const struct rf_segment *seg)
{
	int fd, rc = rf_segment_share(seg, &fd);

	if (rc)
		return rc;
	rc = fdstore_put(name, fd);
	close(fd);
	return rc;
}

int fdstore_remove(const char *name)
{
	char text[128];

	if (!fdstore_is_kept())
		return 0;
	snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s", name);
	return post(text, NULL, 0, REMOVE_MS);
}

/* The manager closes what comes with this word, when it is its turn. */
int fdstore_settle(int timeout_ms)
{
	struct pollfd closed = {.fd = -1};
	int ends[2], rc, n;

	if (!fdstore_is_kept())
		return 0;
	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	rc = post("BARRIER=1", &ends[1], 1, timeout_ms);
	close(ends[1]);
	closed.fd = ends[0];
	if (!rc) {
		n = poll(&closed, 1, timeout_ms);
		rc = n > 0 ? 0 : n < 0 ? -errno : -ETIMEDOUT;
	}
	close(ends[0]);
	return rc;
}
