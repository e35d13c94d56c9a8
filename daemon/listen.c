/* SPDX-License-Identifier: MIT */
/* listen.c -- sockets that clients connect to. */
#include "listen.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un un;
};

#define UNIX_PREFIX    "unix:"
#define LOCK_PAUSE_NS  10000000
#define LOCK_TRIES_MAX 200

/* ---- TCP ---- */

/* The first address that HOST:PORT or [HOST]:PORT stands for. */
static int resolve(const char *where, union address *at, socklen_t *bytes)
{
	const struct addrinfo hints = {
		.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
		.ai_socktype = SOCK_STREAM,
	};
	const char *colon = strrchr(where, ':');
	struct addrinfo *found;
	char host[256] = "";
	int rc;

	if (!colon || (size_t)(colon - where) >= sizeof(host))
		return EAI_NONAME;
	if (*where == '[' && colon[-1] == ']')
		memcpy(host, where + 1, (size_t)(colon - where) - 2);
	else
		memcpy(host, where, (size_t)(colon - where));
	rc = getaddrinfo(host, colon + 1, &hints, &found);
	if (rc)
		return rc;
	*bytes = found->ai_addrlen;
	memset(at, 0, sizeof(*at));
	memcpy(at, found->ai_addr, *bytes);
	freeaddrinfo(found);
	return 0;
}

static int tcp_socket(const union address *at, socklen_t bytes, int backlog,
	struct listener *l)
{
	int yes = 1;

	l->fd = socket(at->any.sa_family,
		SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->fd < 0)
		return -errno;
	setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (at->any.sa_family == AF_INET6)
		setsockopt(l->fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof(yes));
	return bind(l->fd, &at->any, bytes) || listen(l->fd, backlog) ? -errno
								      : 0;
}

/* Name it as it really is: the kernel may have chosen the port. */
static void tcp_name(struct listener *l)
{
	union address at;
	socklen_t bytes = sizeof(at);
	char host[128] = "?", port[8] = "?";
	bool v6;

	memset(&at, 0, sizeof(at));
	getsockname(l->fd, &at.any, &bytes);
	getnameinfo(&at.any, bytes, host, sizeof(host), port, sizeof(port),
		NI_NUMERICHOST | NI_NUMERICSERV);
	v6 = at.any.sa_family == AF_INET6;
	snprintf(l->name, sizeof(l->name), v6 ? "[%.110s]:%s" : "%.110s:%s",
		host, port);
	if (!strcmp(host, "127.0.0.1") || !strcmp(host, "0.0.0.0"))
		snprintf(l->client, sizeof(l->client), "redis-cli -p %s", port);
	else
		snprintf(l->client, sizeof(l->client),
			"redis-cli -h %.110s -p %s", host, port);
}

static const char *hint(int error)
{
	static const struct {
		int error;
		const char *text;
	} hints[] = {
		{EADDRINUSE, "; another process has it (ss -lptn shows "
			     "which): stop that one or choose another"},
		{EADDRNOTAVAIL, "; no interface of this machine has it"},
		{EACCES, "; ports below 1024 need root or "
			 "CAP_NET_BIND_SERVICE"},
	};

	for (size_t i = 0; i < sizeof(hints) / sizeof(*hints); i++)
		if (hints[i].error == error)
			return hints[i].text;
	return "";
}

static int listen_fault(struct fault *fault, const char *where, int error)
{
	return fault_set(fault, fault_code(error), "listen on %s: %s%s", where,
		strerror(error), hint(error));
}

static int tcp_open(
	struct listener *l, const char *where, int backlog, struct fault *fault)
{
	union address at;
	socklen_t bytes;
	int rc;

	rc = resolve(where, &at, &bytes);
	if (rc)
		return fault_set(fault, EX_CONFIG,
			"listen on %s: %s; write HOST:PORT, [V6]:PORT or "
			"unix:/path",
			where, gai_strerror(rc));
	rc = tcp_socket(&at, bytes, backlog, l);
	if (rc) {
		listener_close(l);
		return listen_fault(fault, where, -rc);
	}
	tcp_name(l);
	return 0;
}

/* ---- unix ---- */

static int unix_address(union address *address, const char *path)
{
	memset(address, 0, sizeof(*address));
	address->un.sun_family = AF_UNIX;
	if (!*path || strlen(path) >= sizeof(address->un.sun_path))
		return -ENAMETOOLONG;
	strcpy(address->un.sun_path, path);
	return 0;
}

int listener_unix_alive(const char *path)
{
	union address address;
	struct stat st;
	int fd, rc;

	rc = unix_address(&address, path);
	if (rc)
		return rc;
	if (lstat(path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	rc = 1;
	if (connect(fd, &address.any, sizeof(address.un)) && errno != EAGAIN)
		rc = errno == ECONNREFUSED || errno == ENOENT ? 0 : -errno;
	close(fd);
	return rc;
}

/* Hold the directory of `path` while a socket file is judged and replaced: of
 * two daemons that start at once, the later one finds the other alive. Whoever
 * keeps the lock for long is not one of us: then go on without. */
static int lock_dir(const char *path)
{
	const struct timespec pause = {0, LOCK_PAUSE_NS};
	char dir[sizeof(((struct sockaddr_un *)0)->sun_path)];
	int fd;

	strcpy(dir, path);
	fd = open(dirname(dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; fd >= 0 && i < LOCK_TRIES_MAX; i++) {
		if (!flock(fd, LOCK_EX | LOCK_NB))
			break;
		nanosleep(&pause, NULL);
	}
	return fd;
}

/* Bind with what the umask leaves of `mode`, from the first moment on. */
static int unix_bind(struct listener *l, const union address *address,
	mode_t mode, int backlog)
{
	mode_t old = umask(0777);
	struct stat st;
	int rc, error;

	umask(old | (~mode & 0777));
	rc = bind(l->fd, &address->any, sizeof(address->un));
	error = errno;
	umask(old);
	if (rc)
		return -error;
	if (lstat(address->un.sun_path, &st))
		return -errno;
	strcpy(l->path, address->un.sun_path);
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	return listen(l->fd, backlog) ? -errno : 0;
}

static int unix_fault(
	struct fault *fault, const char *what, const char *path, int error)
{
	return fault_set(fault, fault_code(error), "%s%s: %s", what, path,
		strerror(error));
}

/* 0 when a socket may be made there. */
static int judge_path(const char *what, const char *path, struct fault *fault)
{
	int rc = listener_unix_alive(path);

	if (rc == 1)
		return fault_set(fault, EX_OSERR,
			"%s%s: another process listens there: "
			"stop that one or choose another path",
			what, path);
	if (rc == -EEXIST)
		return fault_set(fault, EX_CONFIG,
			"%s%s: a file stands there that is no "
			"socket; it is not touched",
			what, path);
	if (rc < 0)
		return unix_fault(fault, what, path, -rc);
	return 0;
}

/* The directory is locked. */
static int unix_replace(struct listener *l, const char *what, const char *path,
	mode_t mode, int backlog, struct fault *fault)
{
	union address address;
	int rc = judge_path(what, path, fault);

	if (rc)
		return rc;
	unlink(path);
	unix_address(&address, path);
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	rc = l->fd < 0 ? -errno : unix_bind(l, &address, mode, backlog);
	if (!rc)
		return 0;
	listener_close(l);
	return unix_fault(fault, what, path, -rc);
}

int listener_open_unix(struct listener *l, const char *what, const char *path,
	mode_t mode, int backlog, struct fault *fault)
{
	union address address;
	int rc, lock;

	*l = (struct listener){.fd = -1};
	if (unix_address(&address, path))
		return fault_set(fault, EX_CONFIG,
			"%s%s: a path of 1 to %zu bytes is needed", what, path,
			sizeof(address.un.sun_path) - 1);
	lock = lock_dir(path);
	rc = unix_replace(l, what, path, mode, backlog, fault);
	if (lock >= 0)
		close(lock);
	if (rc)
		return rc;
	snprintf(l->name, sizeof(l->name), UNIX_PREFIX "%s", path);
	snprintf(l->client, sizeof(l->client), "redis-cli -s %s", path);
	return 0;
}

/* ---- its name ---- */

/* One in the abstract namespace has an @ for its first byte. */
static void unix_name(struct listener *l)
{
	const size_t head = offsetof(struct sockaddr_un, sun_path);
	union address at;
	socklen_t bytes = sizeof(at);
	char path[sizeof(at.un.sun_path) + 1] = "";

	memset(&at, 0, sizeof(at));
	getsockname(l->fd, &at.any, &bytes);
	if (bytes > sizeof(at.un))
		bytes = sizeof(at.un);
	if (bytes > head)
		memcpy(path, at.un.sun_path, bytes - head);
	if (bytes > head && !*path)
		*path = '@';
	snprintf(l->name, sizeof(l->name), UNIX_PREFIX "%s", path);
	snprintf(l->client, sizeof(l->client), "redis-cli -s %s", path);
}

void listener_name(struct listener *l)
{
	union address at = {0};
	socklen_t bytes = sizeof(at);

	getsockname(l->fd, &at.any, &bytes);
	if (at.any.sa_family == AF_UNIX)
		unix_name(l);
	else
		tcp_name(l);
}

/* ---- one that was kept ---- */

static bool is_tcp_at(const union address *have, const union address *want)
{
	if (have->any.sa_family != want->any.sa_family)
		return false;
	if (want->any.sa_family == AF_INET)
		return have->v4.sin_addr.s_addr == want->v4.sin_addr.s_addr &&
		       have->v4.sin_port == want->v4.sin_port;
	return !memcmp(&have->v6.sin6_addr, &want->v6.sin6_addr,
		       sizeof(have->v6.sin6_addr)) &&
	       have->v6.sin6_scope_id == want->v6.sin6_scope_id &&
	       have->v6.sin6_port == want->v6.sin6_port;
}

bool listener_is_at(int fd, const char *where)
{
	const size_t prefix = sizeof(UNIX_PREFIX) - 1;
	union address have, want;
	socklen_t bytes = sizeof(have);

	memset(&have, 0, sizeof(have));
	if (listen_is_given(where) || getsockname(fd, &have.any, &bytes))
		return false;
	if (!strncmp(where, UNIX_PREFIX, prefix))
		return have.any.sa_family == AF_UNIX &&
		       !strncmp(have.un.sun_path, where + prefix,
			       sizeof(have.un.sun_path));
	return !resolve(where, &want, &bytes) && is_tcp_at(&have, &want);
}

/* ---- either ---- */

int listener_open(
	struct listener *l, const char *where, int backlog, struct fault *fault)
{
	const size_t prefix = sizeof(UNIX_PREFIX) - 1;

	*l = (struct listener){.fd = -1};
	if (!strncmp(where, UNIX_PREFIX, prefix))
		return listener_open_unix(l, "listen on unix:", where + prefix,
			0777, backlog, fault);
	return tcp_open(l, where, backlog, fault);
}

/* What was bound there; or what was bound anew when the process was restored
 * from a checkpoint: then nobody answers there any more. */
static bool is_own_path(const struct listener *l)
{
	struct stat st;

	if (lstat(l->path, &st))
		return false;
	return (st.st_dev == l->dev && st.st_ino == l->ino) ||
	       !listener_unix_alive(l->path);
}

void listener_close(struct listener *l)
{
	int dir;

	if (l->fd >= 0)
		close(l->fd);
	if (*l->path) {
		dir = lock_dir(l->path);
		if (is_own_path(l))
			unlink(l->path);
		if (dir >= 0)
			close(dir);
	}
	*l = (struct listener){.fd = -1};
}
