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
 * Not for ever. Before a request runs, its position and the number of this
 * attempt are stored in one word that the roll back leaves alone. A request
 * that has killed quarantine.attempts processes is not run again: it is put
 * aside and answered with an error.
 *
 *   desk_open       desk_round
 *   (republish) --> attempt -> begin -> handler -> reply_end -> commit --> next
 *                      ^                                  |
 *                      +-- death: rolled back, run again -+
 */
#include "desk.h"
#include "common/guard.h"
#include "common/super.h"
#include "conf/conf.h"
#include "hold.h"
#include "in_work.h"
#include "messages.h"
#include "parked.h"
#include "quarantine.h"
#include <errno.h>
#include <refork/heap.h>
#include <refork/log.h>
#include <refork/tx.h>

#define ROUND_MESSAGES 256 /* until replies are shown with a bell */
#define SHOW_MESSAGES  16  /* until they are shown without one */
#define TICK_MS	       DESK_SLEEP_MS
/* Deaths that putting a request aside may cost. */
#define PUT_ASIDE_TRIES 2

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

/* Store the number of this attempt before it can do harm. */
static unsigned count_attempt(uint64_t pos)
{
	uint64_t last = RF_SUPER->attempt;
	uint64_t count = last >> 8 == pos ? (last & 255) + 1 : 1;

	if (count <= UINT8_MAX)
		RF_SUPER->attempt = pos << 8 | count;
	return (unsigned)count;
}

/* It was given up, and that says nothing of it. */
static void take_attempt_back(void)
{
	RF_SUPER->attempt--;
}

/* ---- one transaction per message ---- */

static const char *refusal_text(int error)
{
	size_t i = 0;

	while (refusals[i].error != 0 && refusals[i].error != error)
		i++;
	return refusals[i].text;
}

/* The request's change did not commit: nothing of it happened. Say so, in a
 * transaction of its own, which needs no memory. */
static int refuse_once(struct job *job, int error, bool tell)
{
	struct rf_conn *conn = conns_find(job->msg.conn_id);

	rf_tx_begin();
	if (job->msg.type == RF_MSG_REQUEST)
		messages_refuse(job, refusal_text(error), tell);
	if (job->msg.type == RF_MSG_CLOSE && conn != NULL)
		messages_forget_conn(conn, error);
	RF_SET(MINE->request_pos, job->next);
	return desk_commit(job->desk);
}

/* The worker may want memory to take it in: then it is not told. */
static int refuse(struct job *job, int error)
{
	if (error == -EINTR && desk_must_end(job->desk)) {
		take_attempt_back();
		return error;
	}
	if (job->attempt <= job->attempts_max &&
		refuse_once(job, error, true) == 0)
		return 0;
	RF_CHECK(refuse_once(job, error, false) == 0);
	return 0;
}

/* Outside of its transaction, which must not wait for a disk. Should that kill
 * too, it is skipped without. */
static void put_aside(const struct job *job)
{
	const struct rf_conn *conn = conns_find(job->msg.conn_id);
	struct rf_crash_request what = {0};

	if (job->msg.type != RF_MSG_REQUEST ||
		job->attempt > job->attempts_max + PUT_ASIDE_TRIES)
		return;
	in_work_describe(job->desk->channel, &what);
	what.attempt = job->attempts_max;
	quarantine_keep(job->desk->self, &what,
		conn != NULL ? conn->user[0] : 0, job->payload, job->bytes);
}

static int work(struct job *job)
{
	int error;

	job->attempt = count_attempt(job->position);
	if (rf_unlikely(job->attempt > job->attempts_max))
		put_aside(job);
	if (rf_unlikely(job->msg.type == RF_MSG_RESET))
		messages_end_all_conns(job->desk, job->attempt);
	rf_tx_begin();
	reply_begin(job->msg.conn_id);
	job->desk->reply.unasked = job->parked != NULL;
	error = messages[job->msg.type].run(job);
	if (rf_unlikely(error != 0)) {
		rf_tx_abort();
		return error;
	}
	if (job->msg.type != RF_MSG_REQUEST) {
		messages_end_closing(job->desk);
		reply_end_pushes();
	}
	RF_SET(MINE->request_pos, job->next);
	error = desk_commit(job->desk);
	return rf_likely(error == 0) ? 0 : refuse(job, error);
}

static int work_watched(struct job *job)
{
	int error;

	if (rf_unlikely(messages[job->msg.type].run == NULL))
		return -EBADMSG;
	desk_work_begins(job->desk, messages[job->msg.type].phase);
	error = work(job);
	desk_work_ends(job->desk);
	return error;
}

/* ---- batches ---- */

static void show_replies(struct desk *desk, bool bell)
{
	bool ring = rf_ring_publish(
		&desk->channel->reply.ring, MINE->reply_pos, bell);

	if (bell && desk->owes_bell) {
		ring = true;
		desk->owes_bell = false;
	}
	if (ring)
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
		(uint64_t)(RF_SUPER->heap.page_count -
			   RF_SUPER->heap.free_pages[1])
			<< RF_PAGE_SHIFT);
}

/* The message at request_pos: 1, 0 when there is none, -EBADMSG. */
static int next_message(struct desk *desk, struct job *job)
{
	const struct rf_lane *lane = &desk->channel->request;
	int found = rf_ring_peek(&lane->ring, MINE->request_pos, &job->msg);

	if (found != 1)
		return found;
	job->desk = desk;
	job->parked = NULL;
	job->position = MINE->request_pos;
	job->next = job->position + job->msg.ring_bytes;
	job->bytes = job->msg.payload_bytes;
	job->payload = rf_ring_payload(&lane->ring, MINE->request_pos);
	if (job->msg.flags & RF_MSG_LARGE) {
		job->payload = lane->large;
		if (job->bytes > lane->large_max_bytes)
			return -EBADMSG;
	}
	return 1;
}

/* What waited in the arena and is ready goes before what is in the ring. */
static int next_job(struct desk *desk, struct job *job)
{
	if (rf_likely(MINE->ready_first == NULL))
		return next_message(desk, job);
	parked_take(desk, job);
	return 1;
}

/* Read anew each round: a reload may have changed it. */
static unsigned attempts_max(const struct desk *desk)
{
	return (unsigned)rf_status_get(desk->self->conf->quarantine.attempts);
}

int desk_round(struct desk *desk)
{
	struct job job;
	int done, error = 0;

	desk->now_ms = rf_now_ms();
	desk->has_waited = true;
	job.attempts_max = attempts_max(desk);
	rf_guard_batch(true); /* no code but ours between two requests */
	for (done = 0; done < ROUND_MESSAGES && error == 0; done++) {
		if (desk_is_to_leave(desk) || hold_is_ordered(desk))
			break;
		if (done % RF_AHEAD_MAX == 0)
			ahead_look(desk);
		error = next_job(desk, &job);
		if (error <= 0)
			break;
		error = reply_wait_room();
		if (error == 0)
			error = work_watched(&job);
		if (done % SHOW_MESSAGES == SHOW_MESSAGES - 1)
			show_replies(desk, false);
	}
	rf_guard_batch(false);
	done += parked_sweep();
	if (done > 0 || desk->owes_bell)
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
	desk_work_begins(desk, RF_PHASE_TICK);
	rf_tx_begin();
	reply_begin(0);
	again_ms = desk->worker->tick(desk->now_ms);
	messages_end_closing(desk);
	reply_end_pushes();
	if (desk_commit(desk) != 0)
		again_ms = TICK_MS;
	if (again_ms > TICK_MS)
		again_ms = TICK_MS;
	desk->tick_at_ms = desk->now_ms + again_ms;
	desk_work_ends(desk);
	show_all(desk);
}

void desk_sleep(struct desk *desk, int at_most_ms)
{
	struct rf_ring *ring = &desk->channel->request.ring;
	int64_t until_ms = at_most_ms;

	desk->now_ms = rf_now_ms();
	rf_status_set(desk->status->business.heartbeat_ms, rf_monotonic_ms());
	reply_trim();
	if (desk->worker->tick != NULL)
		until_ms = desk->tick_at_ms - desk->now_ms;
	if (until_ms > at_most_ms)
		until_ms = at_most_ms; /* or the clock was set back */
	if (MINE->ready_first != NULL)
		until_ms = 0; /* a tick has resumed some */
	if (until_ms > 0 && rf_ring_sleep(ring, MINE->request_pos))
		desk->wait(desk, (int)until_ms);
	rf_ring_awake(ring);
	desk->now_ms = rf_now_ms();
}

/* ---- taking over ---- */

void desk_init(struct desk *desk, const struct rf_child *self)
{
	*desk = (struct desk){
		.self = self,
		.channel = self->channel,
		.worker = self->worker,
		.status = self->status,
	};
	ask_init(desk);
}

/* A new channel: its connections are not those of the old one. The attempt
 * word is not logged, so it goes first; the epoch, which says that all of this
 * is done, comes with the positions. */
static int start_epoch(struct desk *desk)
{
	messages_end_all_conns(desk, count_attempt(EPOCH_POS));
	RF_SUPER->attempt = 0;
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
	uint64_t shown = desk->channel->reply.ring.shm->head;

	reply_init(desk);
	desk->now_ms = rf_now_ms();
	if (is_new_channel(desk))
		return;
	/* Replies that wait for nothing else are not kept waiting. */
	show_replies(desk, shown != MINE->reply_pos);
	release_requests(desk);
	/* A predecessor may have taken the sleeper's flag down and died before
	 * it rang. Once is enough, and with the first replies: whoever is woken
	 * too early takes a processor. */
	desk->owes_bell = true;
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
