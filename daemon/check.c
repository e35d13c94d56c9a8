/* SPDX-License-Identifier: MIT */
/* check.c -- reforkd --check: every problem in one go.
 *
 * The probes are a table and each reports for itself; none of them changes
 * anything on the machine. A daemon that runs with this configuration holds its
 * own ports and memory: these are then not probed.
 */
#include "check.h"

#include "machine.h"
#include "memory.h"

#include <string.h>

struct check {
	struct service service;
	FILE *out;
	int problem_count;
	bool running;
	bool unsound; /* the configuration has problems of its own */
};

static const char *file(const struct check *c)
{
	const char *path = c->service.options->conf_path;

	return path ? path : "defaults";
}

/* A message that begins with "section.key" is one about a line. */
static void tell(const struct check *c, const char *kind, const char *text)
{
	const struct options *o = c->service.options;
	char key[64];
	int line;

	snprintf(key, sizeof(key), "%.*s", (int)strcspn(text, ": "), text);
	line = conf_line(o->conf_path, o->overrides, o->override_count, key);
	fputs(file(c), c->out);
	if (line)
		fprintf(c->out, ":%d", line);
	fprintf(c->out, ": %s: %s\n", kind, text);
}

static void problem(struct check *c, const char *text)
{
	tell(c, "error", text);
	c->problem_count++;
}

static void probe_worker(struct check *c)
{
	struct fault fault;

	if (worker_load(
		    &c->service.lib, c->service.conf->refork.worker, &fault))
		problem(c, fault.text);
}

/* What is only advice does not stand between this and a start. */
static void probe_machine(struct check *c)
{
	const struct machine_asked asked = {
		.service = &c->service,
		.running = c->running,
	};
	struct machine_finding finding;

	memory_plan_arena(&c->service);
	for (int i = 0; machine_probe(i, &asked, &finding); i++) {
		if (finding.verdict == MACHINE_PROBLEM)
			problem(c, finding.fix);
		else if (finding.verdict == MACHINE_WARNING)
			tell(c, "warning", finding.fix);
	}
}

/* They are there in the moment of a start only. */
static void tell_given(const struct check *c, const char *where)
{
	char text[CONF_TEXT_MAX + 128];

	snprintf(text, sizeof(text),
		"network.listen: %s: not probed: the service manager gives it "
		"at the start, by its socket unit",
		where);
	tell(c, "note", text);
}

static void probe_listen(struct check *c)
{
	const struct conf *conf = c->service.conf;
	struct fault fault;
	struct listener l;

	for (int i = 0; i < conf->network.listen_count; i++) {
		if (listen_is_given(conf->network.listen[i]))
			tell_given(c, conf->network.listen[i]);
		else if (listener_open(&l, conf->network.listen[i], 1, &fault))
			problem(c, fault.text);
		else
			listener_close(&l);
	}
}

static const struct {
	void (*probe)(struct check *c);
	bool skip_while_running;
	bool skip_while_unsound;
} probes[] = {
	{probe_worker, false, true},
	{probe_machine, false, false},
	{probe_listen, true, true},
};

static bool is_due(const struct check *c, size_t probe)
{
	return !(c->running && probes[probe].skip_while_running) &&
	       !(c->unsound && probes[probe].skip_while_unsound);
}

int check(const struct options *options, FILE *out)
{
	static struct check c;
	char path[CONTROL_PATH_BYTES];

	c = (struct check){.service.options = options, .out = out};
	c.service.conf = conf_create();
	if (!c.service.conf)
		return EX_OSERR;
	c.problem_count = options_load(options, c.service.conf, out);
	c.unsound = c.problem_count > 0;
	service_control_path(c.service.conf, path);
	c.running = listener_unix_alive(path) == 1;
	for (size_t i = 0; i < sizeof(probes) / sizeof(*probes); i++)
		if (is_due(&c, i))
			probes[i].probe(&c);
	worker_unload(&c.service.lib);
	if (c.problem_count == 0)
		fprintf(out, "%s: fine%s\n", file(&c),
			c.running
				? "; it is running: its ports and memory were "
				  "not probed"
				: "");
	return c.problem_count ? EX_CONFIG : EX_OK;
}
