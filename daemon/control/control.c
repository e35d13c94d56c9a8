/* SPDX-License-Identifier: MIT */
/* control.c -- the socket that reforkctl talks to.
 *
 * One connection, one request: a line "COMMAND FORMAT", FORMAT being text,
 * color or json. The answer is a line "ok", then the body up to the end of the
 * stream; or a line "error: ..." alone. `shutdown` is answered at once and its
 * connection stays open: its end is the end of the daemon.
 *
 * Whoever reaches this socket may stop the daemon (its mode is 0600), but not
 * stall it: lines, connections and their time are limited, nothing blocks.
 */
#include "control.h"

#include <errno.h>
#include <ev.h>
#include <refork/log.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENT_COUNT_MAX  16
#define LINE_BYTES_MAX	  128
#define CLIENT_DEADLINE_S 3.
#define ACCEPT_PAUSE_S	  1.

struct client {
	struct control *control;
	ev_io io;
	ev_timer deadline;
	int fd; /* -1: free */
	bool stays;
	char line[LINE_BYTES_MAX];
	size_t line_bytes;
	char *answer;
	size_t answer_bytes, sent_bytes;
};

struct control {
	struct ev_loop *loop;
	struct control_host host;
	ev_io accept;
	ev_timer pause;
	struct client clients[CLIENT_COUNT_MAX];
};

static const struct {
	const char *name;
	void (*report)(const struct report *r, enum report_format f, FILE *out);
	bool stops;
} commands[] = {
	{"status", report_status, false},
	{"state", report_state, false},
	{"ping", report_ping, false},
	{"version", report_version, false},
	{"shutdown", report_state, true},
};
#define COMMAND_COUNT (sizeof(commands) / sizeof(*commands))

static const char *const formats[REPORT_FORMAT_COUNT] = {
	[REPORT_TEXT] = "text",
	[REPORT_COLOR] = "color",
	[REPORT_JSON] = "json",
};

static void client_close(struct client *c)
{
	ev_io_stop(c->control->loop, &c->io);
	ev_timer_stop(c->control->loop, &c->deadline);
	close(c->fd);
	free(c->answer);
	c->answer = NULL;
	c->fd = -1;
	ev_io_start(c->control->loop, &c->control->accept);
}

/* ---- the answer ---- */

static void on_writable(struct client *c)
{
	ssize_t n = send(c->fd, c->answer + c->sent_bytes,
		c->answer_bytes - c->sent_bytes, MSG_NOSIGNAL);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n >= 0)
		c->sent_bytes += (size_t)n;
	if (n >= 0 && c->sent_bytes < c->answer_bytes)
		return;
	if (n < 0 || !c->stays) {
		client_close(c);
		return;
	}
	/* Stays open, unwatched, until this process ends. */
	ev_io_stop(c->control->loop, &c->io);
	ev_timer_stop(c->control->loop, &c->deadline);
}

static int find_command(const char *name)
{
	for (size_t i = 0; name && i < COMMAND_COUNT; i++)
		if (!strcmp(commands[i].name, name))
			return (int)i;
	return -1;
}

static int find_format(const char *name)
{
	for (size_t i = 0; name && i < REPORT_FORMAT_COUNT; i++)
		if (!strcmp(formats[i], name))
			return (int)i;
	return -1;
}

static void answer(struct client *c, FILE *out)
{
	struct control_host *host = &c->control->host;
	char *rest = NULL;
	int command = find_command(strtok_r(c->line, " \r\n", &rest));
	int format = find_format(strtok_r(NULL, " \r\n", &rest));
	struct report report;

	if (command < 0 || format < 0) {
		fprintf(out, "error: unknown %s\n",
			command < 0 ? "command" : "format");
		return;
	}
	if (commands[command].stops) {
		host->stop(host->arg);
		c->stays = true;
	}
	fputs("ok\n", out);
	host->describe(host->arg, &report);
	commands[command].report(&report, (enum report_format)format, out);
}

static void start_answer(struct client *c)
{
	FILE *out = open_memstream(&c->answer, &c->answer_bytes);

	if (!out) {
		client_close(c);
		return;
	}
	answer(c, out);
	if (fclose(out)) {
		client_close(c);
		return;
	}
	ev_io_stop(c->control->loop, &c->io);
	ev_io_set(&c->io, c->fd, EV_WRITE);
	ev_io_start(c->control->loop, &c->io);
	on_writable(c);
}

/* ---- the request ---- */

static void on_readable(struct client *c)
{
	size_t room = sizeof(c->line) - 1 - c->line_bytes;
	ssize_t n = recv(c->fd, c->line + c->line_bytes, room, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		client_close(c);
		return;
	}
	c->line_bytes += (size_t)n;
	c->line[c->line_bytes] = 0;
	if (memchr(c->line, '\n', c->line_bytes))
		start_answer(c);
	else if (c->line_bytes == sizeof(c->line) - 1)
		client_close(c);
}

static void on_client(struct ev_loop *loop, ev_io *w, int events)
{
	(void)loop;
	if (events & EV_WRITE)
		on_writable(w->data);
	else
		on_readable(w->data);
}

static void on_deadline(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)loop;
	(void)events;
	client_close(w->data);
}

/* ---- accept ---- */

static struct client *free_client(struct control *control)
{
	for (size_t i = 0; i < CLIENT_COUNT_MAX; i++)
		if (control->clients[i].fd < 0)
			return &control->clients[i];
	return NULL;
}

static void client_open(struct control *control, struct client *c, int fd)
{
	*c = (struct client){.control = control, .fd = fd};
	ev_io_init(&c->io, on_client, fd, EV_READ);
	ev_timer_init(&c->deadline, on_deadline, CLIENT_DEADLINE_S, 0.);
	c->io.data = c->deadline.data = c;
	ev_io_start(control->loop, &c->io);
	ev_timer_start(control->loop, &c->deadline);
}

static void on_accept(struct ev_loop *loop, ev_io *w, int events)
{
	struct control *control = w->data;
	struct client *c = free_client(control);
	int fd;

	(void)events;
	if (!c) { /* the next one to leave starts it again */
		ev_io_stop(loop, w);
		return;
	}
	fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0) {
		client_open(control, c, fd);
	} else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
		rf_log(RF_LOG_WARNING,
			"control socket: accept: %s; next try in %.0f s",
			strerror(errno), ACCEPT_PAUSE_S);
		ev_io_stop(loop, w);
		ev_timer_set(&control->pause, ACCEPT_PAUSE_S, 0.);
		ev_timer_start(loop, &control->pause);
	}
}

static void on_pause(struct ev_loop *loop, ev_timer *w, int events)
{
	struct control *control = w->data;

	(void)events;
	ev_io_start(loop, &control->accept);
}

struct control *control_open(
	struct ev_loop *loop, int fd, const struct control_host *host)
{
	struct control *control = calloc(1, sizeof(*control));

	if (!control)
		return NULL;
	control->loop = loop;
	control->host = *host;
	for (size_t i = 0; i < CLIENT_COUNT_MAX; i++)
		control->clients[i].fd = -1;
	ev_timer_init(&control->pause, on_pause, ACCEPT_PAUSE_S, 0.);
	ev_io_init(&control->accept, on_accept, fd, EV_READ);
	control->pause.data = control->accept.data = control;
	ev_io_start(loop, &control->accept);
	return control;
}

void control_close(struct control *control)
{
	for (size_t i = 0; i < CLIENT_COUNT_MAX; i++)
		if (control->clients[i].fd >= 0 && !control->clients[i].stays)
			client_close(&control->clients[i]);
	ev_io_stop(control->loop, &control->accept);
	ev_timer_stop(control->loop, &control->pause);
	for (size_t i = 0; i < CLIENT_COUNT_MAX; i++)
		free(control->clients[i].answer);
	free(control);
}
