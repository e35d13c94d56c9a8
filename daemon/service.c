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

#include "memory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

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
			"choose another",
			path, st.st_uid, geteuid());
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
	return listener_open_unix(
		&s->control, "control socket ", path, 0600, 16, fault);
}

static void close_control(struct service *s, bool keep)
{
	(void)keep;
	listener_close(&s->control);
}

/* ---- sockets of clients ---- */

static void close_listeners(struct service *s, bool keep)
{
	(void)keep;
	while (s->listener_count > 0)
		listener_close(&s->listeners[--s->listener_count]);
}

static int open_listeners(struct service *s, struct fault *fault)
{
	_Static_assert(CONF_LISTEN_MAX <= RF_LISTEN_MAX, "all must fit");
	int rc = 0;

	for (int i = 0; !rc && i < s->conf->network.listen_count; i++) {
		rc = listener_open(&s->listeners[i], s->conf->network.listen[i],
			(int)s->conf->network.backlog, fault);
		s->listener_count += !rc;
	}
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

void service_release(struct service *s, bool keep)
{
	undo(s, STEP_COUNT, keep);
}
