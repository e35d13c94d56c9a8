/* SPDX-License-Identifier: MIT */
/* by_hand.h -- a desk with a trial worker, its network side played by hand.
 *
 * The trial worker's state is one number and a few bytes; its commands make
 * everything happen that a worker can do: change, refuse, die, talk much.
 */
#ifndef BY_HAND_H
#define BY_HAND_H

#include "scratch_arena.h"
#include "suite.h"
#include <conf/conf.h>
#include <refork/heap.h>
#include <refork/log.h>
#include <refork/reply.h>
#include <stdio.h>
#include <super.h>
#include <worker/business/desk.h>

#define MIB	      ((size_t)1 << 20)
#define REQUEST_BYTES (4 * MIB)
#define REPLY_BYTES   (4 * MIB)

/* A connection's id as the network child makes it. */
#define CONN(serial, slot)                                                     \
	((uint64_t)(serial) << RF_CONN_SLOT_BITS | (uint64_t)(slot))

/* ---- the trial worker ---- */

struct trial {
	uint64_t number;
	uint64_t closed; /* connections, ever */
	void *kept;	 /* a block */
};

static struct trial *trial;
static unsigned trial_attempt;	       /* of the last request */
static uint64_t trial_argument_bytes;  /* read from the last request */
static uint32_t trial_tick_says = 100; /* what the tick returns */
static void (*trial_in_tick)(void);
static bool trial_closed_fails;

static inline bool says(const struct rf_bytes *arg, const char *text)
{
	return arg->bytes == strlen(text) &&
	       memcmp(arg->at, text, arg->bytes) == 0;
}

static inline uint64_t number_of(const struct rf_bytes *arg)
{
	char text[24] = "";

	memcpy(text, arg->at,
		arg->bytes < sizeof text - 1 ? arg->bytes : sizeof text - 1);
	return strtoull(text, NULL, 10);
}

static inline void reply_text(struct rf_reply *reply, const char *text)
{
	rf_reply_bytes(reply, text, strlen(text));
}

static inline void do_add(const struct rf_request *req, struct rf_reply *reply)
{
	char text[24];

	RF_SET(trial->number, trial->number + 1);
	snprintf(text, sizeof text, "%llu", (unsigned long long)trial->number);
	reply_text(reply, text);
	if (req->argc > 1) /* as much more */
		memset(rf_reply_room(reply, number_of(&req->argv[1])), 'x',
			number_of(&req->argv[1]));
	if (req->argc > 1)
		rf_reply_took(reply, number_of(&req->argv[1]));
}

static inline void do_big(const struct rf_request *req, struct rf_reply *reply)
{
	size_t bytes = number_of(&req->argv[1]);
	char *room = rf_reply_room(reply, bytes);

	RF_SET(trial->number, trial->number + 1);
	if (room == NULL)
		return;
	memset(room, 'b', bytes);
	rf_reply_took(reply, bytes);
}

static inline void do_echo(const struct rf_request *req, struct rf_reply *reply)
{
	rf_reply_nothing(reply); /* may be empty */
	for (uint32_t i = 1; i < req->argc; i++)
		rf_reply_bytes(reply, req->argv[i].at, req->argv[i].bytes);
}

static inline void do_fail(const struct rf_request *req, struct rf_reply *reply)
{
	RF_SET(trial->number, trial->number + 1);
	reply_text(reply, "never seen");
	rf_tx_fail(-(int)number_of(&req->argv[1]));
}

static inline void do_take(const struct rf_request *req, struct rf_reply *reply)
{
	RF_SET(trial->kept, rf_alloc_uninit(number_of(&req->argv[1])));
	reply_text(reply, "taken");
}

static inline void do_die(const struct rf_request *req, struct rf_reply *reply)
{
	(void)req;
	RF_SET(trial->number, trial->number + 100);
	reply_text(reply, "half a repl");
	_exit(9);
}

/* push SERIAL SLOT TEXT [TIMES] */
static inline void do_push(const struct rf_request *req, struct rf_reply *reply)
{
	uint64_t to = CONN(number_of(&req->argv[1]), number_of(&req->argv[2]));
	uint64_t times = req->argc > 4 ? number_of(&req->argv[4]) : 1;

	while (times-- > 0)
		rf_push(to, req->argv[3].at, req->argv[3].bytes);
	reply_text(reply, "pushed");
}

static inline void do_quit(const struct rf_request *req, struct rf_reply *reply)
{
	(void)req;
	reply_text(reply, "bye");
	rf_reply_close(reply);
}

static inline void do_peer(const struct rf_request *req, struct rf_reply *reply)
{
	char text[100];

	RF_SET(req->conn->user[0], req->conn->user[0] + 1);
	snprintf(text, sizeof text, "%s %llu", req->conn->peer,
		(unsigned long long)req->conn->user[0]);
	reply_text(reply, text);
}

/* Set by a test that wants the request itself. */
static void (*trial_custom)(
	const struct rf_request *req, struct rf_reply *reply);

static inline void do_custom(
	const struct rf_request *req, struct rf_reply *reply)
{
	trial_custom(req, reply);
}

static const struct {
	const char *name;
	uint32_t argc;
	void (*run)(const struct rf_request *req, struct rf_reply *reply);
} trial_commands[] = {
	{"add", 1, do_add},
	{"big", 2, do_big},
	{"echo", 1, do_echo},
	{"fail", 2, do_fail},
	{"take", 2, do_take},
	{"die", 1, do_die},
	{"push", 4, do_push},
	{"quit", 1, do_quit},
	{"peer", 1, do_peer},
	{"custom", 1, do_custom},
};

static inline void trial_request(
	const struct rf_request *req, struct rf_reply *reply)
{
	trial_attempt = req->attempt;
	trial_argument_bytes = 0;
	for (uint32_t i = 0; i < req->argc; i++)
		for (size_t n = 0; n < req->argv[i].bytes; n++)
			trial_argument_bytes +=
				*(const volatile char *)&req->argv[i].at[n] !=
				'\0';
	for (size_t i = 0; i < sizeof trial_commands / sizeof *trial_commands;
		i++)
		if (says(&req->argv[0], trial_commands[i].name) &&
			req->argc >= trial_commands[i].argc) {
			trial_commands[i].run(req, reply);
			return;
		}
	reply_text(reply, "what?");
}

static inline void trial_closed(struct rf_conn *conn)
{
	(void)conn;
	RF_SET(trial->closed, trial->closed + 1);
	if (trial_closed_fails)
		rf_tx_fail(-ENOMEM);
}

static inline uint32_t trial_tick(int64_t now_ms)
{
	(void)now_ms;
	if (trial_in_tick != NULL)
		trial_in_tick();
	return trial_tick_says;
}

static const struct rf_worker trial_worker = {
	.magic = RF_WORKER_MAGIC,
	.struct_size = sizeof trial_worker,
	.abi = RF_WORKER_ABI,
	.name = "trial",
	.version = "1",
	.request = trial_request,
	.closed = trial_closed,
	.tick = trial_tick,
};

/* ---- the network side ---- */

static struct rf_channel channel;
static struct rf_status_shm *status;
static struct desk desk;
static uint64_t request_head, reply_pos; /* the network child's own */
static unsigned waits;			 /* times the desk went to sleep */
static void (*while_it_waits)(void);

static inline void wait_by_hand(struct desk *waiting, int wait_ms)
{
	(void)waiting;
	(void)wait_ms;
	if (++waits > 100000)
		fail_msg("the desk waits for ever");
	if (while_it_waits != NULL)
		while_it_waits();
}

/* A message with its payload in the ring. It is not published. */
static inline uint8_t *put_message(
	enum rf_msg_type type, uint64_t conn_id, size_t bytes)
{
	struct rf_ring *ring = &channel.request.ring;
	struct rf_msg *msg = rf_ring_slot(ring, request_head);

	assert_true(rf_ring_room(ring, request_head) >= rf_ring_need(bytes));
	*msg = (struct rf_msg){
		.ring_bytes = (uint32_t)rf_ring_need(bytes),
		.type = (uint16_t)type,
		.conn_id = conn_id,
		.payload_bytes = bytes,
	};
	request_head += msg->ring_bytes;
	return (uint8_t *)(msg + 1);
}

static inline void show_requests(void)
{
	rf_ring_publish(&channel.request.ring, request_head, false);
}

static inline void open_conn(uint64_t id)
{
	memcpy(put_message(RF_MSG_OPEN, id, 9), "unit:1234", 9);
	show_requests();
}

static inline void close_conn(uint64_t id)
{
	put_message(RF_MSG_CLOSE, id, 0);
	show_requests();
}

/* Words separated by single spaces, as a request. */
static inline void ask(uint64_t id, const char *words)
{
	uint32_t argc = 1, length = 0;
	size_t bytes = strlen(words);
	uint8_t *at;

	for (const char *c = words; *c != '\0'; c++)
		argc += *c == ' ';
	at = put_message(RF_MSG_REQUEST, id,
		sizeof argc * (argc + 1) + bytes + 1 - argc);
	memcpy(at, &argc, sizeof argc);
	at += sizeof argc;
	for (const char *c = words;; c++) {
		if (*c != ' ' && *c != '\0') {
			length++;
			continue;
		}
		memcpy(at, &length, sizeof length);
		at += sizeof length;
		length = 0;
		if (*c == '\0')
			break;
	}
	for (const char *c = words; *c != '\0'; c++)
		if (*c != ' ')
			*at++ = (uint8_t)*c;
	show_requests();
}

struct answer {
	struct rf_msg msg;
	const char *at;
	size_t bytes;
};

static inline void done_with_answers(void)
{
	rf_ring_release(&channel.reply.ring, reply_pos);
}

/* The next reply, if one is there; its bytes stay until the next call. */
static inline bool take_answer(struct answer *out)
{
	const struct rf_lane *lane = &channel.reply;
	int found;

	done_with_answers();
	found = rf_ring_peek(&lane->ring, reply_pos, &out->msg);
	if (found != 1) {
		assert_int_equal(found, 0);
		return false;
	}
	out->at =
		out->msg.flags & RF_MSG_LARGE
			? (const char *)lane->large
			: (const char *)rf_ring_payload(&lane->ring, reply_pos);
	out->bytes = out->msg.payload_bytes;
	reply_pos += out->msg.ring_bytes;
	return true;
}

static inline void expect_no_answer(void)
{
	struct answer got;

	assert_false(take_answer(&got));
}

static inline void expect(uint64_t id, enum rf_msg_type type, const char *text)
{
	struct answer got;

	assert_true(take_answer(&got));
	if (got.bytes < strlen(text) ||
		strncmp(got.at, text, strlen(text)) != 0)
		fail_msg("got '%.*s', expected '%s'", (int)got.bytes, got.at,
			text);
	if (type == RF_MSG_REPLY)
		assert_int_equal(got.bytes, strlen(text));
	assert_int_equal(got.msg.type, type);
	assert_int_equal(got.msg.conn_id, id);
}

/* Rounds until nothing waits any more. The error that ended it, or 0. */
static inline int run_desk(void)
{
	int done;

	do
		done = desk_round(&desk);
	while (done > 0);
	assert_int_equal(rf_tx_is_open(), false);
	return done;
}

static struct conf conf;
static struct rf_child self;

static inline void init_desk(void)
{
	self = (struct rf_child){
		.conf = &conf,
		.worker = &trial_worker,
		.channel = &channel,
		.status = status,
		.predecessor = -1,
	};
	desk_init(&desk, &self);
	desk.wait = wait_by_hand;
}

/* As a new process does: with nothing but the arena and the channel. */
static inline void reopen_desk(void)
{
	free(desk.args);
	free(desk.pushes);
	init_desk();
	assert_int_equal(desk_open(&desk, 1024), 0);
}

static inline int set_up_sized(uint64_t max_bytes)
{
	status = rf_status_create();
	if (status == NULL || scratch_arena_create(max_bytes) != 0)
		return -1;
	rf_tx_begin();
	trial = rf_alloc(sizeof *trial);
	if (rf_tx_commit() != 0)
		return -1;
	request_head = reply_pos = 0;
	waits = 0;
	while_it_waits = NULL;
	trial_in_tick = NULL;
	trial_tick_says = 100;
	trial_closed_fails = false;
	conf.quarantine.attempts = 2;
	if (rf_channel_create(&channel, "unit", REQUEST_BYTES, REPLY_BYTES) !=
		0)
		return -1;
	init_desk();
	return desk_open(&desk, 1024);
}

static inline int set_up(void **state)
{
	(void)state;
	return set_up_sized(64 * MIB);
}

static inline int tear_down(void **state)
{
	(void)state;
	free(desk.args);
	free(desk.pushes);
	rf_channel_destroy(&channel);
	scratch_arena_destroy();
	rf_status_destroy(status);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
