/* SPDX-License-Identifier: MIT */
/* listen_given.c -- sockets that the service manager listens at for us.
 *
 * They come by name (listen = systemd:NAME), as many as the socket unit has,
 * and go on without us: they are neither stored nor unlinked. Whatever else
 * comes under that name is refused: no client could ever connect to it.
 */
#include "listen.h"

#include "common/child.h"
#include "manager/fdstore.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define GIVEN_PREFIX "systemd:"

bool listen_is_given(const char *where)
{
	return !strncmp(where, GIVEN_PREFIX, sizeof(GIVEN_PREFIX) - 1);
}

static int option_of(int fd, int option)
{
	socklen_t bytes = sizeof(int);
	int value = -1;

	getsockopt(fd, SOL_SOCKET, option, &value, &bytes);
	return value;
}

/* What is wrong with it; NULL: clients can connect to it. */
static const char *given_flaw(int fd)
{
	int family = option_of(fd, SO_DOMAIN);
	struct sockaddr_storage peer;
	socklen_t bytes = sizeof(peer);

	if (family < 0)
		return "is no socket";
	if (family != AF_INET && family != AF_INET6 && family != AF_UNIX)
		return "is neither a TCP nor a unix socket";
	if (option_of(fd, SO_TYPE) != SOCK_STREAM)
		return "is no stream socket; its unit needs ListenStream=";
	if (option_of(fd, SO_ACCEPTCONN) == 1)
		return NULL;
	return getpeername(fd, (struct sockaddr *)&peer, &bytes)
		       ? "does not listen"
		       : "is a connection; its unit needs Accept=no";
}

static int given_open(struct listener *l, int fd, const char *where,
	int backlog, struct fault *fault)
{
	const char *flaw = given_flaw(fd);

	*l = (struct listener){.fd = fd, .given = true};
	if (!flaw && (fcntl(fd, F_SETFL, O_NONBLOCK) || listen(fd, backlog)))
		flaw = strerror(errno);
	if (flaw) {
		listener_close(l);
		return fault_set(fault, EX_CONFIG,
			"listen on %s: what the service manager gave under "
			"that name %s",
			where, flaw);
	}
	listener_name(l);
	return 0;
}

static int none_given(struct fault *fault, const char *where)
{
	const char *name = where + sizeof(GIVEN_PREFIX) - 1;
	char came[256];

	fdstore_list(came, sizeof(came));
	return fault_set(fault, EX_CONFIG,
		"listen on %s: the service manager gave no socket of that "
		"name; it gave: %s; its socket unit needs "
		"FileDescriptorName=%s and to be active",
		where, came, name);
}

static int given_open_all(struct listener *list, int *count, const char *where,
	int backlog, struct fault *fault)
{
	const char *name = where + sizeof(GIVEN_PREFIX) - 1;
	int found = *count;
	int fd, rc = 0;

	if (fdstore_is_own_name(name))
		return fault_set(fault, EX_CONFIG,
			"listen on %s: that name is for what this daemon "
			"stores; choose another FileDescriptorName=",
			where);
	while (!rc && (fd = fdstore_take(name)) >= 0) {
		if (found < RF_LISTEN_MAX) {
			rc = given_open(
				&list[found], fd, where, backlog, fault);
			found += !rc;
			continue;
		}
		close(fd);
		rc = fault_set(fault, EX_CONFIG,
			"listen on %s: more than %d sockets in all", where,
			RF_LISTEN_MAX);
	}
	if (!rc && found == *count)
		rc = none_given(fault, where);
	while (rc && found > *count)
		listener_close(&list[--found]);
	if (!rc)
		*count = found;
	return rc;
}

int listeners_open(struct listener *list, int *count, const char *where,
	int backlog, struct fault *fault)
{
	int rc;

	if (listen_is_given(where))
		return given_open_all(list, count, where, backlog, fault);
	if (*count >= RF_LISTEN_MAX)
		return fault_set(fault, EX_CONFIG,
			"listen on %s: more than %d sockets in all", where,
			RF_LISTEN_MAX);
	rc = listener_open(&list[*count], where, backlog, fault);
	*count += !rc;
	return rc;
}
