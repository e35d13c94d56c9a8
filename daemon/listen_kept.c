/* SPDX-License-Identifier: MIT */
/* listen_kept.c -- listening sockets that the service manager keeps.
 *
 * Between the end of a daemon and its next start nobody accepts, but the socket
 * goes on listening: who connects waits in the backlog and is not refused. The
 * next start looks at the address of what it is handed, and takes what the
 * configuration asks for. The order and the number of addresses may have
 * changed.
 *
 * Names. The store takes a socket once, under one name (another descriptor of
 * it is dropped, whatever name comes along), and removes by name. So each has
 * a number of its own: "listen-0" and on.
 *
 * Socket files. A unix socket is of use as long as its file leads to it. Who
 * connects to the file learns who listened last (SO_PEERCRED): the file is that
 * of our socket when it is this process, right after listen().
 *
 * If the supervisor dies
 *   before one is stored         it is closed, and bound anew: who connects
 *                                meanwhile is refused, as without a store
 *   after                        it is handed to the next start
 *   before one of no use is      the next start does so
 *   removed
 * A start that fails has removed only what its configuration does not ask for.
 */
#include "listen_kept.h"

#include "manager/fdstore.h"

#include <errno.h>
#include <fcntl.h>
#include <refork/log.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define NAME_BYTES  24
#define UNIX_PREFIX "unix:"
#define SETTLE_MS   5000

static void name_of(int number, char name[NAME_BYTES])
{
	snprintf(name, NAME_BYTES, "listen-%d", number);
}

static bool is_listening(int fd)
{
	socklen_t bytes = sizeof(int);
	int listens = 0;

	return !getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &bytes) &&
	       listens;
}

static int row_at(const struct listen_kept *kept, const char *where)
{
	for (int i = 0; i < RF_LISTEN_MAX; i++)
		if (kept->rows[i].fd >= 0 &&
			listener_is_at(kept->rows[i].fd, where))
			return i;
	return -1;
}

/* Has its file led to it since this process listens? */
static bool is_reached_by(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct ucred who = {0};
	socklen_t bytes = sizeof(who);
	bool reached;

	if (fd < 0)
		return false;
	memcpy(address.sun_path, path, strlen(path) + 1);
	reached = !connect(fd, (struct sockaddr *)&address, sizeof(address));
	if (reached)
		reached = !getsockopt(
				  fd, SOL_SOCKET, SO_PEERCRED, &who, &bytes) &&
			  who.pid == getpid();
	else /* its backlog is full: it is alive, and nobody else would be */
		reached = errno == EAGAIN;
	close(fd);
	return reached;
}

/* Then it is ours to remove. */
static bool is_reached(struct listener *l)
{
	struct stat st;

	if (!is_reached_by(l->path) || lstat(l->path, &st)) {
		*l->path = 0;
		return false;
	}
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	return true;
}

static bool has_file(struct listener *l)
{
	const char *path = l->name + sizeof(UNIX_PREFIX) - 1;

	if (strncmp(l->name, UNIX_PREFIX, sizeof(UNIX_PREFIX) - 1) != 0 ||
		*path != '/')
		return false;
	snprintf(l->path, sizeof(l->path), "%s", path);
	return true;
}

/* ---- what was handed over ---- */

static void forget(struct listen_kept *kept, int number)
{
	char name[NAME_BYTES];

	name_of(number, name);
	fdstore_remove(name);
	kept->rows[number].stored = false;
}

/* The socket file goes with the socket. */
static void close_unused(int fd)
{
	struct listener one = {.fd = fd};

	listener_name(&one);
	rf_log(RF_LOG_NOTICE,
		"the service manager kept a socket at %s, where nobody is to "
		"listen any more: closed",
		one.name);
	if (is_listening(fd) && has_file(&one) && !listen(fd, 1))
		is_reached(&one);
	listener_close(&one);
}

static bool is_wanted(
	const struct listen_kept *kept, int fd, const struct conf *conf)
{
	for (int i = 0; is_listening(fd) && i < conf->network.listen_count;
		i++) {
		const char *where = conf->network.listen[i];

		if (listener_is_at(fd, where))
			return row_at(kept, where) < 0;
	}
	return false;
}

/* All that came as "listen-NUMBER". Returns how many of them are of no use. */
static int receive(
	struct listen_kept *kept, int number, const struct conf *conf)
{
	char name[NAME_BYTES];
	int fd, unused = 0;

	name_of(number, name);
	while ((fd = fdstore_take(name)) >= 0) {
		if (kept->rows[number].fd < 0 && is_wanted(kept, fd, conf)) {
			kept->rows[number].fd = fd;
			kept->rows[number].stored = true;
			continue;
		}
		close_unused(fd);
		unused++;
	}
	if (unused > 0)
		forget(kept, number);
	return unused;
}

void listen_kept_receive(struct listen_kept *kept, const struct conf *conf)
{
	int unused = 0;

	for (int i = 0; i < RF_LISTEN_MAX; i++) {
		kept->rows[i].fd = -1;
		kept->rows[i].stored = false;
	}
	for (int i = 0; i < RF_LISTEN_MAX; i++)
		unused += receive(kept, i, conf);
	/* An address is free when the last descriptor is closed. */
	if (unused > 0)
		fdstore_settle(SETTLE_MS);
}

static bool go_on(struct listener *l, int fd, int backlog)
{
	struct listener one = {.fd = fd};

	if (fcntl(fd, F_SETFL, O_NONBLOCK) || listen(fd, backlog))
		return false;
	listener_name(&one);
	if (has_file(&one) && !is_reached(&one))
		return false;
	*l = one;
	return true;
}

bool listen_kept_find(const struct listen_kept *kept, struct listener *l,
	const char *where, int backlog)
{
	int row = row_at(kept, where);

	return row >= 0 && go_on(l, kept->rows[row].fd, backlog);
}

/* ---- stored ---- */

static int number_of(const struct listen_kept *kept, int fd)
{
	for (int i = 0; i < RF_LISTEN_MAX; i++)
		if (kept->rows[i].fd == fd)
			return i;
	return -1;
}

static void store(struct listen_kept *kept, const struct listener *l)
{
	int number = number_of(kept, l->fd);
	char name[NAME_BYTES];
	int rc;

	if (number < 0)
		number = number_of(kept, -1);
	if (number < 0 || kept->rows[number].stored)
		return;
	name_of(number, name);
	rc = fdstore_put(name, l->fd);
	if (rc)
		rf_log(RF_LOG_WARNING,
			"give the socket of %s to the service manager: %s; who "
			"connects during a restart is refused",
			l->name, strerror(-rc));
	else
		kept->rows[number].stored = true;
	kept->rows[number].fd = l->fd;
}

/* One that its file does not lead to was bound anew. */
static void drop_unused(struct listen_kept *kept, int number,
	const struct listener *list, int count)
{
	for (int i = 0; i < count; i++)
		if (list[i].fd == kept->rows[number].fd)
			return;
	forget(kept, number);
	close(kept->rows[number].fd);
	kept->rows[number].fd = -1;
}

void listen_kept_store(
	struct listen_kept *kept, const struct listener *list, int count)
{
	if (!fdstore_is_kept())
		return;
	for (int i = 0; i < RF_LISTEN_MAX; i++)
		if (kept->rows[i].fd >= 0)
			drop_unused(kept, i, list, count);
	for (int i = 0; i < count; i++)
		if (!list[i].given)
			store(kept, &list[i]);
}

void listen_kept_close(struct listen_kept *kept, struct listener *l, bool keep)
{
	int number = l->fd >= 0 ? number_of(kept, l->fd) : -1;

	if (number >= 0) {
		if (keep && kept->rows[number].stored)
			*l->path = 0; /* its file stays */
		else if (kept->rows[number].stored)
			forget(kept, number);
		kept->rows[number].fd = -1;
	}
	listener_close(l);
}
