/* SPDX-License-Identifier: MIT */
/* trial.c -- a worker that does what a service must survive.
 *
 * Commands are looked up in a table, as in any worker; each is one way of
 * using or abusing the framework. worker_args "die_in_start=FILE:N" makes the
 * first N business children die in their start hook; FILE grows by one byte
 * per attempt, because nothing else outlives them all.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <refork/log.h>
#include <refork/slot.h>
#include <refork/tx.h>
#include <refork/worker.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LISTENER_MAX 8
#define LATER_MAX    64

struct trial { /* the root, in the arena */
	uint64_t count;
	uint64_t listeners[LISTENER_MAX]; /* connection ids, 0: free */
	int64_t later_at_ms;		  /* 0: nothing to say later */
	uint64_t deadly_ticks;		  /* so many are left to die of */
	uint64_t later_bytes;
	char later[LATER_MAX];
};

static struct trial *trial;

static int trial_build(const struct rf_env *env)
{
	(void)env;
	return rf_slot_open(
		"trial", "trial", 1, sizeof(*trial), (void **)&trial, NULL);
}

static int trial_start(const struct rf_env *env)
{
	char path[256];
	struct stat seen;
	int wanted, fd;

	if (sscanf(env->worker_args, "die_in_start=%255[^:]:%d", path,
		    &wanted) != 2)
		return 0;
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || fstat(fd, &seen) < 0)
		return -errno;
	if (seen.st_size < wanted) {
		(void)!write(fd, "x", 1);
		abort();
	}
	close(fd);
	return 0;
}

static void say(struct rf_reply *reply, const char *text)
{
	rf_reply_bytes(reply, text, strlen(text));
}

static void on_count(const struct rf_request *req, struct rf_reply *reply)
{
	char text[32];

	(void)req;
	RF_SET(trial->count, trial->count + 1);
	snprintf(text, sizeof(text), ":%llu\r\n",
		(unsigned long long)trial->count);
	say(reply, text);
}

static void on_listen(const struct rf_request *req, struct rf_reply *reply)
{
	for (int i = 0; i < LISTENER_MAX; i++) {
		if (trial->listeners[i] == 0) {
			RF_SET(trial->listeners[i], req->conn->id);
			say(reply, "+OK\r\n");
			return;
		}
	}
	say(reply, "-ERR enough listeners\r\n");
}

static void tell(const char *text, size_t bytes)
{
	for (int i = 0; i < LISTENER_MAX; i++)
		if (trial->listeners[i] != 0)
			rf_push(trial->listeners[i], text, bytes);
}

/* TELL TEXT: push raw bytes to every listener. */
static void on_tell(const struct rf_request *req, struct rf_reply *reply)
{
	if (req->argc == 2)
		tell(req->argv[1].at, req->argv[1].bytes);
	say(reply, "+OK\r\n");
}

/* LATER TEXT: the same, a little later and not as part of a request. */
static void on_later(const struct rf_request *req, struct rf_reply *reply)
{
	if (req->argc != 2 || req->argv[1].bytes > LATER_MAX) {
		say(reply, "-ERR LATER takes one short text\r\n");
		return;
	}
	rf_tx_write(trial->later, req->argv[1].at, req->argv[1].bytes);
	RF_SET(trial->later_bytes, req->argv[1].bytes);
	RF_SET(trial->later_at_ms, req->now_ms + 50);
	say(reply, "+OK\r\n");
}

/* DIE-IN-TICKS: from now on, until the service ends. */
static void on_die_in_ticks(
	const struct rf_request *req, struct rf_reply *reply)
{
	(void)req;
	RF_SET(trial->deadly_ticks, 1);
	say(reply, "+OK\r\n");
}

static uint32_t trial_tick(int64_t now_ms)
{
	if (trial->deadly_ticks != 0)
		abort();
	if (trial->later_at_ms == 0 || now_ms < trial->later_at_ms)
		return 20;
	tell(trial->later, trial->later_bytes);
	RF_SET(trial->later_at_ms, 0);
	return 20;
}

/* Point the kernel's list of robust locks at nothing, then die: no successor
 * is told that this process held the lease. */
static void on_break_lease(const struct rf_request *req, struct rf_reply *reply)
{
	static struct robust_list_head none;

	if (req->attempt > 1) {
		say(reply, "+OK\r\n");
		return;
	}
	RF_SET(trial->count, trial->count + 1000);
	none.list.next = &none.list;
	syscall(SYS_set_robust_list, &none, sizeof(none));
	raise(SIGKILL);
}

/* EXIT CODE, the first time it is tried. */
static void on_exit_code(const struct rf_request *req, struct rf_reply *reply)
{
	RF_SET(trial->count, trial->count + 1000);
	if (req->attempt == 1)
		_exit(req->argc == 2 ? atoi(req->argv[1].at) : 1);
	RF_SET(trial->count, trial->count - 1000);
	say(reply, "+OK\r\n");
}

/* SILENT: no reply at all. */
static void on_silent(const struct rf_request *req, struct rf_reply *reply)
{
	(void)req;
	rf_reply_nothing(reply);
}

/* FORGETFUL: no reply, and not on purpose. */
static void on_forgetful(const struct rf_request *req, struct rf_reply *reply)
{
	(void)req;
	(void)reply;
}

/* FAIL: an error sticks to the transaction after a change. */
static void on_fail(const struct rf_request *req, struct rf_reply *reply)
{
	(void)req;
	RF_SET(trial->count, trial->count + 1000);
	rf_tx_fail(-EIO);
	say(reply, "+never seen\r\n");
}

/* BYE: the last word on this connection. */
static void on_bye(const struct rf_request *req, struct rf_reply *reply)
{
	(void)req;
	say(reply, "+bye\r\n");
	rf_reply_close(reply);
}

/* DIE-WHEN-CLOSED: the end of this connection is deadly. */
static void on_die_when_closed(
	const struct rf_request *req, struct rf_reply *reply)
{
	RF_SET(req->conn->user[0], 1);
	say(reply, "+OK\r\n");
}

/* PARK TEXT [KILL]: TEXT is said once somebody says GO; or it kills then. */
static void on_park(const struct rf_request *req, struct rf_reply *reply)
{
	if (!req->again) {
		rf_conn_set_patient(req->conn, true);
		rf_request_park(req);
		return;
	}
	RF_SET(trial->count, trial->count + 1);
	if (req->argc > 2)
		abort();
	rf_conn_set_patient(req->conn, false);
	say(reply, "+");
	rf_reply_bytes(reply, req->argv[1].at, req->argv[1].bytes);
	say(reply, "\r\n");
}

/* GO: the number of those that are parked, and they go on. */
static void on_go(const struct rf_request *req, struct rf_reply *reply)
{
	struct rf_conn *conn = NULL;
	unsigned parked = 0;
	char text[32];

	(void)req;
	while ((conn = rf_conn_next(conn)) != NULL) {
		parked += rf_conn_is_parked(conn);
		rf_conn_resume(conn);
	}
	snprintf(text, sizeof(text), ":%u\r\n", parked);
	say(reply, text);
}

/* SHOUT BYTES: so many, as one bulk string, to all other connections. */
static void on_shout(const struct rf_request *req, struct rf_reply *reply)
{
	size_t bytes = req->argc == 2 ? strtoul(req->argv[1].at, NULL, 10) : 1;
	char *text = malloc(bytes + 64), *end;
	struct rf_conn *conn = NULL;

	if (!text)
		return;
	end = text + sprintf(text, "$%zu\r\n", bytes);
	memset(end, 'x', bytes);
	memcpy(end + bytes, "\r\n", 2);
	while ((conn = rf_conn_next(conn)) != NULL)
		if (conn != req->conn)
			rf_push(conn->id, text,
				(size_t)(end - text) + bytes + 2);
	free(text);
	say(reply, "+OK\r\n");
}

/* CLOSE-OTHERS: after a last word. */
static void on_close_others(
	const struct rf_request *req, struct rf_reply *reply)
{
	struct rf_conn *conn = NULL;

	while ((conn = rf_conn_next(conn)) != NULL) {
		if (conn == req->conn)
			continue;
		rf_push(conn->id, "+farewell\r\n", 11);
		rf_conn_close(conn);
	}
	say(reply, "+OK\r\n");
}

/* LEAVE: another process goes on. */
static void on_leave(const struct rf_request *req, struct rf_reply *reply)
{
	(void)req;
	rf_leave();
	say(reply, "+OK\r\n");
}

static const struct command {
	const char *name;
	void (*run)(const struct rf_request *req, struct rf_reply *reply);
} commands[] = {
	{"COUNT", on_count},
	{"LISTEN", on_listen},
	{"TELL", on_tell},
	{"LATER", on_later},
	{"BREAK-LEASE", on_break_lease},
	{"EXIT", on_exit_code},
	{"DIE-IN-TICKS", on_die_in_ticks},
	{"DIE-WHEN-CLOSED", on_die_when_closed},
	{"SILENT", on_silent},
	{"FORGETFUL", on_forgetful},
	{"FAIL", on_fail},
	{"BYE", on_bye},
	{"PARK", on_park},
	{"GO", on_go},
	{"SHOUT", on_shout},
	{"CLOSE-OTHERS", on_close_others},
	{"LEAVE", on_leave},
};

static void trial_request(const struct rf_request *req, struct rf_reply *reply)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (req->argv[0].bytes == strlen(commands[i].name) &&
			!memcmp(req->argv[0].at, commands[i].name,
				req->argv[0].bytes)) {
			commands[i].run(req, reply);
			return;
		}
	}
	say(reply, "+PONG\r\n");
}

static void trial_closed(struct rf_conn *conn)
{
	if (conn->user[0] != 0)
		abort();
	for (int i = 0; i < LISTENER_MAX; i++)
		if (trial->listeners[i] == conn->id)
			RF_SET(trial->listeners[i], 0);
}

RF_API const struct rf_worker refork_worker = {
	.magic = RF_WORKER_MAGIC,
	.struct_size = sizeof(struct rf_worker),
	.abi = RF_WORKER_ABI,
	.name = "trial",
	.version = "1",
	.state_version = 1,
	.build = trial_build,
	.start = trial_start,
	.request = trial_request,
	.tick = trial_tick,
	.closed = trial_closed,
};
