/* SPDX-License-Identifier: MIT */
/* main.c -- reforkd: from the command line to the supervisor and back. */
#include "check.h"
#include "common/events.h"
#include "common/log/target.h"
#include "daemon/supervise/supervisor.h"
#include "limits.h"
#include "manager/fdstore.h"
#include "manager/notify.h"
#include "preserve.h"
#include "service.h"
#include "title.h"
#include "version.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <refork/log.h>
#include <signal.h>
#include <unistd.h>

_Static_assert((int)CONF_LOG_AUTO == (int)RF_LOG_TO_AUTO &&
		       (int)CONF_LOG_JOURNAL == (int)RF_LOG_TO_JOURNAL &&
		       (int)CONF_LOG_STDERR == (int)RF_LOG_TO_STDERR &&
		       (int)CONF_LOG_TEXT == (int)RF_LOG_AS_TEXT &&
		       (int)CONF_LOG_JSON == (int)RF_LOG_AS_JSON,
	"the words of log.target and log.format are those of the log");

/* Between two starts that fail. */
#define RETRY_S	       5
#define RETRY_SYSTEM_S 1 /* what the system has refused may be there soon */

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
	const int code = fault->exit_code;

	rf_log_event(fault->arena_refused ? RF_EVENT_ARENA_REFUSED
					  : RF_EVENT_START_FAILED,
		NULL, "%s", fault->text);
	notify_failed(code == EX_CONFIG	  ? EINVAL
		      : code == EX_NOPERM ? EACCES
					  : 0,
		fault->text);
	return code;
}

static int not_configured(const struct options *options)
{
	char why[CONF_TEXT_MAX + 64];

	snprintf(why, sizeof(why), "configuration refused, see the log%s%s",
		options->conf_path ? ": " : "",
		options->conf_path ? options->conf_path : "");
	notify_failed(EINVAL, why);
	return EX_CONFIG;
}

/* Who is tried again at once must not be tried again all the time. */
static void wait_for_end(int seconds)
{
	const struct timespec pause = {seconds, 0};
	sigset_t end;

	sigemptyset(&end);
	sigaddset(&end, SIGTERM);
	sigaddset(&end, SIGINT);
	sigprocmask(SIG_BLOCK, &end, NULL);
	sigtimedwait(&end, NULL, &pause);
}

/* A code after which the service manager does not start us again is the end of
 * all that it keeps. So a start that fails, for whatever reason, asks to be
 * tried again while it is handed state; but not all the time. What does not
 * fit stands in a file by now, and that is final (kept_refuse()). */
static int spare_kept(int code)
{
	if (code == EX_OSERR && notify_is_heard())
		wait_for_end(RETRY_SYSTEM_S);
	if (!fdstore_is_kept() || !fdstore_had("arena") ||
		service.kept_arena.refused ||
		(code != EX_USAGE && code != EX_NOPERM && code != EX_CONFIG &&
			code != EX_TEMPFAIL))
		return code;
	rf_log(RF_LOG_NOTICE,
		"the service manager keeps the state and is to try again; "
		"leaving in %d s with exit status %d; mend that and restart "
		"the service: a stop gives the state up",
		RETRY_S, EX_TEMPFAIL);
	wait_for_end(RETRY_S);
	return EX_TEMPFAIL;
}

/* What was asked for at a planned end; but state that has put the service on
 * hold is still to be looked at. */
static bool keeps_planned(const struct service *s)
{
	const struct rf_status_shm *st = s->status;
	uint64_t mib = rf_status_get(st->business.arena_size_bytes) >> 20;
	bool keep = service_keeps(s);

	if (keep && s->kept_arena.stored)
		rf_log(RF_LOG_NOTICE,
			"state of %" PRIu64 " MiB left with the service "
			"manager, which keeps it over a restart "
			"(arena.on_stop = %s)",
			mib, conf_get(s->conf, "arena.on_stop"));
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
	rf_log_open(RF_LOG_TO_AUTO); /* until it is known what is asked for */
	if (options_load(options, s->conf, stderr))
		return not_configured(options);
	rf_log_identify(s->conf->refork.name, "supervisor", 0);
	rf_log_follow_level(&s->conf->log.level);
	rf_log_follow_format(&s->conf->log.format);
	rf_log_open((enum rf_log_target)s->conf->log.target);
	prepare_signals();
	limits_raise_files(s->conf);
	limits_raise_memory();
	title_set(s->conf->refork.name, "supervisor");
	/* Nobody can ask for more while a build or an adopted arena is walked.
	 */
	notify_extend(notify_patience_ms(s->conf->arena.max_bytes));
	if (service_build(s, &fault))
		return failed(&fault);
	service_store(s);
	rc = supervisor_run(s, &fault);
	if (*fault.text)
		failed(&fault);
	/* As it was found after a failure, but state that has served is the
	 * next start's to judge. */
	keep = rc ? s->arena_adopted || s->status->business.serving_pid
		  : keeps_planned(s);
	notify_extend(notify_patience_ms(s->conf->arena.max_bytes));
	if (keep)
		preserve_end(s);
	service_release(s, keep);
	rf_log_event(RF_EVENT_STOPPED, NULL, "stopped");
	rf_log_catch_up(true);
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
	fdstore_open();
	rc = options_parse(&options, argc, argv);
	if (!rc && options.mode != OPTIONS_RUN)
		return modes[options.mode](&options);
	rc = spare_kept(rc ? rc : run(&options));
	if (rc)
		rf_log_settle();
	return rc;
}
