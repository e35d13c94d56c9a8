/* SPDX-License-Identifier: MIT */
/* messages.c -- what each message of the request ring has the desk do. */
#include "messages.h"
#include "common/super.h"
#include <errno.h>
#include <refork/heap.h>
#include <refork/log.h>
#include <refork/tx.h>
#include <stdio.h>
#include <stdlib.h>

#define MINE (&RF_SUPER->desk)

static const char no_reply_text[] =
	"ERR the worker's handler gave no reply to this request";

void messages_error(
	struct desk *desk, uint64_t conn_id, const char *text, uint16_t flags)
{
	reply_begin(conn_id);
	rf_reply_bytes(&desk->reply, text, strlen(text));
	desk->reply.flags |= flags;
	reply_end(RF_MSG_ERROR);
}

static void answer_crashed(const struct job *job)
{
	static const char *const words[] = {"never", "once", "twice"};
	char times[24], text[160];

	snprintf(times, sizeof times, "%u times", job->attempts_max);
	snprintf(text, sizeof text,
		"CRASHED this request ended the business process %s and was "
		"skipped; nothing of it took effect",
		job->attempts_max <= 2 ? words[job->attempts_max] : times);
	rf_log(RF_LOG_ERROR,
		"request at %llu: ended the process %u times; skipped, "
		"answered with -CRASHED",
		(unsigned long long)MINE->request_pos, job->attempts_max);
	messages_error(job->desk, job->msg.conn_id, text, RF_MSG_CRASHED);
	RF_SET(MINE->quarantined, MINE->quarantined + 1);
}

static void end_conn(struct desk *desk, struct rf_conn *conn, unsigned attempt)
{
	if (desk->worker->closed != NULL && attempt <= DESK_CLOSED_ATTEMPTS)
		desk->worker->closed(conn);
	conns_close(conn);
}

static int on_open(struct job *job)
{
	if (job->attempt > job->attempts_max)
		return 0;
	if (conns_open(job->msg.conn_id, (const char *)job->payload, job->bytes,
		    job->desk->now_ms) == NULL)
		rf_log(RF_LOG_WARNING,
			"connection %llu: no memory for its "
			"record; its requests will be refused",
			(unsigned long long)rf_conn_serial(job->msg.conn_id));
	return 0;
}

static int on_close(struct job *job)
{
	struct rf_conn *conn = conns_find(job->msg.conn_id);

	if (conn != NULL)
		end_conn(job->desk, conn, job->attempt);
	return 0;
}

void messages_forget_conn(struct rf_conn *conn, int error)
{
	rf_log(RF_LOG_WARNING,
		"connection %llu: the worker's closed hook failed: %s; what "
		"it kept for the connection stays in the arena",
		(unsigned long long)rf_conn_serial(conn->id), strerror(-error));
	conns_close(conn);
}

void messages_end_all_conns(struct desk *desk, unsigned attempt)
{
	struct rf_conn *conn;
	int error;

	for (size_t slot = 0; (conn = conns_next(&slot)) != NULL; slot++) {
		rf_tx_begin();
		reply_begin(0);
		end_conn(desk, conn, attempt);
		error = rf_tx_commit();
		if (rf_likely(error == 0))
			continue;
		rf_tx_begin();
		messages_forget_conn(conn, error);
		RF_CHECK(rf_tx_commit() == 0);
	}
}

static int on_reset(struct job *job)
{
	(void)job; /* the work was done before its transaction */
	return 0;
}

static bool args_make_room(struct desk *desk, uint32_t count)
{
	struct rf_bytes *args;

	if (count <= desk->args_room)
		return true;
	args = realloc(desk->args, count * sizeof *args);
	if (args == NULL)
		return false;
	desk->args = args;
	desk->args_room = count;
	return true;
}

/* The arguments stay where they are; only their places are taken down. The
 * lengths are another process's: each is read once and held against the end. */
static int take_args(struct job *job, uint32_t *argc)
{
	const uint8_t *at = job->payload;
	size_t rest = job->bytes;
	uint32_t count;

	if (rest < sizeof count)
		return -EBADMSG;
	memcpy(&count, at, sizeof count);
	rest -= sizeof count;
	if (count == 0 || count > rest / sizeof(uint32_t))
		return -EBADMSG;
	if (!args_make_room(job->desk, count))
		return -ENOMEM;
	rest -= count * sizeof(uint32_t);
	at += sizeof count;
	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *bytes = job->payload + job->bytes - rest;
		uint32_t length;

		memcpy(&length, at + i * sizeof length, sizeof length);
		if (length > rest)
			return -EBADMSG;
		job->desk->args[i] =
			(struct rf_bytes){(const char *)bytes, length};
		rest -= length;
	}
	*argc = count;
	return 0;
}

static int on_request(struct job *job)
{
	struct desk *desk = job->desk;
	enum rf_msg_type type = RF_MSG_REPLY;
	struct rf_request request = {
		.conn = conns_find(job->msg.conn_id),
		.attempt = job->attempt,
		.now_ms = desk->now_ms,
	};
	int error;

	if (rf_unlikely(request.conn == NULL)) {
		messages_error(desk, job->msg.conn_id,
			"ERR no memory for this connection's record",
			RF_MSG_LAST_WORD);
		return 0;
	}
	if (rf_unlikely(job->attempt > job->attempts_max)) {
		answer_crashed(job);
		return 0;
	}
	error = take_args(job, &request.argc);
	if (rf_unlikely(error == -EBADMSG))
		return error;
	if (rf_unlikely(error != 0)) {
		rf_tx_fail(error);
		return 0;
	}
	request.argv = desk->args;
	desk->worker->request(&request, &desk->reply);
	if (rf_unlikely(desk->reply.bytes == 0 && !desk->reply.nothing &&
			desk->reply.flags == 0)) {
		rf_reply_bytes(
			&desk->reply, no_reply_text, sizeof no_reply_text - 1);
		type = RF_MSG_ERROR;
	}
	/* What came in behind a last word finds no connection to run for. */
	if (rf_unlikely(desk->reply.flags & RF_MSG_LAST_WORD))
		end_conn(desk, request.conn, job->attempt);
	reply_end(type);
	rf_status_add(desk->status->business.requests, 1);
	return 0;
}

const struct message messages[RF_MSG_TYPE_COUNT] = {
	[RF_MSG_RESET] = {on_reset, RF_PHASE_CONNECTION},
	[RF_MSG_OPEN] = {on_open, RF_PHASE_CONNECTION},
	[RF_MSG_CLOSE] = {on_close, RF_PHASE_CONNECTION},
	[RF_MSG_REQUEST] = {on_request, RF_PHASE_REQUEST},
};
