/* SPDX-License-Identifier: MIT */
/* messages.c -- what each message of the request ring has the desk do. */
#include "messages.h"
#include "common/events.h"
#include "conf/conf.h"
#include "parked.h"
#include <errno.h>
#include <refork/heap.h>
#include <refork/log.h>
#include <refork/tx.h>
#include <stdio.h>
#include <stdlib.h>

#define MINE (&RF_SUPER->desk)

static const char no_reply_text[] =
	"ERR the worker's handler gave no reply to this request";

/* What waits for one connection may be as long as one request. */
#define WAITING_BYTES_MIN ((size_t)1 << 20)

/* Answer with RF_MSG_ERROR; flags as of its message. */
static void say_error(const struct job *job, const char *text, uint16_t flags)
{
	struct rf_reply *reply = &job->desk->reply;

	reply_begin(job->msg.conn_id);
	reply->unasked = job->parked != NULL;
	rf_reply_bytes(reply, text, strlen(text));
	reply->flags |= flags;
}

/* The reply says whether the connection's patience is another now. */
static void say_patience(
	struct desk *desk, const struct rf_conn *conn, bool before)
{
	if (rf_unlikely(conns_is_patient(conn) != before))
		desk->reply.flags |= before ? RF_MSG_IMPATIENT : RF_MSG_PATIENT;
}

/* A request that was answered with an error, and will not be run. */
static void end_error(const struct job *job)
{
	struct rf_conn *conn = conns_find(job->msg.conn_id);
	bool patient = conn != NULL && conns_is_patient(conn);

	if (job->parked != NULL && conn != NULL) {
		parked_done(conn);
		say_patience(job->desk, conn, patient);
	}
	reply_end(RF_MSG_ERROR);
}

/* The worker's part of a skip, unless that kills as well. */
static void have_skipped(const struct job *job, const struct rf_request *req)
{
	struct desk *desk = job->desk;

	if (desk->worker->skipped == NULL ||
		job->attempt > job->attempts_max + DESK_SKIPPED_ATTEMPTS)
		return;
	desk->worker->skipped(req);
	messages_end_closing(desk);
}

/* `req` NULL: the worker is not told. */
static void answer_crashed(const struct job *job, const struct rf_request *req)
{
	static const char *const words[] = {"never", "once", "twice"};
	char times[24], text[160];

	snprintf(times, sizeof times, "%u times", job->attempts_max);
	snprintf(text, sizeof text,
		"CRASHED this request ended the business process %s and was "
		"skipped; nothing of it took effect",
		job->attempts_max <= 2 ? words[job->attempts_max] : times);
	rf_log_event(RF_EVENT_QUARANTINED, NULL,
		"%srequest at %llu: ended the process %u times; skipped, "
		"answered with -CRASHED",
		job->parked != NULL ? "parked " : "",
		(unsigned long long)(job->position & ~RF_PARKED_POS),
		job->attempts_max);
	say_error(job, text, RF_MSG_CRASHED);
	if (req != NULL)
		have_skipped(job, req);
	end_error(job);
	RF_SET(MINE->quarantined, MINE->quarantined + 1);
}

static void end_conn(struct desk *desk, struct rf_conn *conn, unsigned attempt)
{
	if (desk->worker->closed != NULL && attempt <= DESK_CLOSED_ATTEMPTS) {
		RF_SET(conn->own[RF_OWN_FLAGS],
			conn->own[RF_OWN_FLAGS] | RF_CONN_CLOSING);
		desk->worker->closed(conn);
	}
	conns_close(conn);
}

void messages_end_closing(struct desk *desk)
{
	struct rf_conn *conn;

	if (rf_likely(!(desk->asked & ASK_CLOSE)))
		return;
	while ((conn = desk->closing) != NULL && rf_tx_error() == 0) {
		desk->closing = (struct rf_conn *)conn->own[RF_OWN_NEXT];
		end_conn(desk, conn, 1);
	}
}

static int on_open(struct job *job)
{
	if (!conns_may_open(job->msg.conn_id))
		return -EBADMSG;
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

/* ---- requests ---- */

/* 0; -ENOMEM: the arguments have no room; -EBADMSG: they are none. */
static int request_of(struct job *job, struct rf_request *out)
{
	int error;

	*out = (struct rf_request){
		.conn = conns_find(job->msg.conn_id),
		.attempt = job->attempt,
		.now_ms = job->desk->now_ms,
		.again = job->parked != NULL && job->parked->again != 0,
		.first = job->desk->has_waited,
	};
	error = take_args(job, &out->argc);
	out->argv = job->desk->args;
	return error;
}

void messages_refuse(struct job *job, const char *text, bool tell)
{
	struct rf_request request;

	if (job->attempt > job->attempts_max) {
		answer_crashed(job, NULL); /* the worker has been told */
		return;
	}
	say_error(job, text, 0);
	if (tell && request_of(job, &request) == 0 && request.conn != NULL)
		have_skipped(job, &request);
	end_error(job);
}

/* Another one of its connection waits: so does this, behind it. When it cannot,
 * the connection ends: an error now would be told before that one's reply. */
static void queue(const struct job *job, struct rf_conn *conn)
{
	struct desk *desk = job->desk;
	size_t limit = desk->self->conf->network.max_request_bytes;
	const char *why = NULL;

	if (limit < WAITING_BYTES_MIN)
		limit = WAITING_BYTES_MIN;
	if (job->attempt > job->attempts_max)
		why = "its request has ended the process";
	else if (conn->own[RF_OWN_BYTES] >= limit)
		why = "as many bytes as max_request wait for it";
	else if (parked_add(conn, job->payload, job->bytes, false) != 0)
		why = "no memory for what it sent while a request waits";
	if (rf_unlikely(why != NULL)) {
		rf_log(RF_LOG_WARNING, "connection %llu: %s; closed",
			(unsigned long long)rf_conn_serial(conn->id), why);
		rf_reply_close(&desk->reply);
		end_conn(desk, conn, job->attempt);
		messages_end_closing(desk);
	}
	reply_end(RF_MSG_REPLY);
}

/* Where the request and its connection stand then. */
static void put_down(const struct job *job, struct rf_conn *conn)
{
	struct desk *desk = job->desk;
	bool parks = desk->asked & ASK_PARK;

	/* What came in behind a last word finds no connection to run for. */
	if (desk->reply.flags & RF_MSG_LAST_WORD)
		end_conn(desk, conn, job->attempt);
	else if (job->parked != NULL && parks)
		parked_keep(conn);
	else if (job->parked != NULL)
		parked_done(conn);
	else if (parks && parked_add(conn, job->payload, job->bytes, true) != 0)
		rf_tx_fail(-ENOMEM);
	if (parks && (desk->asked & ASK_RESUME))
		parked_resume(conn); /* unless it has ended */
}

/* The request was parked, or is to be, or its handler has asked for more than
 * a reply. */
static void end_asked(
	const struct job *job, struct rf_conn *conn, enum rf_msg_type type)
{
	struct desk *desk = job->desk;
	bool parks = desk->asked & ASK_PARK, patient;

	RF_CHECK(!parks || desk->reply.bytes == 0);
	if (rf_tx_error() != 0)
		return;
	patient = job->parked != NULL ||
		  (desk->asked & ASK_PATIENCE
				  ? (desk->asked & ASK_WAS_PATIENT) != 0
				  : conns_is_patient(conn));
	messages_end_closing(desk);
	put_down(job, conn);
	desk->running = NULL;
	messages_end_closing(desk);
	say_patience(desk, conn, patient);
	/* Of one that waits on there is nothing to tell the network child. */
	if (parks && job->parked != NULL && desk->reply.flags == 0)
		reply_end_pushes();
	else
		reply_end(type);
}

static void run(const struct job *job, const struct rf_request *request)
{
	struct desk *desk = job->desk;
	struct rf_reply *reply = &desk->reply;
	enum rf_msg_type type = RF_MSG_REPLY;

	desk->running = request->conn;
	desk->worker->request(request, reply);
	if (rf_unlikely(reply->bytes == 0 && !reply->nothing &&
			reply->flags == 0 && !(desk->asked & ASK_PARK))) {
		rf_reply_bytes(reply, no_reply_text, sizeof no_reply_text - 1);
		type = RF_MSG_ERROR;
	}
	if (rf_likely((desk->asked | reply->flags) == 0 && job->parked == NULL))
		reply_end(type);
	else
		end_asked(job, request->conn, type);
	if (rf_likely(!request->again))
		rf_status_add(desk->status->business.requests, 1);
}

static int on_request(struct job *job)
{
	struct rf_request request;
	struct rf_conn *conn;
	int error = request_of(job, &request);

	conn = request.conn;
	job->desk->has_waited = false;
	if (rf_unlikely(conn == NULL)) {
		say_error(job, "ERR no memory for this connection's record",
			RF_MSG_LAST_WORD);
		end_error(job);
		return 0;
	}
	if (rf_unlikely(error == -EBADMSG))
		return error;
	if (rf_unlikely(conn->own[RF_OWN_FIRST] != 0) && job->parked == NULL) {
		queue(job, conn);
		return 0;
	}
	if (rf_unlikely(job->attempt > job->attempts_max)) {
		answer_crashed(job, error == 0 ? &request : NULL);
		return 0;
	}
	if (rf_unlikely(error != 0)) {
		rf_tx_fail(error);
		return 0;
	}
	run(job, &request);
	return 0;
}

const struct message messages[RF_MSG_TYPE_COUNT] = {
	[RF_MSG_RESET] = {on_reset, RF_PHASE_CONNECTION},
	[RF_MSG_OPEN] = {on_open, RF_PHASE_CONNECTION},
	[RF_MSG_CLOSE] = {on_close, RF_PHASE_CONNECTION},
	[RF_MSG_REQUEST] = {on_request, RF_PHASE_REQUEST},
};
