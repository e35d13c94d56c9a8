/* SPDX-License-Identifier: MIT */
/* supervisor.c -- a built service from its first fork to its end.
 *
 * One thread, one loop, nothing that blocks. Here: what the outside says
 * (signals, reforkctl) and is told (log, service manager). The children:
 * family.c. Who watches the supervisor: the service manager, and the children
 * end with it.
 */
#include "supervisor.h"

#include "common/events.h"
#include "common/log/target.h"
#include "daemon/control/control.h"
#include "daemon/preserve.h"
#include "daemon/records/crashes.h"
#include "family.h"
#include "herald.h"
#include "reload.h"
#include "spawn.h"
#include "upgrade.h"

#include <errno.h>
#include <ev.h>
#include <inttypes.h>
#include <refork/log.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct supervisor {
	struct service *service;
	struct ev_loop *loop;
	struct control *control;
	struct family *family;
	struct crashes *crashes;
	struct upgrade *upgrade;
	struct herald *herald;
	int signal_fd;
	ev_io signal;
	ev_timer sync; /* of an arena on a disk */
	bool announced;
	bool stopping;
	int exit_code;
};

static const char *state_name(const struct supervisor *sup)
{
	if (sup->stopping)
		return "stopping";
	if (family_is_held(sup->family))
		return "held";
	if (!family_has_served(sup->family))
		return "starting";
	return family_serves(sup->family) ? "serving" : "recovering";
}

/* ---- told to the outside ---- */

/* Called by a path, we have reforkctl beside us; by name, it is found alike. */
static int here_bytes(void)
{
	const char *slash = strrchr(program_invocation_name, '/');

	return slash ? (int)(slash + 1 - program_invocation_name) : 0;
}

static void suggest(const struct service *s, int business_pid)
{
	rf_log(RF_LOG_INFO, "try: %s", s->listeners[0].client);
	rf_log(RF_LOG_INFO, "try: kill -SEGV %d", business_pid);
	rf_log(RF_LOG_INFO, "try: %.*sreforkctl -S %s", here_bytes(),
		program_invocation_name, s->control.path);
}

static void announce(struct supervisor *sup)
{
	const struct service *s = sup->service;
	int pid = s->status->supervisor.business_pid;

	for (int i = 0; i < s->listener_count; i++)
		rf_log(RF_LOG_INFO, "listening on %s", s->listeners[i].name);
	rf_log_event(RF_EVENT_READY,
		RF_LOG_FIELDS(RF_LOG_TEXT("worker", s->lib.worker.name),
			RF_LOG_TEXT("worker_version", s->lib.worker.version),
			RF_LOG_NUMBER("business_pid", pid)),
		"worker %s %s serves, business pid %d", s->lib.worker.name,
		s->lib.worker.version, pid);
	if (rf_log_fd() < 0) /* no journal: somebody may be looking */
		suggest(s, pid);
	herald_serves(sup->herald);
	preserve_landed();
	sup->announced = true;
}

static void stop(struct supervisor *sup)
{
	if (!sup->stopping) {
		sup->stopping = true;
		rf_log(RF_LOG_NOTICE, "stopping");
		herald_stops(sup->herald);
	}
	if (!family_stop_next(sup->family))
		ev_break(sup->loop, EVBREAK_ALL);
}

static void on_changed(void *arg)
{
	struct supervisor *sup = arg;

	if (!sup->announced && !sup->stopping && family_serves(sup->family))
		announce(sup);
	herald_changed(sup->herald);
}

/* A first start that cannot succeed is the operator's to mend. */
static void on_hopeless(void *arg, const char *name)
{
	struct supervisor *sup = arg;
	char why[64];

	if (sup->stopping)
		return;
	rf_log(RF_LOG_ERROR,
		"%s could not start, and the service has not served yet: "
		"giving up",
		name);
	snprintf(why, sizeof(why), "%s could not start, see the log", name);
	herald_fails(sup->herald, why);
	sup->exit_code = EX_SOFTWARE;
	stop(sup);
}

static void on_exhausted(void *arg)
{
	struct supervisor *sup = arg;

	if (sup->stopping)
		return;
	herald_fails(sup->herald,
		"gave up: more crashes than restart.burst, see the log");
	sup->exit_code = EX_SOFTWARE;
	stop(sup);
}

static void on_crashed(void *arg, const struct death *death,
	const struct rf_takeover *takeover)
{
	struct supervisor *sup = arg;

	crashes_add(sup->crashes, death, takeover);
	herald_changed(sup->herald);
	if (sup->upgrade)
		upgrade_on_crash(sup->upgrade, death);
}

/* ---- the disk ---- */

/* What has changed is on its way to the disk, so that a stop has little left
 * to write. See rf_segment_sync(). */
static void on_sync(struct ev_loop *loop, ev_timer *w, int events)
{
	struct supervisor *sup = w->data;
	const struct rf_segment *arena = &sup->service->arena;
	int rc;

	(void)loop;
	(void)events;
	if (arena->fd < 0) /* none, after a cold start that failed */
		return;
	rc = rf_segment_sync(arena, 0, arena->max_bytes, false);
	if (rc)
		rf_log(RF_LOG_WARNING,
			"write %s to its disk: %s; next try in "
			"arena.sync_interval",
			arena->path, strerror(-rc));
}

static void arm_sync(struct supervisor *sup)
{
	const struct conf *conf = sup->service->conf;

	ev_timer_stop(sup->loop, &sup->sync);
	if (conf->arena.backend != CONF_BACKEND_FILE)
		return;
	sup->sync.repeat = (double)conf->arena.sync_interval_ms / 1000;
	ev_timer_again(sup->loop, &sup->sync);
}

/* ---- asked by the outside ---- */

static void on_gone(void *arg)
{
	struct supervisor *sup = arg;

	if (sup->stopping)
		stop(sup);
}

/* A service manager says the same for both. */
static void end_or_restart(struct supervisor *sup)
{
	if (!sup->stopping)
		family_preserve(sup->family);
	stop(sup);
}

static void reload_now(struct supervisor *sup)
{
	herald_reloads(sup->herald);
	reload(sup->service, NULL);
	arm_sync(sup);
	herald_reloaded(sup->herald);
}

static void on_signal(struct ev_loop *loop, ev_io *w, int events)
{
	static const struct {
		uint32_t number;
		const char *name;
		void (*act)(struct supervisor *sup);
	} acts[] = {
		{SIGTERM, "SIGTERM", end_or_restart},
		{SIGINT, "SIGINT", stop},
		{SIGHUP, "SIGHUP", reload_now},
	};
	struct signalfd_siginfo info;

	(void)loop;
	(void)events;
	if (read(w->fd, &info, sizeof(info)) != sizeof(info))
		return;
	for (size_t i = 0; i < sizeof(acts) / sizeof(*acts); i++) {
		if (acts[i].number != info.ssi_signo)
			continue;
		if (info.ssi_pid)
			rf_log(RF_LOG_NOTICE, "%s from process %u",
				acts[i].name, info.ssi_pid);
		else
			rf_log(RF_LOG_NOTICE, "%s from the terminal",
				acts[i].name);
		acts[i].act(w->data);
	}
}

static const char *state_asked(void *arg)
{
	return state_name(arg);
}

static int reload_asked(void *arg, FILE *out)
{
	struct supervisor *sup = arg;
	int problems;

	herald_reloads(sup->herald);
	problems = reload(sup->service, out);
	arm_sync(sup);
	herald_reloaded(sup->herald);
	return problems;
}

static void stop_asked(void *arg)
{
	rf_log(RF_LOG_NOTICE, "shutdown asked for at the control socket");
	stop(arg);
}

/* ---- run ---- */

static int open_signals(struct supervisor *sup)
{
	sigset_t blocked;

	sigprocmask(SIG_BLOCK, NULL, &blocked);
	sup->signal_fd = signalfd(-1, &blocked, SFD_NONBLOCK | SFD_CLOEXEC);
	if (sup->signal_fd < 0)
		return -errno;
	ev_io_init(&sup->signal, on_signal, sup->signal_fd, EV_READ);
	sup->signal.data = sup;
	ev_io_start(sup->loop, &sup->signal);
	return 0;
}

static struct control *open_control(struct supervisor *sup)
{
	const struct verb_host host = {
		.service = sup->service,
		.family = sup->family,
		.upgrade = sup->upgrade,
		.crashes = sup->crashes,
		.arg = sup,
		.state = state_asked,
		.stop = stop_asked,
		.reload = reload_asked,
	};

	return control_open(sup->loop, sup->service->control.fd, &host);
}

static int open_all(struct supervisor *sup)
{
	const struct herald_host herald_host = {
		.arg = sup,
		.state = state_asked,
	};
	const struct family_host family_host = {
		.arg = sup,
		.changed = on_changed,
		.gone = on_gone,
		.hopeless = on_hopeless,
		.crashed = on_crashed,
		.exhausted = on_exhausted,
	};

	sup->loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
	if (!sup->loop)
		return -errno;
	ev_timer_init(&sup->sync, on_sync, 0., 0.);
	sup->sync.data = sup;
	arm_sync(sup);
	sup->family = family_open(sup->service, sup->loop, &family_host);
	sup->crashes = crashes_open(sup->service, sup->loop);
	if (!sup->family || !sup->crashes)
		return -ENOMEM;
	sup->herald =
		herald_open(sup->service, sup->family, sup->loop, &herald_host);
	if (!sup->herald)
		return -ENOMEM;
	sup->upgrade = upgrade_open(sup->service, sup->family, sup->loop);
	if (!sup->upgrade)
		return -ENOMEM;
	sup->control = open_control(sup);
	if (!sup->control)
		return -ENOMEM;
	return open_signals(sup);
}

static void close_all(struct supervisor *sup)
{
	if (sup->upgrade)
		upgrade_close(sup->upgrade);
	sup->upgrade = NULL; /* the family has some last words */
	if (sup->family)
		family_close(sup->family);
	if (sup->herald)
		herald_close(sup->herald);
	if (sup->control)
		control_close(sup->control);
	if (sup->crashes)
		crashes_close(sup->crashes);
	if (sup->loop)
		ev_loop_destroy(sup->loop);
	if (sup->signal_fd >= 0)
		close(sup->signal_fd);
}

int supervisor_run(struct service *service, struct fault *fault)
{
	struct supervisor sup = {.service = service, .signal_fd = -1};
	struct rf_status_supervisor *st = &service->status->supervisor;
	int threads = spawn_thread_count();
	int rc;

	if (threads > 1)
		return fault_set(fault, EX_CONFIG,
			"worker %s %s: its `build` hook left %d threads "
			"running; threads belong into `start`",
			service->lib.worker.name, service->lib.worker.version,
			threads - 1);
	spawn_prepare();
	rf_status_set(st->pid, getpid());
	rf_status_set(st->started_at_ms, rf_now_ms());
	rc = open_all(&sup);
	if (rc) {
		fault_set(fault, EX_OSERR, "event loop: %s", strerror(-rc));
		rc = EX_OSERR;
	} else {
		family_start(sup.family);
		ev_run(sup.loop, 0);
		rc = sup.exit_code;
	}
	close_all(&sup);
	return rc;
}
