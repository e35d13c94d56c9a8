/* SPDX-License-Identifier: MIT */
/* reload.c -- a configuration read again.
 *
 * The table of conf_keys.c says when a key applies. Numbers stand in memory
 * shared with the children (conf_create()): what they look at each time they
 * need it has changed once it is stored here. What must be done beside that
 * store is an entry of `effects`.
 *
 * Texts may change only where no child reads them.
 */
#include "reload.h"

#include "common/events.h"
#include "conf/conf_value.h"
#include "daemon/limits.h"
#include "daemon/records/quarantine.h"

#include <errno.h>
#include <inttypes.h>
#include <refork/log.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define NOTE_BYTES 192

struct reload {
	struct service *service;
	FILE *report; /* or NULL */
	int changed_count;
};

static void say(struct reload *r, enum rf_log_level level, const char *format,
	...) __attribute__((format(printf, 3, 4)));
static void say(
	struct reload *r, enum rf_log_level level, const char *format, ...)
{
	char text[2 * (CONF_LISTEN_MAX * (CONF_TEXT_MAX + 1))];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	rf_log(level, "reload: %s", text);
	if (r->report)
		fprintf(r->report, "%s\n", text);
}

/* ---- beside the store ---- */

/* A socket that listens already only changes its queue. */
static void effect_backlog(struct service *s, char *note)
{
	for (int i = 0; i < s->listener_count; i++)
		if (listen(s->listeners[i].fd, (int)s->conf->network.backlog))
			snprintf(note, NOTE_BYTES, "%s: listen: %s",
				s->listeners[i].name, strerror(errno));
}

static void effect_core(struct service *s, char *note)
{
	s->arena.core_include = s->conf->arena.core == CONF_CORE_INCLUDE;
	snprintf(note, NOTE_BYTES, "for processes forked from now on");
}

/* The network child has a table and a descriptor limit of its own. */
static void effect_max_clients(struct service *s, char *note)
{
	rlim_t needed = limits_files_needed(s->conf);
	struct rlimit limit;
	pid_t pid = rf_status_get(s->status->supervisor.network_pid);

	limits_raise_files(s->conf);
	if (!pid || prlimit(pid, RLIMIT_NOFILE, NULL, &limit) ||
		limit.rlim_cur >= needed)
		return;
	limit.rlim_cur = needed;
	if (limit.rlim_max < needed)
		limit.rlim_max = needed;
	if (prlimit(pid, RLIMIT_NOFILE, &limit, NULL))
		snprintf(note, NOTE_BYTES,
			"raise RLIMIT_NOFILE of process %d to %" PRIu64 ": %s",
			pid, (uint64_t)needed, strerror(errno));
}

static void effect_keep(struct service *s, char *note)
{
	(void)note;
	quarantine_trim(s);
}

static const struct {
	const char *key;
	/* May leave a note on what came of it (NOTE_BYTES). */
	void (*act)(struct service *s, char *note);
} effects[] = {
	{"arena.core", effect_core},
	{"network.backlog", effect_backlog},
	{"network.max_clients", effect_max_clients},
	{"quarantine.keep", effect_keep},
};

static void take_effect(struct service *s, const char *name, char *note)
{
	for (size_t i = 0; i < sizeof(effects) / sizeof(*effects); i++)
		if (!strcmp(effects[i].key, name))
			effects[i].act(s, note);
}

/* ---- key by key ---- */

/* What a change takes that no reload makes; NULL: it is made. */
static const char *const waits_for[CONF_APPLIED_COUNT] = {
	[CONF_APPLIED_RESTART] = "restart",
	[CONF_APPLIED_UPGRADE] = "restart, or by `reforkctl upgrade`",
};

/* Also right for lists: their texts are compared joined. */
static bool same(const struct conf *a, const struct conf *b, const char *name)
{
	char *of_a = strdup(conf_get(a, name));
	bool equal = of_a && !strcmp(of_a, conf_get(b, name));

	free(of_a);
	return equal;
}

static void take(struct reload *r, const struct conf_key *key, const char *name,
	const struct conf *fresh)
{
	char why[160], note[NOTE_BYTES] = "";
	const char *text = conf_get(fresh, name);

	if (key->applied == CONF_APPLIED_UPGRADE &&
		!strcmp(text, r->service->lib.path))
		return; /* an upgrade came first */
	if (waits_for[key->applied]) {
		say(r, RF_LOG_WARNING,
			"%s is now %s in the configuration; takes effect at %s",
			name, text, waits_for[key->applied]);
		return;
	}
	if (!conf_value_set(key, r->service->conf, text, why, sizeof(why))) {
		say(r, RF_LOG_ERROR, "%s: %s", name, why);
		return;
	}
	take_effect(r->service, name, note);
	say(r, RF_LOG_NOTICE, "%s is now %s%s%s", name, text, *note ? "; " : "",
		note);
	r->changed_count++;
}

static void take_all(struct reload *r, const struct conf *fresh)
{
	char name[64];

	for (int i = 0; i < conf_key_count; i++) {
		snprintf(name, sizeof(name), "%s.%s", conf_keys[i].section,
			conf_keys[i].name);
		if (!same(r->service->conf, fresh, name))
			take(r, &conf_keys[i], name, fresh);
	}
}

static void tell_children(struct service *s)
{
	rf_status_add(s->status->supervisor.conf_serial, 1);
	rf_bell_ring(s->channel.bell_network);
	rf_bell_ring(s->channel.bell_business);
}

/* ---- all of it ---- */

static void say_problems(struct reload *r, char *text)
{
	char *rest;

	for (char *line = strtok_r(text, "\n", &rest); line;
		line = strtok_r(NULL, "\n", &rest))
		say(r, RF_LOG_ERROR, "%s", line);
}

static int load(struct reload *r, struct conf *fresh)
{
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);
	int problems;

	if (!out)
		return -ENOMEM;
	problems = options_load(r->service->options, fresh, out);
	if (fclose(out)) {
		free(text);
		return -ENOMEM;
	}
	if (problems)
		say_problems(r, text);
	free(text);
	return problems ? -EINVAL : 0;
}

int reload_peek_worker(const struct service *s, char *name, size_t bytes)
{
	struct conf *fresh = calloc(1, sizeof(*fresh));
	FILE *nowhere = fopen("/dev/null", "we");
	int error = -ENOMEM;

	if (fresh && nowhere)
		error = options_load(s->options, fresh, nowhere) ? -EINVAL : 0;
	if (!error)
		snprintf(name, bytes, "%s", fresh->refork.worker);
	if (nowhere)
		fclose(nowhere);
	free(fresh);
	return error;
}

int reload(struct service *s, FILE *report)
{
	struct reload r = {.service = s, .report = report};
	struct conf *fresh = calloc(1, sizeof(*fresh));
	int error = fresh ? load(&r, fresh) : -ENOMEM;

	if (error) {
		rf_log_event(RF_EVENT_RELOAD_REFUSED, NULL,
			"reload: %s; the configuration in effect stays",
			error == -EINVAL ? "not with such problems"
					 : strerror(-error));
	} else {
		take_all(&r, fresh);
		tell_children(s);
		rf_log_event(RF_EVENT_RELOADED, NULL,
			"reload: done, %d key%s changed", r.changed_count,
			r.changed_count == 1 ? "" : "s");
	}
	free(fresh);
	return error;
}
