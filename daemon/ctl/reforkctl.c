/* SPDX-License-Identifier: MIT */
/* reforkctl.c -- ask a daemon, or tell it.
 *
 * The daemon writes both the page for people and the JSON (report.c); this
 * program finds its socket, sends one line and prints what comes back.
 * The protocol: control.c.
 */
#include "conf/conf.h"
#include "daemon/version.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum ctl_exit {
	CTL_OK = 0,
	CTL_REFUSED = 1,
	CTL_USAGE = 2,
	CTL_NOT_ACTIVE = 3,
	CTL_NO_CONNECTION = 4,
	CTL_TIMEOUT = 5,
};

static const struct {
	enum ctl_exit code;
	const char *meaning;
} exit_codes[] = {
	{CTL_OK, "done; for `status`: the question was answered"},
	{CTL_REFUSED, "refused or failed"},
	{CTL_USAGE, "the command line is wrong"},
	{CTL_NOT_ACTIVE, "not serving (is-active), going away (wait)"},
	{CTL_NO_CONNECTION, "no daemon answers"},
	{CTL_TIMEOUT, "not in time"},
};

#define ANSWER_BYTES_MAX 65536
#define ANSWER_WAIT_MS	 10000
#define POLL_PAUSE_MS	 10
#define LINE_BYTES_MAX	 64

struct ctl {
	struct sockaddr_un address;
	const char *name;
	bool json;
	const char *wait_for;
	int64_t timeout_ms; /* -1: none */
	char answer[ANSWER_BYTES_MAX];
};

/* ---- time ---- */

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void nap(void)
{
	const struct timespec pause = {0, POLL_PAUSE_MS * 1000000L};

	nanosleep(&pause, NULL);
}

/* ---- one request ---- */

/* A connected socket, or -errno. */
static int connect_to(const struct ctl *ctl)
{
	/* A connect waits for room in the backlog, but not for ever. */
	const struct timeval patience = {.tv_sec = ANSWER_WAIT_MS / 1000};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int error;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (!connect(fd, (const struct sockaddr *)&ctl->address,
		    sizeof(ctl->address)))
		return fd;
	error = errno;
	close(fd);
	return -error;
}

static int say_no_connection(const struct ctl *ctl, int error)
{
	fprintf(stderr, "reforkctl: connect to %s: %s\n", ctl->address.sun_path,
		strerror(error));
	return CTL_NO_CONNECTION;
}

/* More of the answer. 0 at its end, -errno. */
static ssize_t receive(int fd, char *to, size_t bytes, int wait_ms)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	ssize_t n;

	if (poll(&poll_fd, 1, wait_ms) == 0)
		return -ETIMEDOUT;
	n = recv(fd, to, bytes, 0);
	return n < 0 ? -errno : n;
}

/* Send the line, collect the answer up to the end of the stream; its body is
 * left in ctl->answer. Returns 0, 1 when refused, -errno. */
static int ask(struct ctl *ctl, int fd, const char *command, const char *format,
	int wait_ms)
{
	char line[LINE_BYTES_MAX];
	size_t have = 0;
	ssize_t n;
	int bytes = snprintf(line, sizeof(line), "%s %s\n", command, format);
	char *body;

	if (send(fd, line, (size_t)bytes, MSG_NOSIGNAL) != bytes)
		return -errno;
	do {
		n = receive(fd, ctl->answer + have,
			sizeof(ctl->answer) - 1 - have, wait_ms);
		if (n < 0)
			return (int)n;
		have += (size_t)n;
	} while (n > 0);
	ctl->answer[have] = 0;
	body = strchr(ctl->answer, '\n');
	if (!body)
		return -EPROTO;
	if (strncmp(ctl->answer, "ok\n", 3))
		return 1;
	memmove(ctl->answer, body + 1, strlen(body + 1) + 1);
	return 0;
}

static int report_failure(const char *command, const struct ctl *ctl, int rc)
{
	if (rc > 0)
		fprintf(stderr, "reforkctl: %s: %s", command, ctl->answer);
	else
		fprintf(stderr, "reforkctl: %s: %s\n", command, strerror(-rc));
	return rc == -ETIMEDOUT ? CTL_TIMEOUT : CTL_REFUSED;
}

/* Connect, ask, disconnect. Returns 0 or an exit code, after saying why. */
static int exchange(
	struct ctl *ctl, const char *command, const char *format, int wait_ms)
{
	int fd = connect_to(ctl);
	int rc;

	if (fd < 0)
		return say_no_connection(ctl, -fd);
	rc = ask(ctl, fd, command, format, wait_ms);
	close(fd);
	return rc ? report_failure(command, ctl, rc) : 0;
}

/* ---- commands ---- */

/* Colour is for people who want it: https://no-color.org */
static const char *best_format(const struct ctl *ctl)
{
	const char *no_color = getenv("NO_COLOR");

	if (ctl->json)
		return "json";
	return isatty(STDOUT_FILENO) && !(no_color && *no_color) ? "color"
								 : "text";
}

static int show(struct ctl *ctl, const char *command)
{
	int rc = exchange(ctl, command, best_format(ctl), ANSWER_WAIT_MS);

	if (!rc)
		fputs(ctl->answer, stdout);
	return rc;
}

static int is_active(struct ctl *ctl, const char *command)
{
	int fd = connect_to(ctl);
	int rc;

	if (fd < 0) {
		puts("inactive");
		return CTL_NOT_ACTIVE;
	}
	rc = ask(ctl, fd, "state", "text", ANSWER_WAIT_MS);
	close(fd);
	if (rc)
		return report_failure(command, ctl, rc);
	printf("%.*s\n", (int)strcspn(ctl->answer, " "), ctl->answer);
	return strncmp(ctl->answer, "serving ", 8) ? CTL_NOT_ACTIVE : CTL_OK;
}

/* The daemon keeps the connection until it is gone. */
static int shut_down(struct ctl *ctl, const char *command)
{
	int rc = exchange(ctl, command, "text", (int)ctl->timeout_ms);

	if (!rc)
		puts("stopped");
	return rc;
}

/* "ready" or "generation=N": the generation to wait for; -1: neither. */
static long long wanted_generation(const char *text)
{
	const char prefix[] = "generation=";
	long long generation;
	char *end;

	if (!text || !strcmp(text, "ready"))
		return 0;
	if (strncmp(text, prefix, sizeof(prefix) - 1))
		return -1;
	text += sizeof(prefix) - 1;
	generation = strtoll(text, &end, 10);
	return end == text || *end || generation < 0 ? -1 : generation;
}

/* 1: it is so; 0: not yet; -errno or -ESHUTDOWN: it will not be. */
static int has_come(struct ctl *ctl, long long generation)
{
	int fd = connect_to(ctl);
	int rc;

	if (fd < 0)
		return fd;
	rc = ask(ctl, fd, "state", "text", ANSWER_WAIT_MS);
	close(fd);
	if (rc)
		return rc < 0 ? rc : -EPROTO;
	if (!strncmp(ctl->answer, "stopping ", 9))
		return -ESHUTDOWN;
	return !strncmp(ctl->answer, "serving ", 8) &&
	       atoll(ctl->answer + 8) >= generation;
}

static int wait_for(struct ctl *ctl, const char *command)
{
	long long generation = wanted_generation(ctl->wait_for);
	int64_t until_ms = now_ms() + ctl->timeout_ms;
	int rc;

	if (generation < 0) {
		fprintf(stderr, "reforkctl: --for ready or --for "
				"generation=N\n");
		return CTL_USAGE;
	}
	for (;;) {
		rc = has_come(ctl, generation);
		if (rc == 1)
			return CTL_OK;
		if (rc == -ESHUTDOWN) {
			fprintf(stderr, "reforkctl: %s: it is stopping\n",
				command);
			return CTL_NOT_ACTIVE;
		}
		if (ctl->timeout_ms >= 0 && now_ms() >= until_ms)
			break;
		nap();
	}
	/* Not there yet is what one waits for, until there is no time left. */
	if (rc < 0)
		return say_no_connection(ctl, -rc);
	fprintf(stderr, "reforkctl: %s: not in time, it is %s", command,
		ctl->answer);
	return CTL_TIMEOUT;
}

static const struct {
	const char *name;
	int (*run)(struct ctl *ctl, const char *command);
	const char *help;
} commands[] = {
	{"status", show, "what it does (the default)"},
	{"is-active", is_active, "exit 0 when it serves"},
	{"ping", show, "whether the supervisor answers"},
	{"version", show, "of the daemon and its worker"},
	{"wait", wait_for, "until it serves (--for, --timeout)"},
	{"shutdown", shut_down, "drain, stop, and wait until it is gone"},
};
#define COMMAND_COUNT (sizeof(commands) / sizeof(*commands))

/* ---- the command line ---- */

static const struct {
	char letter;
	const char *name;
	const char *argument;
	const char *help;
} options[] = {
	{'i', "instance", "NAME", "the daemon called NAME (kv)"},
	{'S', "socket", "PATH", "the daemon at this control socket"},
	{'j', "json", NULL, "answer in JSON, flat"},
	{'f', "for", "WHAT", "wait: ready (default) or generation=N"},
	{'t', "timeout", "TIME", "wait, shutdown: at most 500ms, 5s, 2min"},
	{'V', "client-version", NULL, "print the version of reforkctl"},
	{'h', "help", NULL, "print this"},
};
#define OPTION_COUNT (sizeof(options) / sizeof(*options))

static int help(void)
{
	printf("Usage: reforkctl [OPTION]... [COMMAND]\n"
	       "Ask a refork daemon, or tell it.\n\nCommands:\n");
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		printf("  %-24s %s\n", commands[i].name, commands[i].help);
	printf("\nOptions:\n");
	for (size_t i = 0; i < OPTION_COUNT; i++)
		printf("  -%c, --%-14s %-4s %s\n", options[i].letter,
			options[i].name,
			options[i].argument ? options[i].argument : "",
			options[i].help);
	printf("\nExit codes:\n");
	for (size_t i = 0; i < sizeof(exit_codes) / sizeof(*exit_codes); i++)
		printf("  %d  %s\n", exit_codes[i].code, exit_codes[i].meaning);
	return CTL_OK;
}

static int usage(const char *why, const char *what)
{
	fprintf(stderr, "reforkctl: %s%s; see reforkctl --help\n", why, what);
	return CTL_USAGE;
}

/* As in the ini: a bare number is seconds. -1: not a time. */
static int64_t parse_time_ms(const char *text)
{
	static const struct {
		const char *unit;
		int64_t ms;
	} units[] = {{"", 1000}, {"ms", 1}, {"s", 1000}, {"min", 60000},
		{"h", 3600000}};
	char *end;
	long n = strtol(text, &end, 10);

	if (end == text || n < 0 || n > 1000000)
		return -1;
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
		if (!strcmp(end, units[i].unit))
			return n * units[i].ms;
	return -1;
}

static void make_getopt(char *letters, struct option *longs)
{
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		bool takes = options[i].argument;

		*letters++ = options[i].letter;
		if (takes)
			*letters++ = ':';
		longs[i] = (struct option){
			.name = options[i].name,
			.has_arg = takes ? required_argument : no_argument,
			.val = options[i].letter,
		};
	}
	*letters = 0;
	longs[OPTION_COUNT] = (struct option){0};
}

static int set_path(struct ctl *ctl, const char *dir, const char *name)
{
	struct sockaddr_un *to = &ctl->address;
	int n = name ? snprintf(to->sun_path, sizeof(to->sun_path),
			       "%s/%s.sock", dir, name)
		     : snprintf(to->sun_path, sizeof(to->sun_path), "%s", dir);

	to->sun_family = AF_UNIX;
	return n < (int)sizeof(to->sun_path) ? 0 : -ENAMETOOLONG;
}

/* Where this user's daemons are, else where the system's are. */
static int find_socket(struct ctl *ctl)
{
	static struct conf conf;
	const char *name = ctl->name;

	if (conf_load(&conf, NULL, NULL, 0, stderr))
		return -EINVAL;
	if (!name)
		name = conf.refork.name;
	if (!set_path(ctl, conf.refork.runtime_dir, name) &&
		!access(ctl->address.sun_path, F_OK))
		return 0;
	return set_path(ctl, "/run/refork", name);
}

int main(int argc, char **argv)
{
	static struct ctl ctl = {.timeout_ms = -1};
	char letters[2 * OPTION_COUNT + 1];
	struct option longs[OPTION_COUNT + 1];
	const char *command, *socket_path = NULL;
	int letter;

	make_getopt(letters, longs);
	while ((letter = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		if (letter == 'i')
			ctl.name = optarg;
		else if (letter == 'S')
			socket_path = optarg;
		else if (letter == 'j')
			ctl.json = true;
		else if (letter == 'f')
			ctl.wait_for = optarg;
		else if (letter == 't')
			ctl.timeout_ms = parse_time_ms(optarg);
		else if (letter == 'V')
			return puts("reforkctl " VERSION) == EOF;
		else
			return letter == 'h' ? help() : usage("bad option", "");
		if (letter == 't' && ctl.timeout_ms < 0)
			return usage("not a time: ", optarg);
	}
	command = optind < argc ? argv[optind++] : commands[0].name;
	if (optind < argc)
		return usage("unexpected argument ", argv[optind]);
	if (socket_path ? set_path(&ctl, socket_path, NULL) : find_socket(&ctl))
		return usage("no such path can be a socket: ",
			socket_path ? socket_path : ctl.name);
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		if (!strcmp(commands[i].name, command))
			return commands[i].run(&ctl, command);
	return usage("unknown command ", command);
}
