/* SPDX-License-Identifier: MIT */
/* loop.c -- the network child's only user of libev.
 *
 * It translates: a watcher fires, the function for that event is called. Only
 * SIGTERM is not libev's: that would keep its loop in a static of the library,
 * and a process cloned off this one may come to have a loop of its own.
 * Interest in a connection changes with ev_io_modify, which costs a system
 * call only when the interest really differs at the next wait.
 *
 * Connections are served in the order in which they became ready: what one
 * client did before another is then also seen before it. libev would call them
 * the other way round, so its calls are only noted.
 */
#include "loop.h"
#include "network.h"
#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

struct loop {
	struct ev_loop *ev;
	struct net *net;
	ev_timer tick;
	ev_io bell;
	ev_io listeners[RF_LISTEN_MAX];
	ev_io *conns;  /* by slot; data is the struct conn */
	struct ready { /* in this round, the last one first */
		ev_io *watcher;
		int events;
	} * ready;
	size_t ready_count;
};

static volatile sig_atomic_t terminate;
static int terminate_bell; /* ends the wait */

static struct net *net_of(struct ev_loop *ev)
{
	return ((struct loop *)ev_userdata(ev))->net;
}

static void on_conn(struct ev_loop *ev, ev_io *watcher, int events)
{
	struct loop *loop = ev_userdata(ev);

	loop->ready[loop->ready_count++] = (struct ready){watcher, events};
}

/* Serving one may end others, or the interest in them. */
static void serve_conn(struct loop *loop, const struct ready *ready)
{
	struct conn *conn = ready->watcher->data;
	int events = ready->events & ready->watcher->events;

	if (!ev_is_active(ready->watcher))
		return;
	if (events & EV_READ)
		inbound_on_readable(loop->net, conn);
	/* Reading may have ended the connection. */
	if ((events & EV_WRITE) && conn_is_open(conn))
		output_on_writable(loop->net, conn);
}

static void on_listener(struct ev_loop *ev, ev_io *watcher, int ready)
{
	struct loop *loop = ev_userdata(ev);

	(void)ready;
	listen_on_ready(loop->net, (int)(watcher - loop->listeners));
}

/* The bell only ends the wait: every round looks at the ring anyway. */
static void on_bell(struct ev_loop *ev, ev_io *watcher, int ready)
{
	uint64_t count;

	(void)ev;
	(void)ready;
	if (read(watcher->fd, &count, sizeof(count)) < 0)
		return;
}

static void on_tick(struct ev_loop *ev, ev_timer *watcher, int ready)
{
	(void)watcher;
	(void)ready;
	network_on_tick(net_of(ev));
}

static void on_sigterm(int number)
{
	(void)number;
	terminate = 1;
	rf_bell_ring(terminate_bell);
}

/* The handler's words are there before it is. */
static void watch_sigterm(int bell)
{
	const struct sigaction action = {.sa_handler = on_sigterm};

	terminate = 0;
	terminate_bell = bell;
	sigaction(SIGTERM, &action, NULL);
}

struct loop *loop_create(struct net *net)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	const struct rf_child *self = net->self;

	if (!loop)
		return NULL;
	loop->net = net;
	loop->conns = calloc(CONN_SLOT_MAX, sizeof(*loop->conns));
	loop->ready = calloc(CONN_SLOT_MAX, sizeof(*loop->ready));
	if (!loop->conns || !loop->ready)
		goto err_free;
	loop->ev = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
	if (!loop->ev)
		goto err_free;
	ev_set_userdata(loop->ev, loop);
	ev_timer_init(
		&loop->tick, on_tick, LOOP_TICK_MS / 1e3, LOOP_TICK_MS / 1e3);
	ev_timer_start(loop->ev, &loop->tick);
	watch_sigterm(net->channel->bell_network);
	ev_io_init(&loop->bell, on_bell, net->channel->bell_network, EV_READ);
	ev_io_start(loop->ev, &loop->bell);
	for (int i = 0; i < self->listen_count; i++)
		ev_io_init(&loop->listeners[i], on_listener,
			self->listen_fds[i], EV_READ);
	return loop;

err_free:
	free(loop->ready);
	free(loop->conns);
	free(loop);
	return NULL;
}

void loop_watch(struct loop *loop, uint32_t slot, struct conn *conn, int fd)
{
	ev_io *watcher = &loop->conns[slot];

	ev_io_init(watcher, on_conn, fd, 0);
	watcher->data = conn;
}

void loop_want(struct loop *loop, uint32_t slot, unsigned want)
{
	ev_io *watcher = &loop->conns[slot];
	int events = (want & LOOP_WANT_READ ? EV_READ : 0) |
		     (want & LOOP_WANT_WRITE ? EV_WRITE : 0);

	ev_io_stop(loop->ev, watcher);
	ev_io_modify(watcher, events);
	if (events)
		ev_io_start(loop->ev, watcher);
}

void loop_unwatch(struct loop *loop, uint32_t slot)
{
	ev_io_stop(loop->ev, &loop->conns[slot]);
}

void loop_accept(struct loop *loop, bool on)
{
	for (int i = 0; i < loop->net->self->listen_count; i++) {
		if (on)
			ev_io_start(loop->ev, &loop->listeners[i]);
		else
			ev_io_stop(loop->ev, &loop->listeners[i]);
	}
}

void loop_run(struct loop *loop, bool may_sleep)
{
	ev_run(loop->ev, may_sleep ? EVRUN_ONCE : EVRUN_NOWAIT);
	while (loop->ready_count > 0)
		serve_conn(loop, &loop->ready[--loop->ready_count]);
	if (terminate) {
		terminate = 0;
		network_on_terminate(loop->net);
	}
}
