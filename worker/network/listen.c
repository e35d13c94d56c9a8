/* SPDX-License-Identifier: MIT */
/* listen.c -- accepting connections.
 *
 * The listening sockets are the supervisor's: it made them, and they outlive
 * this process. What is set on them here is inherited by what they accept, so
 * that a new connection costs one system call.
 *
 * Without descriptors or memory for one more, accepting pauses: the clients
 * wait in the backlog instead of the process spinning on a socket that stays
 * ready. It is tried again when a connection ends, and at every tick.
 */
#include "loop.h"
#include "network.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <refork/log.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Connections taken in a row before others get their turn. */
#define ACCEPT_BATCH	 64
#define KEEPALIVE_PROBES 3

static int set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value));
}

static bool is_tcp(int fd)
{
	struct sockaddr_storage at = {0};
	socklen_t bytes = sizeof(at);

	return getsockname(fd, (struct sockaddr *)&at, &bytes) == 0 &&
	       (at.ss_family == AF_INET || at.ss_family == AF_INET6);
}

static int set_tcp(int fd, uint64_t keepalive_ms)
{
	int idle_s = (int)(keepalive_ms / 1000);
	int probe_s = idle_s / KEEPALIVE_PROBES;

	/* Urgent bytes are bytes: what is skipped unseen cannot be counted by
	 * a successor (sock.c). */
	if (set(fd, IPPROTO_TCP, TCP_NODELAY, 1) ||
		set(fd, SOL_SOCKET, SO_OOBINLINE, 1))
		return -1;
	if (keepalive_ms == 0)
		return set(fd, SOL_SOCKET, SO_KEEPALIVE, 0);
	return set(fd, SOL_SOCKET, SO_KEEPALIVE, 1) ||
	       set(fd, IPPROTO_TCP, TCP_KEEPIDLE, idle_s ? idle_s : 1) ||
	       set(fd, IPPROTO_TCP, TCP_KEEPINTVL, probe_s ? probe_s : 1) ||
	       set(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
}

int listen_init(struct net *net)
{
	const struct rf_child *self = net->self;

	for (int i = 0; i < self->listen_count; i++) {
		int fd = self->listen_fds[i];
		int flags = fcntl(fd, F_GETFL);

		if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK)) {
			rf_log(RF_LOG_ERROR, "listen on %s: O_NONBLOCK: %s",
				self->listen_names[i], strerror(errno));
			return -errno;
		}
		if (is_tcp(fd) &&
			set_tcp(fd, net->conf->network.tcp_keepalive_ms))
			rf_log(RF_LOG_WARNING,
				"listen on %s: TCP options: %s; going on "
				"without",
				self->listen_names[i], strerror(errno));
	}
	return 0;
}

static void refuse(struct net *net, int fd, const char *text)
{
	uint8_t line[256];
	size_t bytes = net->codec->encode_error(line, text, strlen(text));

	sock_refuse(net, fd, line, bytes);
}

void listen_admit(struct net *net, int fd, int listener)
{
	if (offenders_is_banned(&net->front->offenders, fd, net->now_ms)) {
		rf_status_add(net->status->clients_banned, 1);
		refuse(net, fd, OFFENDERS_REFUSAL);
	} else if (conn_open(net, fd, listener)) {
		rf_status_add(net->status->clients_refused, 1);
		refuse(net, fd, "ERR max number of clients reached");
	}
}

/* Of sockets of one family, those with the same port or path. */
static bool is_from(int fd, int listening)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
		struct sockaddr_un un;
	} own = {0}, its = {0};
	socklen_t own_bytes = sizeof(own), its_bytes = sizeof(its);

	if (getsockname(fd, &own.any, &own_bytes) ||
		getsockname(listening, &its.any, &its_bytes) ||
		own.any.sa_family != its.any.sa_family)
		return false;
	if (own.any.sa_family == AF_INET)
		return own.v4.sin_port == its.v4.sin_port;
	if (own.any.sa_family == AF_INET6)
		return own.v6.sin6_port == its.v6.sin6_port;
	return own_bytes == its_bytes && !memcmp(&own, &its, own_bytes);
}

int listen_find(const struct net *net, int fd)
{
	const struct rf_child *self = net->self;

	for (int i = 0; i < self->listen_count; i++)
		if (is_from(fd, self->listen_fds[i]))
			return i;
	return 0;
}

void listen_pause(struct net *net)
{
	net->accept_paused = true;
	loop_accept(net->loop, false);
}

void listen_resume(struct net *net)
{
	if (!net->accept_paused || net->drain_until_ms)
		return;
	net->accept_paused = false;
	loop_accept(net->loop, true);
}

/* Errors of one connection, reported by accept, not of accepting as such. */
static bool is_passing(int error)
{
	static const int passing[] = {EINTR, ECONNABORTED, EPROTO, EPERM,
		ENETDOWN, ENOPROTOOPT, EHOSTDOWN, ENONET, EHOSTUNREACH,
		EOPNOTSUPP, ENETUNREACH};

	for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++)
		if (passing[i] == error)
			return true;
	return false;
}

static void on_accept_failed(struct net *net, int listener)
{
	if (errno == EAGAIN || is_passing(errno))
		return;
	if (!net->accept_trouble)
		rf_log(RF_LOG_ERROR,
			"accept on %s: %s, with %" PRIu32 " clients; new "
			"ones wait until one of them leaves",
			net->self->listen_names[listener], strerror(errno),
			net->open_count);
	net->accept_trouble = true;
	listen_pause(net);
}

void listen_on_ready(struct net *net, int listener)
{
	for (int i = 0; i < ACCEPT_BATCH; i++) {
		int fd = accept4(net->self->listen_fds[listener], NULL, NULL,
			SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0) {
			on_accept_failed(net, listener);
			return;
		}
		listen_admit(net, fd, listener);
	}
}
