/* SPDX-License-Identifier: MIT */
/* main.c -- reforkd: from the command line to the supervisor and back. */
#include "check.h"
#include "daemon/supervise/supervisor.h"
#include "limits.h"
#include "service.h"
#include "title.h"
#include "version.h"

#include <fcntl.h>
#include <inttypes.h>
#include <refork/log.h>
#include <signal.h>
#include <unistd.h>

static struct service service; /* workers and children point into it */

/* Descriptors 0 to 2 are spoken to by name: a socket that took the number of a
 * closed one would hear log lines. */
static void fill_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/* From here on these three wait for the loop's signalfd: a start that is
 * interrupted is still undone in order. */
static void prepare_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_SETMASK, &set, NULL);
}

static int failed(const struct fault *fault)
{
	rf_log(RF_LOG_ERROR, "%s", fault->text);
	return fault->exit_code;
}

static bool is_to_be_kept(const struct conf *conf)
{
	if (conf->arena.on_stop == CONF_ON_STOP_AUTO)
		return conf->arena.backend == CONF_BACKEND_FILE;
	return conf->arena.on_stop == CONF_ON_STOP_KEEP;
}

/* What was asked for at a planned end; but state that has put the service on
 * hold is still to be looked at. */
static bool keeps_planned(const struct service *s)
{
	const struct rf_status_shm *st = s->status;
	uint64_t mib = rf_status_get(st->business.arena_size_bytes) >> 20;
	bool keep = is_to_be_kept(s->conf);

	if (keep)
		return true;
	keep = rf_status_get(st->supervisor.rung) == RF_RUNG_HOLD;
	rf_log(RF_LOG_NOTICE,
		keep ? "state of %" PRIu64 " MiB kept: the service was on hold"
		     : "state of %" PRIu64 " MiB released (arena.on_stop = %s)",
		mib, conf_get(s->conf, "arena.on_stop"));
	return keep;
}

static int run(const struct options *options)
{
	struct service *s = &service;
	struct fault fault = {0};
	bool keep;
	int rc;

	s->options = options;
	if (options_load(options, s->conf, stderr))
		return EX_CONFIG;
	rf_log_identify(s->conf->refork.name, "supervisor", 0);
	rf_log_follow_level(&s->conf->log.level);
	prepare_signals();
	limits_raise_files(s->conf);
	limits_raise_memory();
	title_set(s->conf->refork.name, "supervisor");
	if (service_build(s, &fault))
		return failed(&fault);
	rc = supervisor_run(s, &fault);
	if (*fault.text)
		failed(&fault);
	/* As it was found after a failure, but state that has served is the
	 * next start's to judge. */
	keep = rc ? s->arena_adopted || s->status->business.serving_pid
		  : keeps_planned(s);
	service_release(s, keep);
	rf_log(RF_LOG_NOTICE, "stopped");
	return rc;
}

static int run_check(const struct options *options)
{
	return check(options, stdout);
}

static int print_config(const struct options *options)
{
	struct conf *conf = service.conf;

	if (options_load(options, conf, stderr))
		return EX_CONFIG;
	conf_print(conf, stdout);
	return EX_OK;
}

static int print_version(const struct options *options)
{
	(void)options;
	printf("reforkd %s (worker ABI %d)\n", VERSION, RF_WORKER_ABI);
	return EX_OK;
}

static int print_help(const struct options *options)
{
	(void)options;
	options_help(stdout);
	return EX_OK;
}

static int (*const modes[OPTIONS_MODE_COUNT])(const struct options *) = {
	[OPTIONS_RUN] = run,
	[OPTIONS_CHECK] = run_check,
	[OPTIONS_PRINT_CONFIG] = print_config,
	[OPTIONS_VERSION] = print_version,
	[OPTIONS_HELP] = print_help,
};

int main(int argc, char **argv)
{
	static struct options options;
	int rc;

	fill_standard_descriptors();
	title_init(argc, &argv);
	service.conf = conf_create();
	if (!service.conf) {
		perror("reforkd: memory for the configuration");
		return EX_OSERR;
	}
	rc = options_parse(&options, argc, argv);
	return rc ? rc : modes[options.mode](&options);
}
