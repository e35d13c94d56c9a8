/* SPDX-License-Identifier: MIT */
/* check.c -- reforkd --check: every problem in one go.
 *
 * The probes are a table and each reports for itself; none of them changes
 * anything on the machine. A daemon that runs with this configuration holds its
 * own ports and memory: these are then not probed.
 */
#include "check.h"

#include "limits.h"
#include "memory.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define MIB(bytes) ((uint64_t)(bytes) >> 20)

struct check {
	struct service service;
	FILE *out;
	int problem_count;
};

static void problem(struct check *c, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static void problem(struct check *c, const char *format, ...)
{
	const char *path = c->service.options->conf_path;
	va_list args;

	fprintf(c->out, "%s: error: ", path ? path : "defaults");
	va_start(args, format);
	vfprintf(c->out, format, args);
	va_end(args);
	putc('\n', c->out);
	c->problem_count++;
}

static void probe_worker(struct check *c)
{
	struct fault fault;

	if (worker_load(
		    &c->service.lib, c->service.conf->refork.worker, &fault))
		problem(c, "%s", fault.text);
}

/* The directory itself, or the nearest one above it that exists. */
static void probe_runtime_dir(struct check *c)
{
	const char *wanted = c->service.conf->refork.runtime_dir;
	char path[CONF_TEXT_MAX + 1];
	char *slash;

	strcpy(path, wanted);
	while (access(path, F_OK) && (slash = strrchr(path, '/')) &&
		slash != path)
		*slash = 0;
	if (access(path, W_OK | X_OK))
		problem(c,
			"refork.runtime_dir %s: %s: %s; make it writable for "
			"this user or choose another",
			wanted, path, strerror(errno));
}

static void probe_files(struct check *c)
{
	uint64_t needed = limits_files_needed(c->service.conf);
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_max >= needed ||
		geteuid() == 0)
		return;
	problem(c,
		"network.max_clients %" PRIu64 " needs %" PRIu64
		" descriptors, RLIMIT_NOFILE allows %" PRIu64
		"; raise it (ulimit -Hn, LimitNOFILE= in the unit) or lower "
		"max_clients",
		c->service.conf->network.max_clients, needed,
		(uint64_t)limit.rlim_max);
}

static void probe_locked_memory(struct check *c)
{
	uint64_t needed = c->service.conf->arena.max_bytes;
	struct rlimit limit;

	if (!c->service.conf->arena.lock_memory || geteuid() == 0 ||
		getrlimit(RLIMIT_MEMLOCK, &limit) || limit.rlim_max >= needed)
		return;
	problem(c,
		"arena.lock_memory: arena.max is %" PRIu64
		" MiB, RLIMIT_MEMLOCK allows %" PRIu64
		" MiB; raise it (ulimit -Hl, LimitMEMLOCK= in the unit) or set "
		"lock_memory = no",
		MIB(needed), MIB(limit.rlim_max));
}

static void probe_room(struct check *c)
{
	struct fault fault;

	memory_plan_arena(&c->service);
	if (memory_probe_room(&c->service, &fault))
		problem(c, "%s", fault.text);
}

static void probe_listen(struct check *c)
{
	const struct conf *conf = c->service.conf;
	struct fault fault;
	struct listener l;

	for (int i = 0; i < conf->network.listen_count; i++) {
		if (listener_open(&l, conf->network.listen[i], 1, &fault))
			problem(c, "%s", fault.text);
		else
			listener_close(&l);
	}
}

static const struct {
	void (*probe)(struct check *c);
	bool skip_while_running;
} probes[] = {
	{probe_worker, false},
	{probe_runtime_dir, false},
	{probe_files, false},
	{probe_locked_memory, false},
	{probe_room, true},
	{probe_listen, true},
};

int check(const struct options *options, FILE *out)
{
	static struct check c;
	char path[CONTROL_PATH_BYTES];
	bool running;

	c = (struct check){.service.options = options, .out = out};
	c.service.conf = conf_create();
	if (!c.service.conf || options_load(options, c.service.conf, out))
		return EX_CONFIG;
	service_control_path(c.service.conf, path);
	running = listener_unix_alive(path) == 1;
	for (size_t i = 0; i < sizeof(probes) / sizeof(*probes); i++)
		if (!running || !probes[i].skip_while_running)
			probes[i].probe(&c);
	worker_unload(&c.service.lib);
	if (c.problem_count == 0)
		fprintf(out, "%s: fine%s\n",
			options->conf_path ? options->conf_path : "defaults",
			running ? "; it is running: its ports and memory were "
				  "not probed"
				: "");
	return c.problem_count ? EX_CONFIG : EX_OK;
}
