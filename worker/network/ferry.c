/* SPDX-License-Identifier: MIT */
/* ferry.c -- connections that outlive the daemon.
 *
 * The problem. At a planned restart all processes end, and with them the last
 * descriptor table that names the clients' sockets.
 * The idea. A socket lives while a message that carries it waits to be read. So
 * all of them are sent into one socket, the ferry, which the service manager
 * keeps: one descriptor for all clients, since what it keeps it compares with
 * all that it has. All else that is true of a connection stands in the front
 * and in the rings already (front.c), and these are kept, too. The next
 * daemon's network child goes on as one whose predecessor has died; only the
 * numbers of the descriptors are others.
 *
 *   this daemon                          the next one
 *   settle()  what can be answered is
 *   load()    sockets -> ferry
 *   afloat = 1; exit
 *     (supervisor: -> store)      (store -> landing)
 *                                        ferry_unload()   landing -> table
 *                                        ferry_assign()   whose is which
 *                                        afloat = 0
 *
 * Who is who is told by the kernel's cookie of a socket, which is the same in
 * every process. It is noted before the socket is sent.
 *
 * A death before `afloat` is 1 costs the connections, as the supervisor's
 * would: nobody keeps them then. A death while it is 1 costs nothing: what has
 * left the ferry is in the table that the vault keeps, and all is done again.
 */
#include "ferry.h"
#include "network.h"
#include "vault.h"
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <refork/log.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Requests that take longer are answered by the next daemon. */
#define SETTLE_MS 200
#define LOOK_MS	  5
/* Linux takes 253 descriptors in one message (SCM_MAX_FD). */
#define LOAD_MAX 250

/* ---- what one message carries ---- */

struct parcel {
	uint8_t byte; /* a stream carries descriptors with bytes only */
	struct iovec part;
	_Alignas(struct cmsghdr)
		uint8_t control[CMSG_SPACE(LOAD_MAX * sizeof(int))];
	struct msghdr msg;
};

static void parcel_open(struct parcel *p)
{
	p->byte = 0;
	p->part = (struct iovec){&p->byte, 1};
	p->msg = (struct msghdr){
		.msg_iov = &p->part,
		.msg_iovlen = 1,
		.msg_control = p->control,
		.msg_controllen = sizeof(p->control),
	};
}

static int parcel_send(int ferry, const int *sockets, size_t count)
{
	static struct parcel p;
	struct cmsghdr *head;

	if (count == 0)
		return 0;
	parcel_open(&p);
	p.msg.msg_controllen = CMSG_SPACE(count * sizeof(int));
	head = CMSG_FIRSTHDR(&p.msg);
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(head), sockets, count * sizeof(int));
	return sendmsg(ferry, &p.msg, MSG_DONTWAIT | MSG_NOSIGNAL) == 1
		       ? 0
		       : -errno;
}

/* The descriptors of the next message; SIZE_MAX: there is none. */
static size_t parcel_receive(int landing, int sockets[LOAD_MAX])
{
	static struct parcel p;
	struct cmsghdr *head;
	size_t bytes;

	parcel_open(&p);
	if (recvmsg(landing, &p.msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) <= 0)
		return SIZE_MAX;
	head = CMSG_FIRSTHDR(&p.msg);
	if (!head || head->cmsg_level != SOL_SOCKET ||
		head->cmsg_type != SCM_RIGHTS)
		return 0;
	bytes = head->cmsg_len - CMSG_LEN(0);
	memcpy(sockets, CMSG_DATA(head), bytes);
	return bytes / sizeof(int);
}

/* ---- leaving ---- */

static struct rf_front_shm *shm_of(const struct net *net)
{
	return &net->front->shm;
}

bool ferry_is_ordered(const struct net *net)
{
	return __atomic_load_n(&shm_of(net)->leave, __ATOMIC_ACQUIRE) == 1;
}

/* All that was pushed has been worked on, so its replies are shown. */
static bool is_quiet(const struct net *net)
{
	const struct rf_ring_shm *ring = net->channel->request.ring.shm;

	return __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE) ==
		       net->front->request_at &&
	       TAILQ_EMPTY(&net->room_waiters) &&
	       TAILQ_EMPTY(&net->large_waiters);
}

/* The last rounds: nothing is read, and what can be answered in a short time
 * is. If this is no restart but the end, that is what clients still get. */
static void settle(struct net *net)
{
	struct pollfd bell = {
		.fd = net->channel->bell_network, .events = POLLIN};
	int64_t until_ms = rf_monotonic_ms() + SETTLE_MS;
	uint64_t rings;
	bool quiet;

	do {
		quiet = is_quiet(net);
		outbound_wake(net);
		network_hand_over(net);
		if (quiet)
			return;
		if (outbound_may_sleep(net) && lane_may_sleep(net) &&
			poll(&bell, 1, LOOK_MS) > 0 &&
			read(bell.fd, &rings, sizeof(rings)) < 0)
			return;
	} while (rf_monotonic_ms() < until_ms);
}

static uint64_t cookie_of(int fd)
{
	uint64_t cookie = 0;
	socklen_t bytes = sizeof(cookie);

	if (getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &bytes))
		return 0;
	return cookie;
}

static int load(struct net *net)
{
	int ferry = net->channel->ferry[1];
	int sockets[LOAD_MAX];
	size_t count = 0;
	int rc = 0;

	for (uint32_t i = 0; i < net->front->slot_fresh && rc == 0; i++) {
		struct conn *conn = &net->conns[i];

		conn->cookie = 0;
		if (!conn_is_open(conn))
			continue;
		conn->cookie = cookie_of(conn->fd);
		sockets[count++] = conn->fd;
		if (count == LOAD_MAX) {
			rc = parcel_send(ferry, sockets, count);
			count = 0;
		}
	}
	return rc ? rc : parcel_send(ferry, sockets, count);
}

void ferry_leave(struct net *net)
{
	int rc;

	listen_pause(net);
	settle(net);
	rc = load(net);
	if (rc) {
		rf_log(RF_LOG_ERROR,
			"pass on %" PRIu32 " connections to the next daemon: "
			"%s; they end with this one",
			net->open_count, strerror(-rc));
		/* Or closing them would end nothing. */
		ferry_sink(net->channel->ferry[0]);
		return;
	}
	rf_log(RF_LOG_NOTICE, "left %" PRIu32 " connections to the next daemon",
		net->open_count);
	__atomic_store_n(&shm_of(net)->afloat, 1, __ATOMIC_RELEASE);
	_exit(RF_CHILD_EXIT_ASKED);
}

/* ---- landing ---- */

int ferry_unload(int landing, bool (*note)(size_t fd))
{
	int sockets[LOAD_MAX];
	bool noted = true;
	size_t count;

	if (landing < 0)
		return 0;
	while ((count = parcel_receive(landing, sockets)) != SIZE_MAX)
		for (size_t i = 0; i < count; i++)
			noted &= note((size_t)sockets[i]);
	return noted ? 0 : -ENOMEM;
}

static bool close_one(size_t fd)
{
	close((int)fd);
	return true;
}

void ferry_sink(int landing)
{
	ferry_unload(landing, close_one);
}

struct passenger {
	uint64_t cookie;
	struct conn *conn;
};

static int by_cookie(const void *a, const void *b)
{
	const struct passenger *one = a, *two = b;

	return one->cookie < two->cookie ? -1 : one->cookie > two->cookie;
}

/* All that are to have a socket, in order of their cookies. */
static size_t list(const struct net *net, struct passenger *all)
{
	struct conn *conns = front_conns(net->channel);
	size_t count = 0;

	for (uint32_t i = 0; i < net->front->slot_fresh; i++) {
		conns[i].fd = -1;
		if (conn_is_open(&conns[i]) && conns[i].cookie)
			all[count++] =
				(struct passenger){conns[i].cookie, &conns[i]};
	}
	qsort(all, count, sizeof(*all), by_cookie);
	return count;
}

int ferry_assign(struct net *net, size_t fd_count, bool (*may_be)(size_t fd),
	void (*forget)(size_t fd))
{
	struct passenger *all =
		calloc(net->front->slot_fresh + 1, sizeof(*all));
	size_t count;

	if (!all)
		return -ENOMEM;
	count = list(net, all);
	for (size_t fd = 0; fd < fd_count; fd++) {
		struct passenger key = {0}, *found = NULL;

		if (!may_be(fd))
			continue;
		key.cookie = cookie_of((int)fd);
		if (key.cookie)
			found = bsearch(
				&key, all, count, sizeof(*all), by_cookie);
		if (found) {
			found->conn->fd = (int)fd;
			/* The listeners may be others now. */
			found->conn->listener =
				(uint16_t)listen_find(net, (int)fd);
		} else if (key.cookie) {
			close((int)fd);
			forget(fd);
		}
	}
	free(all);
	return 0;
}
