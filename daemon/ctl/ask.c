/* SPDX-License-Identifier: MIT */
/* ask.c -- one request to the daemon, one answer. The line: daemon/wire.h. */
#include "ask.h"

#include "conf/conf.h"
#include "daemon/wire.h"

#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Of the system's daemons. */
#define SYSTEM_DIR   "/run/refork"
#define PING_WAIT_MS 500

#define PIECE_BYTES	 65536
#define ANSWER_BYTES_MAX ((size_t)1 << 30)

int64_t ask_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- where ---- */

static int set_path(struct ctl *ctl, const char *dir, const char *name)
{
	struct sockaddr_un *to = &ctl->address;
	int n = name ? snprintf(to->sun_path, sizeof(to->sun_path),
			       "%s/%s.sock", dir, name)
		     : snprintf(to->sun_path, sizeof(to->sun_path), "%s", dir);

	to->sun_family = AF_UNIX;
	if (n < (int)sizeof(to->sun_path))
		return 0;
	ctl_usage("too long for a socket: ", name ? name : dir);
	return -EINVAL;
}

/* Where this user's daemons are, else where the system's are. */
int ask_find(struct ctl *ctl)
{
	static struct conf conf;
	const char *name = ctl->instance;
	int rc;

	if (ctl->socket_path)
		return set_path(ctl, ctl->socket_path, NULL);
	if (conf_load(&conf, NULL, NULL, 0, stderr))
		return -EINVAL;
	if (!name)
		name = conf.refork.name;
	ctl->instance = name;
	ctl->runtime_dir = conf.refork.runtime_dir;
	rc = set_path(ctl, conf.refork.runtime_dir, name);
	if (rc || !access(ctl->address.sun_path, F_OK))
		return rc;
	return set_path(ctl, SYSTEM_DIR, name);
}

/* A connected socket, or -errno. A connect waits for room in the backlog, but
 * not for ever. */
static int connect_to(const struct ctl *ctl)
{
	const struct timeval patience = {.tv_sec = ASK_WAIT_MS / 1000};
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

/* ---- the answer ---- */

static int time_left(int64_t until_ms)
{
	int64_t left;

	if (until_ms < 0)
		return -1;
	left = until_ms - ask_now_ms();
	return left < 0 ? 0 : left < 3600000 ? (int)left : 3600000;
}

static int make_room(struct ctl *ctl, size_t *room)
{
	char *grown;

	if (*room - ctl->answer_bytes > PIECE_BYTES)
		return 0;
	if (*room >= ANSWER_BYTES_MAX)
		return -EMSGSIZE;
	grown = realloc(ctl->answer, *room * 2 + 2 * PIECE_BYTES);
	if (!grown)
		return -ENOMEM;
	ctl->answer = grown;
	*room = *room * 2 + 2 * PIECE_BYTES;
	return 0;
}

/* Up to the end of the stream. */
static int receive(struct ctl *ctl, int fd, int64_t until_ms)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	size_t room = 0;
	ssize_t n;
	int rc;

	free(ctl->answer);
	ctl->answer = NULL;
	ctl->answer_bytes = 0;
	do {
		rc = make_room(ctl, &room);
		if (rc)
			return rc;
		rc = poll(&poll_fd, 1, time_left(until_ms));
		if (rc <= 0)
			return rc ? -errno : -ETIMEDOUT;
		n = recv(fd, ctl->answer + ctl->answer_bytes, PIECE_BYTES, 0);
		if (n < 0)
			return -errno;
		ctl->answer_bytes += (size_t)n;
	} while (n > 0);
	ctl->answer[ctl->answer_bytes] = 0;
	return 0;
}

/* Take the head off. */
static int judge(struct ctl *ctl)
{
	static const struct {
		const char *text;
		int rc;
	} heads[] = {{"ok\n", 0}, {"error: ", 1}};

	for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++) {
		size_t bytes = strlen(heads[i].text);

		if (strncmp(ctl->answer, heads[i].text, bytes))
			continue;
		ctl->answer_bytes -= bytes;
		memmove(ctl->answer, ctl->answer + bytes,
			ctl->answer_bytes + 1);
		return heads[i].rc;
	}
	return -EPROTO;
}

int ask(struct ctl *ctl, const char *verb, const char *format,
	char *const *arguments, int64_t wait_ms)
{
	int64_t until_ms = wait_ms < 0 ? -1 : ask_now_ms() + wait_ms;
	char line[WIRE_LINE_BYTES_MAX];
	char *words[WIRE_WORDS_MAX] = {(char *)verb, (char *)format};
	int count = 2, fd, rc;

	for (; arguments && *arguments && count < WIRE_WORDS_MAX; arguments++)
		words[count++] = *arguments;
	rc = wire_pack(line, words, count);
	if (rc < 0)
		return rc;
	fd = connect_to(ctl);
	if (fd < 0)
		return fd;
	if (send(fd, line, (size_t)rc, MSG_NOSIGNAL) != rc)
		rc = -errno;
	else
		rc = receive(ctl, fd, until_ms);
	close(fd);
	return rc ? rc : judge(ctl);
}

/* ---- no answer ---- */

/* Those that answer, of one directory. */
static int put_running(const char *dir, int count)
{
	struct ctl other = {0};
	char pattern[PATH_MAX];
	glob_t found;

	snprintf(pattern, sizeof(pattern), "%s/*.sock", dir);
	if (glob(pattern, 0, NULL, &found))
		return count;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		const char *path = found.gl_pathv[i];
		const char *name = strrchr(path, '/') + 1;

		if (strlen(path) >= sizeof(other.address.sun_path) ||
			set_path(&other, path, NULL) ||
			ask(&other, "ping", "text", NULL, PING_WAIT_MS))
			continue;
		fprintf(stderr, "%s%.*s", count++ ? ", " : "; running there: ",
			(int)(strlen(name) - strlen(".sock")), name);
	}
	free(other.answer);
	globfree(&found);
	return count;
}

static void tell_running(const struct ctl *ctl, int rc)
{
	bool two = strcmp(ctl->runtime_dir, SYSTEM_DIR);
	int count;

	fprintf(stderr,
		"reforkctl: no daemon called '%s' in %s%s%s (connect to %s: "
		"%s)",
		ctl->instance, ctl->runtime_dir, two ? " or " : "",
		two ? SYSTEM_DIR : "", ctl->address.sun_path, strerror(-rc));
	count = put_running(ctl->runtime_dir, 0);
	if (two)
		count = put_running(SYSTEM_DIR, count);
	fprintf(stderr,
		"%s; one with another refork.runtime_dir: -S DIR/%s.sock\n",
		count ? "" : "; none is running there", ctl->instance);
}

enum ctl_exit ask_failed(const struct ctl *ctl, const char *command, int rc)
{
	static const struct {
		int error;
		const char *words;
		enum ctl_exit code;
	} known[] = {
		{-ETIMEDOUT, "no answer in time", CTL_TIMEOUT},
		{-EPROTO, "the answer ended early; see the daemon's log",
			CTL_REFUSED},
		{-EMSGSIZE, "too long", CTL_REFUSED},
		{-ENOMEM, "no memory for the answer", CTL_REFUSED},
	};

	if (rc > 0) {
		fprintf(stderr, "reforkctl: %s: %s", command, ctl->answer);
		return CTL_REFUSED;
	}
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (rc != known[i].error)
			continue;
		fprintf(stderr, "reforkctl: %s: %s\n", command, known[i].words);
		return known[i].code;
	}
	if (!ctl->socket_path && (rc == -ENOENT || rc == -ECONNREFUSED))
		tell_running(ctl, rc);
	else
		fprintf(stderr, "reforkctl: connect to %s: %s\n",
			ctl->address.sun_path, strerror(-rc));
	return CTL_NO_CONNECTION;
}

/* Colour is for people who want it: https://no-color.org */
const char *ask_format(const struct ctl *ctl)
{
	const char *no_color = getenv("NO_COLOR");

	if (ctl->json)
		return "json";
	return isatty(STDOUT_FILENO) && !(no_color && *no_color) ? "color"
								 : "text";
}
