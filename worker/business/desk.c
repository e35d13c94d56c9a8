/* SPDX-License-Identifier: MIT */
/* desk.c -- takes requests from the ring, has the worker run them, answers.
 *
 * Exactly once. Every message of the request ring is worked on in one
 * transaction that changes the state, writes the reply and moves request_pos
 * past the message. The positions stand in the arena, under the log, so there
 * are only two outcomes of a death: the message was not worked on and its reply
 * does not exist, or it was and the reply will be delivered. The ring's public
 * indices follow later, in batches; desk_open() brings them up to date after a
 * death in between.
 *
 * At most twice. Before a request runs, its position and the number of this
 * attempt are stored in one word that the roll back leaves alone. A message
 * that has killed DESK_ATTEMPTS processes is not run again.
 *
 *   desk_open       desk_round
 *   (republish) --> attempt -> begin -> handler -> reply_end -> commit --> next
 *                      ^                                  |
 *                      +-- death: rolled back, run again -+
 */
#include "desk.h"
#include "common/super.h"
#include <errno.h>
#include <refork/heap.h>
#include <refork/log.h>
#include <refork/tx.h>
#include <stdlib.h>

#define ROUND_MESSAGES 256 /* until replies are shown with a bell */
#define SHOW_MESSAGES  16  /* until they are shown without one */
#define TICK_MS	       100

#define MINE (&RF_SUPER->desk)

/* Where the end of an earlier channel's connections counts its attempts; no
 * message ever stands there. */
#define EPOCH_POS (UINT64_MAX >> 8)

/* What a client is told when its request's transaction could not commit. */
static const struct {
	int error;
	const char *text;
} refusals[] = {
	{-ENOMEM, "OOM out of memory: the arena is at arena.max, or the "
		  "system has none left"},
	{-ENOSPC, "ERR the change is larger than the undo log may grow "
		  "(a sixteenth of arena.max, at least 16 MiB)"},
	{-EMSGSIZE, "ERR the reply is larger than max_reply"},
	{0, "ERR the request could not be committed"},
};

static const char no_reply_text[] =
	"ERR the worker's handler gave no reply to this request";

static const char crashed_text[] =
	"CRASHED this request ended the business process twice and was "
	"skipped; nothing of it took effect";

/* One message of the ring, while it is worked on. */
struct job {
	struct desk *desk;
	struct rf_msg msg; /* a copy, checked */
	const uint8_t *payload;
	size_t bytes;
	unsigned attempt;
};

/* Store the number of this attempt before it can do harm. */
static unsigned count_attempt(uint64_t pos)
{
	uint64_t last = MINE->attempt;
	uint64_t count = last >> 8 == pos ? (last & 255) + 1 : 1;

	if (count <= UINT8_MAX)
		MINE->attempt = pos << 8 | count;
	return (unsigned)count;
}

static void answer_error(
	struct desk *desk, uint64_t conn_id, const char *text, bool last_word)
{
	reply_begin(conn_id);
	rf_reply_bytes(&desk->reply, text, strlen(text));
	if (last_word)
		rf_reply_close(&desk->reply);
	reply_end(RF_MSG_ERROR);
}

/* ---- what the messages mean; each runs inside a transaction ---- */

static void end_conn(struct desk *desk, struct rf_conn *conn, unsigned attempt)
{
	if (desk->worker->closed != NULL && attempt <= DESK_CLOSED_ATTEMPTS)
		desk->worker->closed(conn);
	conns_close(conn);
}

static int on_open(struct job *job)
{
	if (job->attempt > DESK_ATTEMPTS)
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

/* The hook may fail (a full arena), but the connection has ended all the same.
 * Needs a transaction. */
static void forget_conn(struct rf_conn *conn, int error)
{
	rf_log(RF_LOG_WARNING,
		"connection %llu: the worker's closed hook failed: %s; what "
		"it kept for the connection stays in the arena",
		(unsigned long long)rf_conn_serial(conn->id), strerror(-error));
	conns_close(conn);
}

/* A transaction each: thousands may have been open. */
static void end_all_conns(struct desk *desk, unsigned attempt)
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
		forget_conn(conn, error);
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
		answer_error(desk, job->msg.conn_id,
			"ERR no memory for this connection's record", true);
		return 0;
	}
	if (rf_unlikely(job->attempt > DESK_ATTEMPTS)) {
		rf_log(RF_LOG_ERROR,
			"request of %s at %llu: ended the process "
			"%d times; skipped, answered with -CRASHED",
			request.conn->peer,
			(unsigned long long)MINE->request_pos, DESK_ATTEMPTS);
		answer_error(desk, request.conn->id, crashed_text, false);
		RF_SET(MINE->quarantined, MINE->quarantined + 1);
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

static int (*const handlers[RF_MSG_TYPE_COUNT])(struct job *job) = {
	[RF_MSG_RESET] = on_reset,
	[RF_MSG_OPEN] = on_open,
	[RF_MSG_CLOSE] = on_close,
	[RF_MSG_REQUEST] = on_request,
};

/* ---- one transaction per message ---- */

static const char *refusal_text(int error)
{
	size_t i = 0;

	while (refusals[i].error != 0 && refusals[i].error != error)
		i++;
	return refusals[i].text;
}

static void move_on(uint64_t pos)
{
	RF_SET(MINE->request_pos, pos);
}

/* The request's change did not commit: nothing of it happened. Say so, in a
 * transaction of its own, which needs no memory. */
static int refuse(const struct job *job, uint64_t next, int error)
{
	struct rf_conn *conn = conns_find(job->msg.conn_id);

	if (error == -EINTR)
		return error;
	rf_tx_begin();
	if (job->msg.type == RF_MSG_REQUEST)
		answer_error(job->desk, job->msg.conn_id, refusal_text(error),
			false);
	if (job->msg.type == RF_MSG_CLOSE && conn != NULL)
		forget_conn(conn, error);
	move_on(next);
	RF_CHECK(rf_tx_commit() == 0);
	return 0;
}

static int work(struct job *job)
{
	uint64_t next = MINE->request_pos + job->msg.ring_bytes;
	int (*handler)(struct job *) = handlers[job->msg.type];
	int error;

	if (rf_unlikely(handler == NULL))
		return -EBADMSG;
	job->attempt = count_attempt(MINE->request_pos);
	if (rf_unlikely(job->msg.type == RF_MSG_RESET))
		end_all_conns(job->desk, job->attempt);
	rf_tx_begin();
	reply_begin(job->msg.conn_id);
	error = handler(job);
	if (rf_unlikely(error != 0)) {
		rf_tx_abort();
		return error;
	}
	if (job->msg.type != RF_MSG_REQUEST)
		reply_end_pushes();
	move_on(next);
	error = rf_tx_commit();
	return rf_likely(error == 0) ? 0 : refuse(job, next, error);
}

/* ---- batches ---- */

static void show_replies(struct desk *desk, bool bell)
{
	if (rf_ring_publish(&desk->channel->reply.ring, MINE->reply_pos, bell))
		rf_bell_ring(desk->channel->bell_network);
}

static void release_requests(struct desk *desk)
{
	if (rf_ring_release(&desk->channel->request.ring, MINE->request_pos))
		rf_bell_ring(desk->channel->bell_network);
}

static void show_all(struct desk *desk)
{
	show_replies(desk, true);
	release_requests(desk);
	rf_status_set(desk->status->business.quarantined, MINE->quarantined);
	rf_status_set(desk->status->business.arena_used_bytes, rf_heap_used());
	rf_status_set(desk->status->business.arena_size_bytes,
		(uint64_t)RF_SUPER->heap.page_count << RF_PAGE_SHIFT);
}

/* The message at request_pos: 1, 0 when there is none, -EBADMSG. */
static int next_job(struct desk *desk, struct job *job)
{
	const struct rf_lane *lane = &desk->channel->request;
	int found = rf_ring_peek(&lane->ring, MINE->request_pos, &job->msg);

	if (found != 1)
		return found;
	job->desk = desk;
	job->bytes = job->msg.payload_bytes;
	job->payload = rf_ring_payload(&lane->ring, MINE->request_pos);
	if (job->msg.flags & RF_MSG_LARGE) {
		job->payload = lane->large;
		if (job->bytes > lane->large_max_bytes)
			return -EBADMSG;
	}
	return 1;
}

int desk_round(struct desk *desk)
{
	struct job job;
	int done, error = 0;

	desk->now_ms = rf_now_ms();
	for (done = 0; done < ROUND_MESSAGES && error == 0; done++) {
		if (done % RF_AHEAD_MAX == 0)
			ahead_look(desk);
		error = next_job(desk, &job);
		if (error <= 0)
			break;
		error = reply_wait_room();
		if (error == 0)
			error = work(&job);
		if (done % SHOW_MESSAGES == SHOW_MESSAGES - 1)
			show_replies(desk, false);
	}
	if (done > 0)
		show_all(desk);
	return error < 0 ? error : done;
}

void desk_tick(struct desk *desk)
{
	uint32_t again_ms;

	if (desk->worker->tick == NULL)
		return;
	/* Not yet; but further away than it can be: the clock was set back. */
	if (desk->now_ms < desk->tick_at_ms &&
		desk->tick_at_ms - desk->now_ms <= TICK_MS)
		return;
	rf_tx_begin();
	reply_begin(0);
	again_ms = desk->worker->tick(desk->now_ms);
	reply_end_pushes();
	if (rf_tx_commit() != 0)
		again_ms = TICK_MS;
	if (again_ms > TICK_MS)
		again_ms = TICK_MS;
	desk->tick_at_ms = desk->now_ms + again_ms;
	show_all(desk);
}

void desk_sleep(struct desk *desk)
{
	struct rf_ring *ring = &desk->channel->request.ring;
	int64_t until_ms = TICK_MS;

	desk->now_ms = rf_now_ms();
	rf_status_set(desk->status->business.heartbeat_ms, rf_monotonic_ms());
	reply_trim();
	if (desk->worker->tick != NULL)
		until_ms = desk->tick_at_ms - desk->now_ms;
	if (until_ms > TICK_MS)
		until_ms = TICK_MS; /* the clock was set back */
	if (until_ms > 0 && rf_ring_sleep(ring, MINE->request_pos))
		desk->wait(desk, (int)until_ms);
	rf_ring_awake(ring);
	desk->now_ms = rf_now_ms();
}

/* ---- taking over ---- */

/* A new channel: its connections are not those of the old one. The attempt
 * word is not logged, so it goes first; the epoch, which says that all of this
 * is done, comes with the positions. */
static int start_epoch(struct desk *desk)
{
	end_all_conns(desk, count_attempt(EPOCH_POS));
	MINE->attempt = 0;
	rf_tx_begin();
	RF_SET(MINE->request_pos, 0);
	RF_SET(MINE->reply_pos, 0);
	RF_SET(MINE->reply_large_pos, 0);
	RF_SET(MINE->channel_epoch, desk->channel->shm->epoch);
	return rf_tx_commit();
}

static bool is_new_channel(const struct desk *desk)
{
	return MINE->channel_epoch != desk->channel->shm->epoch;
}

void desk_bind(struct desk *desk)
{
	reply_init(desk);
	desk->now_ms = rf_now_ms();
	if (is_new_channel(desk))
		return;
	show_all(desk);
	/* A predecessor may have taken the sleeper's flag down and died before
	 * it rang. */
	rf_bell_ring(desk->channel->bell_network);
}

int desk_open(struct desk *desk, size_t clients_max)
{
	int error;

	if (is_new_channel(desk)) {
		reply_init(desk);
		desk->now_ms = rf_now_ms();
		/* First: the epoch says that it is done. */
		conns_reserve(clients_max);
		error = start_epoch(desk);
		if (error != 0)
			return error;
	}
	desk_bind(desk);
	return 0;
}
