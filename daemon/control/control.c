/* SPDX-License-Identifier: MIT */
/* control.c -- the socket that reforkctl talks to.
 *
 * One connection, one request (daemon/wire.h), one answer: "ok\n" and the body
 * up to the end of the stream, or "error: WHY\n". What can be asked for:
 * verbs.c. An answer may come much later, or never, or when its client is long
 * gone: the place of such a client is kept until nobody holds a pointer to it.
 *
 *	free --accept--> asks --a line--> waits --finish()--> is sent --> free
 *	                                \------- at once ----/   \--> stays
 *
 * A client that stays (shutdown) is left open: its end is the end of the
 * daemon. Whoever reaches this socket may stop the daemon (refork.control_mode
 * says who that is), but not stall it: lines, connections and their time are
 * limited, nothing blocks.
 */
#include "control.h"

#include "daemon/wire.h"

#include <errno.h>
#include <ev.h>
#include <refork/log.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENT_COUNT_MAX 16
#define ASK_DEADLINE_S	 3.
#define SEND_DEADLINE_S	 10.
#define ACCEPT_PAUSE_S	 1.

struct client {
	struct control *control;
	ev_io io;
	ev_timer deadline, poll;
	int fd;	      /* -1: none */
	bool waits;   /* for finish() */
	bool awaited; /* call.done has been handed on and not come back */
	bool stays;
	size_t line_bytes;
	struct verb_call call;
	const char *head;
	char *body;
	size_t body_bytes, sent_bytes; /* sent: head and body */
	char line[WIRE_LINE_BYTES_MAX];
};

struct control {
	struct ev_loop *loop;
	struct verb_host host;
	struct rates rates;
	ev_io accept;
	ev_timer pause, sample;
	struct client clients[CLIENT_COUNT_MAX];
};

static const char *const formats[REPORT_FORMAT_COUNT] = {
	[REPORT_TEXT] = "text",
	[REPORT_COLOR] = "color",
	[REPORT_JSON] = "json",
};

static void client_close(struct client *c)
{
	struct ev_loop *loop = c->control->loop;

	ev_io_stop(loop, &c->io);
	ev_timer_stop(loop, &c->deadline);
	ev_timer_stop(loop, &c->poll);
	close(c->fd);
	c->fd = -1;
	c->waits = false;
	if (c->call.out)
		fclose(c->call.out);
	c->call.out = NULL;
	free(c->body);
	c->body = NULL;
	ev_io_start(loop, &c->control->accept);
}

static void set_deadline(struct client *c, double seconds)
{
	ev_timer_stop(c->control->loop, &c->deadline);
	ev_timer_set(&c->deadline, seconds, 0.);
	ev_timer_start(c->control->loop, &c->deadline);
}

/* ---- the answer is sent ---- */

static void on_writable(struct client *c)
{
	size_t head = strlen(c->head);
	bool in_head = c->sent_bytes < head;
	const char *from = in_head ? c->head + c->sent_bytes
				   : c->body + (c->sent_bytes - head);
	size_t left = (in_head ? head : head + c->body_bytes) - c->sent_bytes;
	ssize_t n = send(c->fd, from, left, MSG_NOSIGNAL);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n >= 0)
		c->sent_bytes += (size_t)n;
	if (n >= 0 && c->sent_bytes < head + c->body_bytes)
		return;
	if (n < 0 || !c->stays) {
		client_close(c);
		return;
	}
	/* Stays open, unwatched, until this process ends. */
	ev_io_stop(c->control->loop, &c->io);
	ev_timer_stop(c->control->loop, &c->deadline);
}

static void send_answer(struct client *c, enum verb_result result)
{
	struct ev_loop *loop = c->control->loop;
	int rc = fclose(c->call.out);

	c->call.out = NULL;
	c->waits = false;
	ev_timer_stop(loop, &c->poll);
	if (rc) {
		client_close(c);
		return;
	}
	c->head = result == VERB_DONE ? "ok\n" : "error: ";
	set_deadline(c, SEND_DEADLINE_S);
	ev_io_stop(loop, &c->io);
	ev_io_set(&c->io, c->fd, EV_WRITE);
	ev_io_start(loop, &c->io);
	on_writable(c);
}

/* ---- the answer is awaited ---- */

static void wait_for_answer(struct client *c)
{
	c->waits = true;
	set_deadline(c, c->call.verb->deadline_s);
	if (!c->call.verb->poll_ms) {
		c->awaited = true;
		return;
	}
	c->poll.repeat = c->call.verb->poll_ms / 1000.;
	ev_timer_again(c->control->loop, &c->poll);
}

static void on_done(void *arg, const struct family_outcome *outcome)
{
	struct client *c = arg;

	c->awaited = false;
	if (c->waits)
		send_answer(c, c->call.verb->finish(&c->call, outcome));
	else if (c->fd < 0) /* its place is free only now */
		ev_io_start(c->control->loop, &c->control->accept);
}

static void on_poll(struct ev_loop *loop, ev_timer *w, int events)
{
	struct client *c = w->data;
	enum verb_result result = c->call.verb->finish(&c->call, NULL);

	(void)loop;
	(void)events;
	if (result != VERB_LATER)
		send_answer(c, result);
}

static void on_deadline(struct ev_loop *loop, ev_timer *w, int events)
{
	struct client *c = w->data;

	(void)loop;
	(void)events;
	if (!c->waits) {
		client_close(c);
		return;
	}
	fprintf(c->call.out,
		"not done within %u s; if it has begun, it goes on by itself\n",
		c->call.verb->deadline_s);
	send_answer(c, VERB_REFUSED);
}

/* ---- the request ---- */

static int find_format(const char *name)
{
	for (size_t i = 0; i < REPORT_FORMAT_COUNT; i++)
		if (!strcmp(formats[i], name))
			return (int)i;
	return -1;
}

/* What is wrong with the words of a request; NULL: nothing, the call is set. */
static const char *fill_call(struct client *c, char **words, int count)
{
	const struct verb *verb = count > 0 ? verb_find(words[0]) : NULL;
	int format = count > 1 ? find_format(words[1]) : -1;
	int argc = count - 2;

	if (count < 0)
		return "the line is no request";
	if (!verb)
		return "unknown command; is reforkctl of another version?";
	if (format < 0)
		return "unknown format";
	if (argc < verb->args_min || argc > verb->args_max)
		return "wrong number of arguments";
	c->call.verb = verb;
	c->call.format = (enum report_format)format;
	c->call.argc = argc;
	memcpy(c->call.argv, words + 2, (size_t)argc * sizeof(*words));
	return NULL;
}

/* Who may reach the socket may order; this is who did. */
static void log_order(const struct client *c)
{
	struct ucred who = {0};
	socklen_t bytes = sizeof(who);

	if (!c->call.verb->orders)
		return;
	if (getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &who, &bytes))
		who = (struct ucred){.uid = (uid_t)-1};
	rf_log(RF_LOG_NOTICE, "%s asked for by uid %d pid %d",
		c->call.verb->name, (int)who.uid, (int)who.pid);
}

static void run(struct client *c)
{
	char *words[WIRE_WORDS_MAX];
	const char *flaw = fill_call(c, words, wire_unpack(c->line, words));
	enum verb_result result;

	c->call.out = open_memstream(&c->body, &c->body_bytes);
	if (!c->call.out) {
		client_close(c);
		return;
	}
	if (flaw) {
		fprintf(c->call.out, "%s\n", flaw);
		send_answer(c, VERB_REFUSED);
		return;
	}
	log_order(c);
	c->stays = c->call.verb->stops;
	result = c->call.verb->run(&c->call);
	if (result == VERB_LATER)
		wait_for_answer(c);
	else
		send_answer(c, result);
}

static void on_readable(struct client *c)
{
	size_t room = sizeof(c->line) - c->line_bytes;
	char *at = c->line + c->line_bytes, *end;
	ssize_t n = recv(c->fd, at, room, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	/* Who waits has nothing more to say. */
	if (n <= 0 || c->waits) {
		client_close(c);
		return;
	}
	c->line_bytes += (size_t)n;
	end = memchr(at, '\n', (size_t)n);
	if (end) {
		*end = 0;
		run(c);
	} else if (c->line_bytes == sizeof(c->line)) {
		client_close(c);
	}
}

static void on_client(struct ev_loop *loop, ev_io *w, int events)
{
	(void)loop;
	if (events & EV_WRITE)
		on_writable(w->data);
	else
		on_readable(w->data);
}

/* ---- accept ---- */

static struct client *free_client(struct control *control)
{
	for (size_t i = 0; i < CLIENT_COUNT_MAX; i++)
		if (control->clients[i].fd < 0 && !control->clients[i].awaited)
			return &control->clients[i];
	return NULL;
}

static void client_open(struct control *control, struct client *c, int fd)
{
	memset(c, 0, offsetof(struct client, line));
	c->control = control;
	c->fd = fd;
	c->call.host = &control->host;
	c->call.rates = &control->rates;
	c->call.done = (struct family_done){.call = on_done, .arg = c};
	ev_io_init(&c->io, on_client, fd, EV_READ);
	ev_timer_init(&c->deadline, on_deadline, ASK_DEADLINE_S, 0.);
	ev_init(&c->poll, on_poll);
	c->io.data = c->deadline.data = c->poll.data = c;
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

/* ---- the whole ---- */

static void on_sample(struct ev_loop *loop, ev_timer *w, int events)
{
	struct control *control = w->data;

	(void)loop;
	(void)events;
	rates_sample(&control->rates, control->host.service->status,
		rf_monotonic_us());
}

struct control *control_open(
	struct ev_loop *loop, int fd, const struct verb_host *host)
{
	struct control *control = calloc(1, sizeof(*control));

	if (!control)
		return NULL;
	control->loop = loop;
	control->host = *host;
	for (size_t i = 0; i < CLIENT_COUNT_MAX; i++)
		control->clients[i].fd = -1;
	ev_timer_init(&control->pause, on_pause, ACCEPT_PAUSE_S, 0.);
	ev_timer_init(&control->sample, on_sample, 0., RATES_PERIOD_S);
	ev_io_init(&control->accept, on_accept, fd, EV_READ);
	control->pause.data = control->accept.data = control;
	control->sample.data = control;
	ev_io_start(loop, &control->accept);
	ev_timer_start(loop, &control->sample);
	return control;
}

void control_close(struct control *control)
{
	for (size_t i = 0; i < CLIENT_COUNT_MAX; i++)
		if (control->clients[i].fd >= 0 && !control->clients[i].stays)
			client_close(&control->clients[i]);
	ev_io_stop(control->loop, &control->accept);
	ev_timer_stop(control->loop, &control->pause);
	ev_timer_stop(control->loop, &control->sample);
	for (size_t i = 0; i < CLIENT_COUNT_MAX; i++)
		free(control->clients[i].body);
	free(control);
}
