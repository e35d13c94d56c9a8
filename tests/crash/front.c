/* SPDX-License-Identifier: MIT */
/* front.c -- the network child's part, spoken by the test.
 *
 * The words reserved[] of the channel are used to note where a scenario began:
 * they are shared memory, so every process of the sweep finds them.
 */
#include "front.h"
#include "clock.h"
#include "common/arena.h"
#include "common/verify/verify.h"
#include "conf/conf.h"
#include "worker/business/parked.h"
#include "worker/business/stats.h"
#include <refork/tx.h>
#include <stdlib.h>
#include <string.h>

#define MINE	 (&RF_SUPER->desk)
#define WORDS	 16
#define HELD_MAX 1024 /* bytes of a message that a tale quotes whole */

const struct geometry front_geometry = {
	.page_max = 192,
	.heap = {{0, 192}},
};

const struct geometry front_geometry_large = {
	.page_max = 192,
	.heap = {{0, 192}},
	.large = true,
};

static struct desk desk;
static struct rf_status_shm status;
static const struct conf conf = {.quarantine.attempts = 2};
static struct rf_child child;

static struct rf_channel *channel(void)
{
	return &stage_here->channel;
}

/* Where the requests begin that are swept, and when. */
static uint64_t *began_at(void)
{
	return &channel()->shm->reserved[0];
}

static uint64_t *began_at_ms(void)
{
	return &channel()->shm->reserved[1];
}

static void on_wait(struct desk *the_desk, int wait_ms)
{
	(void)the_desk;
	condemn("the desk waits for %d ms", wait_ms);
}

/* ---- a business process, as far as it matters ---- */

static const char *setting(const char *section_key)
{
	(void)section_key;
	return NULL;
}

static const struct rf_env env = {
	.struct_size = sizeof env,
	.service = "crash",
	.worker_args = "",
	.setting = setting,
};

/* Processes of the daemon have what `build` found from their supervisor; these
 * here have not, and must find it themselves. */
static void build(const struct rf_worker *worker)
{
	static bool done;

	if (done)
		return;
	rf_tx_begin();
	if (RF_SUPER->state_version != worker->state_version)
		rf_arena_set_state_version(worker->state_version);
	if (worker->build(&env) != 0 || rf_tx_commit() != 0)
		condemn("the worker does not build");
	done = true;
}

static void take_over(const struct front *front, size_t clients_max)
{
	struct desk last = desk;

	child = (struct rf_child){
		.conf = &conf,
		.worker = front->worker,
		.channel = channel(),
		.status = &status,
	};
	desk_init(&desk, &child);
	desk.wait = on_wait;
	desk.args = last.args;
	desk.args_room = last.args_room;
	desk.pushes = last.pushes;
	desk.pushes_room = last.pushes_room;
	build(front->worker);
	stats_init(&status);
	if (desk_open(&desk, clients_max) != 0)
		condemn("the desk does not open");
}

/* All that the start hook makes is private to the process: once is enough. */
static void start(const struct rf_worker *worker)
{
	static bool done;

	if (!done && worker->start != NULL && worker->start(&env) != 0)
		condemn("the worker does not start");
	done = true;
}

static void work(void)
{
	start(desk.worker);
	while (desk_round(&desk) > 0)
		;
}

/* Until it has nothing left to do. */
static void tick(void)
{
	do
		desk_tick(&desk);
	while (desk.tick_at_ms <= desk.now_ms);
}

/* ---- what clients say ---- */

static uint64_t conn_of(unsigned long number)
{
	return (uint64_t)number << RF_CONN_SLOT_BITS | number;
}

/* Behind the last one; shown at once. */
static void send_msg(struct rf_msg msg, const void *payload, size_t in_ring)
{
	struct rf_ring *ring = &channel()->request.ring;
	uint64_t pos = ring->shm->head;
	struct rf_msg *to = rf_ring_slot(ring, pos);

	msg.ring_bytes = (uint32_t)rf_ring_need(in_ring);
	memcpy(to + 1, payload, in_ring);
	*to = msg;
	rf_ring_publish(ring, pos + msg.ring_bytes, false);
}

/* argc, lengths, bytes; a large one goes to the area. */
static void send_request(unsigned long number, char *words[], uint32_t count)
{
	uint8_t small[512], *to = small;
	struct rf_msg msg = {
		.type = RF_MSG_REQUEST,
		.conn_id = conn_of(number),
	};
	uint8_t *at;

	for (uint32_t i = 0; i < count; i++)
		if (strcmp(words[i], "@LARGE") == 0) {
			msg.flags = RF_MSG_LARGE;
			to = channel()->request.large;
		}
	memcpy(to, &count, sizeof count);
	at = to + (1 + count) * sizeof count;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t bytes = (uint32_t)strlen(words[i]);

		if (strcmp(words[i], "@LARGE") == 0)
			bytes = (uint32_t)(STAGE_LARGE_BYTES -
					   (size_t)(at - to));
		else
			memcpy(at, words[i], bytes);
		memcpy(to + (1 + i) * sizeof count, &bytes, sizeof bytes);
		at += bytes;
	}
	msg.payload_bytes = (uint64_t)(at - to);
	send_msg(msg, small, to == small ? (size_t)(at - to) : 0);
}

static void say(const char *line)
{
	char text[256], *words[WORDS], *rest = text;
	uint32_t count = 0;
	unsigned long number;

	snprintf(text, sizeof text, "%s", line);
	while (count < WORDS && (words[count] = strtok_r(rest, " ", &rest)))
		count++;
	number = count > 1 ? strtoul(words[1], NULL, 10) : 0;
	if (strcmp(words[0], "open") == 0)
		send_msg((struct rf_msg){.type = RF_MSG_OPEN,
				 .conn_id = conn_of(number),
				 .payload_bytes = 8},
			"1.2.3.4:", 8);
	else if (strcmp(words[0], "close") == 0)
		send_msg((struct rf_msg){.type = RF_MSG_CLOSE,
				 .conn_id = conn_of(number)},
			"", 0);
	else if (strcmp(words[0], "reset") == 0)
		send_msg((struct rf_msg){.type = RF_MSG_RESET}, "", 0);
	else if (strcmp(words[0], "wait") == 0)
		clock_frozen_ms += (int64_t)number;
	else if (strcmp(words[0], "tick") == 0)
		tick();
	else
		send_request(strtoul(words[0], NULL, 10), words + 1, count - 1);
}

/* ---- the hooks ---- */

/* Positions as after a long life. */
static void move_rings(uint64_t to)
{
	struct rf_channel_shm *shm = channel()->shm;

	rf_tx_begin();
	RF_SET(MINE->request_pos, to);
	RF_SET(MINE->reply_pos, to);
	rf_tx_commit();
	shm->request.head = shm->request.tail = to;
	shm->reply.head = shm->reply.tail = to;
}

/* As the supervisor does when both children have ended. */
static void renew_channel(void)
{
	uint64_t epoch = channel()->shm->epoch;

	rf_channel_reset(channel());
	channel()->shm->epoch = epoch + 1;
}

void front_prepare(const struct scenario *self)
{
	const struct front *front = self->arg;
	struct rf_channel_shm *shm = channel()->shm;

	take_over(front, 1);
	if (front->start != 0)
		move_rings(front->start);
	for (size_t i = 0; front->said[i] != NULL; i++) {
		say(front->said[i]);
		work();
		rf_ring_release(&channel()->reply.ring, shm->reply.head);
	}
	if (front->fresh_channel)
		renew_channel();
	*began_at() = shm->request.head;
	*began_at_ms() = (uint64_t)clock_frozen_ms;
	for (size_t i = 0; front->says[i] != NULL; i++)
		say(front->says[i]);
	if (front->attempts > 0)
		RF_SUPER->attempt = parked_next_pos() << 8 | front->attempts;
	shm->reply.consumer_sleeps = 1;
	shm->request.producer_waits = front->waits;
}

void front_act(const struct scenario *self)
{
	const struct front *front = self->arg;

	if (front->fresh_channel)
		take_over(front, RF_CONN_CHUNK + 1);
	work();
	if (front->tick) {
		tick();
		work(); /* what it has resumed */
	}
}

static void on_problem(void *context, const struct rf_verify_problem *problem)
{
	(void)context;
	condemn("%s", problem->text);
}

/* All of it, and nothing has leaked. */
int front_check(const struct scenario *self)
{
	const struct front *front = self->arg;
	struct rf_verify_conf verify = {
		.worker = front->worker,
		.has_built = true,
		.problem = on_problem,
	};
	struct rf_verify_result found;

	build(front->worker);
	return rf_verify(&verify, &found);
}

void front_forget(const struct scenario *self, struct image *image)
{
	const struct front *front = self->arg;

	build(front->worker);
	if (front->forget != NULL)
		front->forget(image);
}

/* Requests, or replies that end one, from `pos` to `end`. */
static unsigned count_messages(
	const struct rf_ring *ring, uint64_t pos, uint64_t end)
{
	unsigned count = 0;
	struct rf_msg msg;

	for (; pos != end; pos += msg.ring_bytes) {
		if (rf_ring_peek(ring, pos, &msg) != 1)
			condemn("a ring holds bytes that are no message");
		count += msg.type == RF_MSG_REQUEST ||
			 msg.type == RF_MSG_REPLY ||
			 (msg.type == RF_MSG_ERROR &&
				 !(msg.flags & RF_MSG_UNASKED));
	}
	return count;
}

static bool is_work_waiting(void)
{
	struct rf_msg msg;

	return MINE->ready_first != NULL ||
	       (MINE->dropped == NULL && rf_ring_peek(&channel()->request.ring,
						 MINE->request_pos, &msg) == 1);
}

/* A request is done and answered, or neither; the word that must outlive the
 * roll back has; and who sleeps has been woken. */
void front_resume(const struct scenario *self, size_t undone, bool rung)
{
	const struct front *front = self->arg;
	struct rf_channel *ch = channel();
	unsigned done, answered;
	bool due;

	clock_frozen_ms = (int64_t)*began_at_ms();
	if (MINE->channel_epoch == ch->shm->epoch &&
		(ch->shm->reply.head > MINE->reply_pos ||
			ch->shm->request.tail > MINE->request_pos))
		condemn("the rings show what is not committed");
	if (!front->fresh_channel && undone > 0 && is_work_waiting() &&
		RF_SUPER->attempt >> 8 != parked_next_pos())
		condemn("a message was worked on, its attempt not counted");
	take_over(front, front->fresh_channel ? RF_CONN_CHUNK + 1 : 1);
	if (ch->shm->request.tail != MINE->request_pos ||
		ch->shm->reply.head != MINE->reply_pos)
		condemn("the rings do not show what was committed");
	done = count_messages(
		&ch->request.ring, *began_at(), MINE->request_pos);
	answered = count_messages(
		&ch->reply.ring, ch->shm->reply.tail, MINE->reply_pos);
	if (done != answered)
		condemn("%u requests are done, %u replies are there", done,
			answered);
	due = ch->shm->reply.head != ch->shm->reply.tail ||
	      (front->waits && ch->shm->request.tail != *began_at());
	if (due && !rung && !stage_hears(stage_here))
		condemn("the network child sleeps on what is there");
}

static void quote(struct tale *tale, const uint8_t *from, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		if (bytes > HELD_MAX && i == HELD_MAX / 2) {
			tale_add(tale, "...%zu...", bytes);
			i = bytes - HELD_MAX / 2;
		}
		if (from[i] == '\n' || from[i] == '\r')
			tale_add(tale, "%s", from[i] == '\n' ? "" : "|");
		else if (from[i] != 0)
			tale_add(tale, "%c", from[i]);
	}
}

static void tell_message(
	struct tale *tale, const struct rf_msg *msg, const uint8_t *from)
{
	static const char *const kinds[RF_MSG_TYPE_COUNT] = {
		[RF_MSG_REPLY] = "reply",
		[RF_MSG_PUSH] = "push",
		[RF_MSG_ERROR] = "error",
	};

	tale_add(tale, "%s%s %u%s%s%s ",
		msg->flags & RF_MSG_UNASKED ? "unasked " : "", kinds[msg->type],
		(unsigned)rf_conn_serial(msg->conn_id),
		msg->flags & RF_MSG_LAST_WORD ? "!" : "",
		msg->flags & RF_MSG_PATIENT ? "+" : "",
		msg->flags & RF_MSG_IMPATIENT ? "-" : "");
	quote(tale, from, msg->payload_bytes);
	tale_add(tale, "\n");
}

static void tell_pushes(
	struct tale *tale, const uint8_t *from, const uint8_t *end)
{
	struct rf_msg msg;

	for (; from < end; from += msg.ring_bytes) {
		memcpy(&msg, from, sizeof msg);
		tale_add(tale, "large ");
		tell_message(tale, &msg, from + sizeof msg);
	}
}

void front_tell(const struct scenario *self, struct tale *tale)
{
	struct rf_lane *lane = &channel()->reply;
	uint64_t pos = lane->ring.shm->tail;
	struct rf_msg msg;

	(void)self;
	for (; rf_ring_peek(&lane->ring, pos, &msg) == 1;
		pos += msg.ring_bytes) {
		const uint8_t *from =
			msg.flags & RF_MSG_LARGE
				? lane->large
				: rf_ring_payload(&lane->ring, pos);

		if (msg.type == RF_MSG_PUSHES)
			tell_pushes(tale, from + msg.conn_id,
				from + msg.conn_id + msg.payload_bytes);
		else
			tell_message(tale, &msg, from);
	}
}
