/* SPDX-License-Identifier: MIT */
/* network_main.c -- the network child: its start, its rounds, its end.
 *
 * A round. Whatever woke the process, it does the same: handle the sockets that
 * are ready, show the requests to the business side, take its replies, let
 * those go on who waited for room, write each socket once. Then it says that
 * it sleeps, looks once more, and sleeps.
 *
 * What it trusts. Nobody: clients and the business side are input. It has no
 * mapping of the arena. If it dies a successor goes on with its connections
 * (resume.c), or, if they died with it, tells the business side so with
 * RF_MSG_RESET.
 */
#include "common/events.h"
#include "common/log/target.h"
#include "ferry.h"
#include "loop.h"
#include "network.h"
#include "scene.h"
#include "vault.h"
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <refork/log.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Descriptors that are not clients: rings, bells, epoll, listeners, log. */
#define OWN_FDS 64
/* Further looks at the sockets before a batch is handed over. */
#define GATHER_MAX 4
/* What is freed above this size goes back to the system at once. */
#define MMAP_BYTES (256 << 10)

static void raise_fd_limit(const struct net *net)
{
	uint64_t need = net->conf->network.max_clients + OWN_FDS;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur < need)
		rf_log(RF_LOG_WARNING,
			"open files: the limit of %" PRIu64 " is too low for "
			"max_clients = %" PRIu64 "; %" PRIu64 " are needed",
			(uint64_t)limit.rlim_cur,
			net->conf->network.max_clients, need);
}

static int init(struct net *net, const struct rf_child *self)
{
	int rc;

	net->self = self;
	net->conf = self->conf;
	net->channel = self->channel;
	net->status = &self->status->network;
	net->codec = codec_find(conf_get(self->conf, "network.codec"));
	net->now_ms = net->progress_at_ms = rf_monotonic_ms();
	net->conf_serial = rf_status_get(self->status->supervisor.conf_serial);
	net->refused_told = net->status->clients_refused;
	if (!net->codec)
		return -ENOENT;
	raise_fd_limit(net);
	mallopt(M_MMAP_THRESHOLD, MMAP_BYTES);
	rc = resume_begin(net);
	if (rc)
		return rc;
	conn_table_init(net);
	net->loop = loop_create(net);
	if (!net->loop)
		return errno ? -errno : -EIO;
	output_init(net);
	outbound_init(net);
	inbound_init(net);
	return listen_init(net);
}

static void announce_ready(const struct net *net)
{
	/* A predecessor may have taken the sleeper's flag down and died before
	 * it rang. */
	rf_bell_ring(net->channel->bell_business);
	rf_status_set(net->status->heartbeat_ms, net->now_ms);
	rf_status_set(net->status->ready, (uint64_t)getpid());
	rf_bell_ring(net->self->bell_supervisor);
}

/* ---- the clock ---- */

static void close_if_over(struct net *net, struct conn *conn)
{
	uint64_t limit_ms = net->conf->network.client_idle_timeout_ms;

	if (conn->marks & CONN_PATIENT)
		limit_ms = 0;
	if (conn->state == CONN_LINGERING)
		limit_ms = CONN_LINGER_MS;
	if (limit_ms && conn->unanswered == 0 &&
		net->now_ms - conn->active_at_ms >= (int64_t)limit_ms)
		conn_close(net, conn);
}

static bool is_parked(const struct conn *conn)
{
	return conn->unanswered > 0 || (conn->flags & CONN_AWAITS_ROOM) ||
	       (conn->flags & CONN_AWAITS_LARGE);
}

static void close_if_parked(struct net *net, struct conn *conn)
{
	if (is_parked(conn))
		conn_close(net, conn);
}

static bool business_serves(const struct net *net)
{
	const struct rf_status_shm *status = net->self->status;

	return rf_status_get(status->business.serving_pid) ==
	       rf_status_get(status->supervisor.business_pid);
}

static bool is_anyone_parked(const struct net *net)
{
	return net->unanswered > 0 || !TAILQ_EMPTY(&net->room_waiters) ||
	       !TAILQ_EMPTY(&net->large_waiters);
}

/* Clients wait while there is no business side, but not for ever. */
static void check_parked(struct net *net)
{
	uint64_t limit_ms = net->conf->network.park_timeout_ms;
	uint32_t before = net->open_count;

	if (net->front->reply_at != net->progress_reply_at ||
		business_serves(net) || !is_anyone_parked(net)) {
		net->progress_at_ms = net->now_ms;
		net->progress_reply_at = net->front->reply_at;
		return;
	}
	if (limit_ms == 0 ||
		net->now_ms - net->progress_at_ms < (int64_t)limit_ms)
		return;
	conn_each(net, close_if_parked);
	rf_log_event(RF_EVENT_CLIENTS_DROPPED, NULL,
		"no business child for %" PRId64 " ms, park_timeout is "
		"%" PRIu64 " ms: %" PRIu32 " connections with unanswered "
		"requests closed",
		net->now_ms - net->progress_at_ms, limit_ms,
		before - net->open_count);
	net->progress_at_ms = net->now_ms;
}

static void report_refused(struct net *net)
{
	uint64_t refused = net->status->clients_refused - net->refused_told;

	if (refused == 0)
		return;
	rf_log_event(RF_EVENT_CLIENTS_REFUSED, NULL,
		"%" PRIu64 " connections refused: max_clients is %" PRIu64,
		refused, net->conf->network.max_clients);
	net->refused_told += refused;
}

/* What a reload may have changed, but for what is read when it is used. */
static void follow_conf(struct net *net)
{
	const struct rf_status_shm *status = net->self->status;
	uint64_t serial = rf_status_get(status->supervisor.conf_serial);

	if (serial == net->conf_serial)
		return;
	net->conf_serial = serial;
	raise_fd_limit(net);
	inbound_configure(net);
	listen_init(net);
}

void network_on_tick(struct net *net)
{
	net->now_ms = rf_monotonic_ms();
	rf_status_set(net->status->heartbeat_ms, net->now_ms);
	if (net->conf->network.client_idle_timeout_ms || net->lingering_count)
		conn_each(net, close_if_over);
	check_parked(net);
	report_refused(net);
	rf_log_catch_up(false);
	lane_trim(net);
	follow_conf(net);
	if (!net->accept_paused)
		net->accept_trouble = false;
	listen_resume(net);
}

/* ---- the end ---- */

void network_on_terminate(struct net *net)
{
	uint64_t limit_ms = net->conf->network.drain_timeout_ms;

	if (net->drain_until_ms)
		return;
	if (ferry_is_ordered(net))
		ferry_leave(net);
	net->drain_until_ms = rf_monotonic_ms() + (int64_t)limit_ms;
	listen_pause(net);
	conn_each(net, conn_finish);
	rf_log(RF_LOG_INFO,
		"asked to end: %" PRIu32 " connections with unfinished "
		"replies, waiting up to %" PRIu64 " ms",
		net->open_count, limit_ms);
}

static void end_if_drained(const struct net *net)
{
	if (!net->drain_until_ms)
		return;
	if (net->open_count && rf_monotonic_ms() < net->drain_until_ms)
		return;
	if (net->open_count)
		rf_log(RF_LOG_WARNING,
			"drain_timeout: %" PRIu32 " connections closed with "
			"unfinished replies",
			net->open_count);
	rf_log_catch_up(true);
	_exit(RF_CHILD_EXIT_ASKED);
}

/* ---- the rounds ---- */

/* Requests that arrive while a batch is read still join it: fewer and larger
 * batches are fewer wake-ups, on both sides and at the clients. */
static void gather(struct net *net)
{
	uint64_t before = net->request_shown;

	for (int i = 0; i < GATHER_MAX && net->front->request_at != before;
		i++) {
		before = net->front->request_at;
		loop_run(net->loop, false);
	}
}

void network_hand_over(struct net *net)
{
	lane_publish(net);
	outbound_drain(net);
	inbound_resume(net);
	output_flush(net);
	lane_publish(net);
}

_Noreturn static void serve(struct net *net)
{
	bool may_sleep = false;

	for (;;) {
		loop_run(net->loop, may_sleep);
		outbound_wake(net);
		gather(net);
		network_hand_over(net);
		end_if_drained(net);
		vault_look(net->self);
		may_sleep = outbound_may_sleep(net) && lane_may_sleep(net);
	}
}

_Noreturn void network_main(const struct rf_child *self)
{
	static struct net net;
	int rc;

	/* The vault that made this process may have been one itself. */
	memset(&net, 0, sizeof(net));
	rf_segment_close(self->arena);
	rc = self->scene ? rf_scene_arm(self->scene, NULL, -1) : 0;
	if (rc)
		rf_log(RF_LOG_WARNING,
			"network child: crash handler: %s; a crash will be "
			"known by its signal only",
			strerror(-rc));
	rc = init(&net, self);
	if (rc) {
		rf_log(RF_LOG_ERROR, "network child: start: %s; ending",
			strerror(-rc));
		_exit(RF_CHILD_EXIT_START);
	}
	loop_accept(net.loop, true);
	resume_connections(&net);
	network_hand_over(&net);
	resume_end(&net);
	announce_ready(&net);
	serve(&net);
}
