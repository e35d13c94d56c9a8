/* SPDX-License-Identifier: MIT */
/* service.c -- everything that stands before the first fork.
 *
 * Children inherit, they do not look for things: whatever can fail does so
 * here, once, while there is a terminal to tell. The steps are a table; a step
 * that fails is followed by the undo of those before it, newest first. That
 * same walk is the end of a service.
 *
 * What is cheap and likely to fail (worker, ports) comes first. Memory comes
 * last: see memory.c.
 */
#include "service.h"

#include "manager/fdstore.h"
#include "memory.h"
#include "preserve.h"

#include <errno.h>
#include <fcntl.h>
#include <refork/log.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define SETTLE_MS 5000

/* ---- worker ---- */

/* The service whose settings a worker may ask for. */
static const struct conf *settings;

static const char *setting(const char *section_key)
{
	return conf_get(settings, section_key);
}

static int open_worker(struct service *s, struct fault *fault)
{
	settings = s->conf;
	s->env = (struct rf_env){
		.struct_size = sizeof(s->env),
		.allow_crash_test = s->conf->business.allow_crash_test,
		.service = s->conf->refork.name,
		.worker_args = s->conf->refork.worker_args,
		.setting = setting,
	};
	return worker_load(&s->lib, s->conf->refork.worker, fault);
}

static void close_worker(struct service *s, bool keep)
{
	(void)keep;
	worker_unload(&s->lib);
}

/* ---- control socket ---- */

void service_control_path(
	const struct conf *conf, char path[CONTROL_PATH_BYTES])
{
	snprintf(path, CONTROL_PATH_BYTES, "%s/%s.sock",
		conf->refork.runtime_dir, conf->refork.name);
}

/* Root's directory may be looked into, a user's is his own. One that another
 * user has made could be pulled from under us. */
static int make_runtime_dir(const char *path, struct fault *fault)
{
	struct stat st;

	if (mkdir(path, geteuid() == 0 ? 0755 : 0700) && errno != EEXIST)
		return fault_set(fault, fault_code(errno),
			"refork.runtime_dir %s: mkdir: %s", path,
			strerror(errno));
	if (stat(path, &st))
		return fault_set(fault, fault_code(errno),
			"refork.runtime_dir %s: %s", path, strerror(errno));
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return fault_set(fault, EX_NOPERM,
			"refork.runtime_dir %s belongs to user %u, not to %u: "
			"be that one, or choose another (-o "
			"refork.runtime_dir=DIR)",
			path, st.st_uid, geteuid());
	return 0;
}

/* The mode is what the configuration says, whatever the umask. Who may write
 * that directory may have put a link there meanwhile: it is not followed. */
static int admit_group(
	const struct conf *conf, const char *path, struct fault *fault)
{
	const char *group = conf->refork.control_group;
	gid_t gid;

	if (*group && !conf_group(group, &gid))
		return fault_set(fault, EX_CONFIG,
			"refork.control_group: `%s` is no group of this "
			"machine",
			group);
	if (*group && lchown(path, (uid_t)-1, gid))
		return fault_set(fault, fault_code(errno),
			"refork.control_group: chgrp %s %s: %s; this user must "
			"be a member of it and may give files away; in a unit, "
			"set Group= instead",
			group, path, strerror(errno));
	if (fchmodat(AT_FDCWD, path, conf_mode(conf->refork.control_mode),
		    AT_SYMLINK_NOFOLLOW))
		return fault_set(fault, fault_code(errno),
			"refork.control_mode: chmod %s %s: %s",
			conf->refork.control_mode, path, strerror(errno));
	return 0;
}

static int open_control(struct service *s, struct fault *fault)
{
	char path[CONTROL_PATH_BYTES];
	int rc = make_runtime_dir(s->conf->refork.runtime_dir, fault);

	if (rc)
		return rc;
	service_control_path(s->conf, path);
	if (listener_unix_alive(path) == 1)
		return fault_set(fault, EX_OSERR,
			"a daemon called '%s' runs already: it answers at %s; "
			"stop it (reforkctl -S %s shutdown) or give this one "
			"another refork.name",
			s->conf->refork.name, path, path);
	/* Its owner's only, until it has its group: the mode is never wider
	 * than it is to be. */
	rc = listener_open_unix(&s->control, "control socket ", path,
		conf_mode(s->conf->refork.control_mode) & 0700, 16, fault);
	if (!rc)
		rc = admit_group(s->conf, path, fault);
	if (rc)
		listener_close(&s->control);
	return rc;
}

static void close_control(struct service *s, bool keep)
{
	(void)keep;
	listener_close(&s->control);
}

/* ---- sockets of clients ---- */

/* After a start that failed, the store is as it was. Without an order to
 * release what is kept, the service manager knows best: it drops the sockets
 * at a stop, and clients wait for the end of a restart. */
static void close_listeners(struct service *s, bool keep)
{
	keep |= !s->stored || s->conf->arena.on_stop == CONF_ON_STOP_AUTO;
	while (s->listener_count > 0)
		listen_kept_close(&s->kept_listeners,
			&s->listeners[--s->listener_count], keep);
}

static int open_listener(
	struct service *s, const char *where, struct fault *fault)
{
	int backlog = (int)s->conf->network.backlog;

	if (s->listener_count < RF_LISTEN_MAX &&
		listen_kept_find(&s->kept_listeners,
			&s->listeners[s->listener_count], where, backlog)) {
		s->listener_count++;
		return 0;
	}
	return listeners_open(
		s->listeners, &s->listener_count, where, backlog, fault);
}

static int open_listeners(struct service *s, struct fault *fault)
{
	_Static_assert(CONF_LISTEN_MAX <= RF_LISTEN_MAX, "all must fit");
	int rc = 0;

	listen_kept_receive(&s->kept_listeners, s->conf);
	for (int i = 0; !rc && i < s->conf->network.listen_count; i++)
		rc = open_listener(s, s->conf->network.listen[i], fault);
	if (rc)
		close_listeners(s, false);
	return rc;
}

/* ---- bell ---- */

static int open_bell(struct service *s, struct fault *fault)
{
	s->bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (s->bell < 0)
		return fault_set(
			fault, EX_OSERR, "eventfd: %s", strerror(errno));
	return 0;
}

static void close_bell(struct service *s, bool keep)
{
	(void)keep;
	close(s->bell);
}

/* ---- all of it ---- */

static const struct {
	int (*open)(struct service *s, struct fault *fault);
	void (*close)(struct service *s, bool keep);
} steps[] = {
	{open_worker, close_worker},
	{open_control, close_control},
	{open_listeners, close_listeners},
	{open_bell, close_bell},
	{memory_open_shared, memory_close_shared},
	{memory_open_arena, memory_close_arena},
};
#define STEP_COUNT (sizeof(steps) / sizeof(*steps))

static void undo(struct service *s, size_t done, bool keep)
{
	while (done-- > 0)
		steps[done].close(s, keep);
}

int service_build(struct service *s, struct fault *fault)
{
	int rc;

	for (size_t i = 0; i < STEP_COUNT; i++) {
		rc = steps[i].open(s, fault);
		if (rc) {
			undo(s, i, false);
			return rc;
		}
	}
	return 0;
}

/* It drops what it has no room for, and does not say so. */
static void check_room(const struct service *s)
{
	const struct conf *conf = s->conf;
	int room = fdstore_room(), need = s->listener_count;

	if (conf->arena.backend == CONF_BACKEND_MEMFD)
		need += KEPT_SEGMENTS;
	if (conf->network.preserve_clients == CONF_PRESERVE_RESTART)
		need += PRESERVE_NAMES;
	if (fdstore_is_kept() && room < need)
		rf_log(RF_LOG_WARNING,
			"the service manager keeps %d descriptors ($FDSTORE), "
			"and up to %d are needed: what it has no room for is "
			"lost with this daemon; set FileDescriptorStoreMax",
			room, need);
}

/* If there is no room for all of it, the state comes first. */
void service_store(struct service *s)
{
	check_room(s);
	kept_store(s);
	listen_kept_store(&s->kept_listeners, s->listeners, s->listener_count);
	fdstore_close_rest();
	s->stored = true;
}

/* A memfd is the service manager's to keep or drop: it knows whether this is a
 * stop or a restart. */
bool service_keeps(const struct service *s)
{
	if (s->conf->arena.on_stop == CONF_ON_STOP_AUTO)
		return s->conf->arena.backend == CONF_BACKEND_FILE ||
		       s->kept_arena.stored;
	return s->conf->arena.on_stop == CONF_ON_STOP_KEEP;
}

void service_release(struct service *s, bool keep)
{
	undo(s, STEP_COUNT, keep);
	if (!keep && fdstore_is_kept())
		fdstore_settle(SETTLE_MS);
}
