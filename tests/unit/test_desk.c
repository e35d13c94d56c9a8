/* SPDX-License-Identifier: MIT */
/* test_desk.c -- requests in, replies out, and what is said when it cannot be.
 *
 * Deaths and takeovers are in test_desk_deaths.c, replies in test_reply.c.
 */
#include "by_hand.h"

#define ANN CONN(1, 0)
#define BOB CONN(2, 1)

/* ---- the straight way ---- */

static void each_request_gets_one_reply_in_order(void **state)
{
	enum { CONNS = 50, REQUESTS = 100000 };
	uint64_t asked = 0, answered = 0, ids[64];
	char text[64];

	(void)state;
	for (unsigned i = 0; i < CONNS; i++)
		open_conn(CONN(i + 1, i));
	run_desk();
	while (answered < REQUESTS) {
		struct answer got;
		size_t batch = random_below(60);

		for (size_t i = 0; i < batch && asked < REQUESTS; i++) {
			ids[asked % 64] =
				CONN(asked % CONNS + 1, asked % CONNS);
			snprintf(text, sizeof text, "add %u",
				(unsigned)random_below(200));
			ask(ids[asked++ % 64], text);
		}
		assert_int_equal(run_desk(), 0);
		while (take_answer(&got)) {
			assert_int_equal(got.msg.type, RF_MSG_REPLY);
			assert_int_equal(got.msg.conn_id, ids[answered++ % 64]);
			snprintf(text, sizeof text, "%llu",
				(unsigned long long)answered);
			assert_memory_equal(got.at, text, strlen(text));
		}
		assert_int_equal(answered, asked);
	}
	assert_int_equal(trial->number, REQUESTS);
	assert_int_equal(status->business.requests, REQUESTS);
	assert_int_equal(trial_attempt, 1);
}

static void arguments_of_every_size_arrive_whole(void **state)
{
	char words[5000], expected[5000];

	(void)state;
	open_conn(ANN);
	for (int round = 0; round < 3000; round++) {
		size_t at = 4, to = 0;
		struct answer got;

		strcpy(words, "echo");
		for (size_t argc = random_below(20); argc > 0; argc--) {
			size_t bytes = random_below(argc == 1 ? 2000 : 30);

			words[at++] = ' ';
			memset(words + at, 'a' + (int)argc, bytes);
			memset(expected + to, 'a' + (int)argc, bytes);
			at += bytes;
			to += bytes;
		}
		words[at] = '\0';
		ask(ANN, words);
		assert_int_equal(run_desk(), 0);
		assert_true(take_answer(&got));
		assert_int_equal(got.bytes, to);
		assert_memory_equal(got.at, expected, to);
	}
}

static void an_empty_reply_is_a_reply(void **state)
{
	(void)state;
	open_conn(ANN);
	ask(ANN, "echo");
	run_desk();
	expect(ANN, RF_MSG_REPLY, "");
	expect_no_answer();
}

static void say_nothing(const struct rf_request *req, struct rf_reply *reply)
{
	(void)req;
	(void)reply;
}

static void a_forgotten_reply_is_an_error(void **state)
{
	(void)state;
	open_conn(ANN);
	trial_custom = say_nothing;
	ask(ANN, "custom");
	run_desk();
	expect(ANN, RF_MSG_ERROR, "ERR the worker's handler gave no reply");
	expect_no_answer();
}

static void replies_show_only_what_is_committed(void **state)
{
	uint64_t before;

	(void)state;
	open_conn(ANN);
	run_desk();
	before = channel.shm->reply.head;
	ask(ANN, "fail 12");
	ask(ANN, "add");
	run_desk();
	expect(ANN, RF_MSG_ERROR, "OOM ");
	expect(ANN, RF_MSG_REPLY, "1");
	assert_int_equal(channel.shm->reply.head, reply_pos);
	assert_true(reply_pos > before);
	assert_int_equal(channel.shm->request.tail, request_head);
}

/* ---- connections ---- */

static void a_connection_is_known_from_open_to_close(void **state)
{
	(void)state;
	open_conn(ANN);
	open_conn(BOB);
	ask(ANN, "peer");
	ask(ANN, "peer");
	ask(BOB, "peer");
	close_conn(ANN);
	close_conn(ANN); /* a second time is nothing */
	ask(BOB, "peer");
	open_conn(CONN(3, 0)); /* the same slot, another connection */
	ask(CONN(3, 0), "peer");
	run_desk();
	expect(ANN, RF_MSG_REPLY, "unit:1234 1");
	expect(ANN, RF_MSG_REPLY, "unit:1234 2");
	expect(BOB, RF_MSG_REPLY, "unit:1234 1");
	expect(BOB, RF_MSG_REPLY, "unit:1234 2");
	expect(CONN(3, 0), RF_MSG_REPLY, "unit:1234 1");
	expect_no_answer();
	assert_int_equal(trial->closed, 1);
}

static void an_unknown_connection_is_told_so_and_closed(void **state)
{
	const uint64_t strangers[] = {0, ANN, CONN(1, 65535), UINT64_MAX};

	(void)state;
	for (size_t i = 0; i < sizeof strangers / sizeof *strangers; i++) {
		struct answer got;

		ask(strangers[i], "add");
		assert_int_equal(run_desk(), 0);
		assert_true(take_answer(&got));
		assert_int_equal(got.msg.type, RF_MSG_ERROR);
		assert_int_equal(got.msg.conn_id, strangers[i]);
		assert_true(got.msg.flags & RF_MSG_LAST_WORD);
	}
	assert_int_equal(trial->number, 0);
}

static void a_long_peer_name_is_cut(void **state)
{
	(void)state;
	memset(put_message(RF_MSG_OPEN, ANN, 1000), 'p', 1000);
	show_requests();
	ask(ANN, "peer");
	run_desk();
	expect(ANN, RF_MSG_REPLY,
		"ppppppppppppppppppppppppppppppp"
		"pppppppppppppppppppppppppppppppp 1");
}

static void every_slot_can_be_open_and_a_reset_closes_them_all(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 65536; i++) {
		open_conn(CONN(i + 1, i));
		if (i % 4096 == 0)
			run_desk();
	}
	ask(CONN(65536, 65535), "add");
	put_message(RF_MSG_RESET, 0, 0);
	show_requests();
	ask(CONN(65536, 65535), "add");
	run_desk();
	assert_int_equal(trial->closed, 65536);
	expect(CONN(65536, 65535), RF_MSG_REPLY, "1");
	expect(CONN(65536, 65535), RF_MSG_ERROR, "ERR no memory");
	expect_no_answer();
	assert_int_equal(rf_heap_check(), 0);
}

static void a_closed_hook_that_fails_does_not_keep_the_connection(void **state)
{
	(void)state;
	open_conn(ANN);
	open_conn(BOB);
	run_desk();
	trial_closed_fails = true;
	close_conn(ANN);
	ask(ANN, "add");
	put_message(RF_MSG_RESET, 0, 0);
	show_requests();
	ask(BOB, "add");
	assert_int_equal(run_desk(), 0);
	expect(ANN, RF_MSG_ERROR, "ERR");
	expect(BOB, RF_MSG_ERROR, "ERR");
	expect_no_answer();
	assert_int_equal(trial->number, 0);
}

/* ---- what cannot be committed ---- */

static void a_refused_request_changes_nothing_and_says_why(void **state)
{
	const struct {
		const char *words, *text;
	} cases[] = {
		{"fail 12", "OOM "},			 /* ENOMEM */
		{"fail 28", "ERR the change is larger"}, /* ENOSPC */
		{"fail 90", "ERR the reply is larger"},	 /* EMSGSIZE */
		{"fail 5", "ERR "},
		{"take 999999999", "OOM "},
		{"big 4194305", "ERR the reply is larger"},
	};

	(void)state;
	open_conn(ANN);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		ask(ANN, cases[i].words);
		ask(ANN, "echo next");
		assert_int_equal(run_desk(), 0);
		expect(ANN, RF_MSG_ERROR, cases[i].text);
		expect(ANN, RF_MSG_REPLY, "next");
		expect_no_answer();
		assert_int_equal(trial->number, 0);
		assert_null(trial->kept);
	}
	assert_int_equal(rf_heap_check(), 0);
}

static void a_full_arena_still_serves_whom_it_knows(void **state)
{
	void *block;

	(void)state;
	open_conn(ANN);
	run_desk();
	for (size_t bytes = 16 * MIB; bytes >= 16; bytes /= 2)
		do {
			rf_tx_begin();
			block = rf_try_alloc(bytes);
			assert_int_equal(rf_tx_commit(), 0);
		} while (block != NULL);
	ask(ANN, "take 100");
	ask(ANN, "add");
	open_conn(BOB); /* its room was made at the start */
	ask(BOB, "add");
	open_conn(CONN(3, 5000)); /* this one's was not */
	ask(CONN(3, 5000), "add");
	assert_int_equal(run_desk(), 0);
	expect(ANN, RF_MSG_ERROR, "OOM ");
	expect(ANN, RF_MSG_REPLY, "1");
	expect(BOB, RF_MSG_REPLY, "2");
	expect(CONN(3, 5000), RF_MSG_ERROR, "ERR no memory");
}

/* ---- ticks ---- */

static unsigned ticks;

static void add_and_push(void)
{
	ticks++;
	RF_SET(trial->number, trial->number + 1);
	rf_push(ANN, "tick", 4);
}

static void add_and_fail(void)
{
	add_and_push();
	rf_tx_fail(-ENOMEM);
}

static void a_tick_is_a_transaction_and_its_pushes_go_out(void **state)
{
	(void)state;
	open_conn(ANN);
	run_desk();
	trial_in_tick = add_and_push;
	desk_tick(&desk);
	assert_int_equal(trial->number, 1);
	expect(ANN, RF_MSG_PUSH, "tick");
	expect_no_answer();
	trial_in_tick = add_and_fail;
	desk.tick_at_ms = 0;
	desk_tick(&desk);
	assert_int_equal(trial->number, 1);
	expect_no_answer();
}

static void a_tick_runs_when_it_is_due_and_not_before(void **state)
{
	(void)state;
	ticks = 0;
	trial_in_tick = add_and_push;
	trial_tick_says = 1000000; /* is cut to 100 ms */
	desk_tick(&desk);
	desk_tick(&desk);
	assert_int_equal(ticks, 1);
	assert_int_equal(desk.tick_at_ms, desk.now_ms + 100);
	desk.now_ms += 99;
	desk_tick(&desk);
	assert_int_equal(ticks, 1);
	desk.now_ms += 1;
	trial_tick_says = 0;
	desk_tick(&desk);
	desk_tick(&desk);
	assert_int_equal(ticks, 3);
	desk.tick_at_ms = rf_now_ms();
	waits = 0;
	desk_sleep(&desk, DESK_SLEEP_MS); /* does not: a tick is due at once */
	assert_int_equal(waits, 0);
}

static void it_sleeps_only_when_nothing_waits(void **state)
{
	(void)state;
	desk_tick(&desk);
	desk_sleep(&desk, DESK_SLEEP_MS);
	assert_int_equal(waits, 1);
	open_conn(ANN);
	desk_sleep(&desk, DESK_SLEEP_MS);
	assert_int_equal(waits, 1);
	assert_int_equal(channel.shm->request.consumer_sleeps, 0);
}

/* ---- bytes that are no request ---- */

/* A ring of valid messages, some of them damaged. */
static void damage(uint64_t from)
{
	struct rf_msg *msg = rf_ring_slot(&channel.request.ring, from);
	uint8_t *payload = (uint8_t *)(msg + 1);
	size_t bytes = msg->payload_bytes;

	switch (random_below(6)) {
	case 0: /* argc or one of the lengths */
		random_fill(payload + random_below(3) * 4, 1 + random_below(4));
		break;
	case 1:
		msg->payload_bytes = random_below(bytes + 1);
		break;
	case 2:
		payload[random_below(bytes)] ^=
			(uint8_t)(1u << random_below(8));
		break;
	case 3:
		msg->type = (uint16_t)random_below(RF_MSG_TYPE_COUNT + 1);
		break;
	case 4:
		msg->flags = RF_MSG_LARGE;
		msg->payload_bytes = random_below(2) ? random_word() : bytes;
		break;
	default:
		random_fill(msg, sizeof *msg);
	}
}

static void nonsense_is_an_error_and_never_a_crash(void **state)
{
	unsigned refused = 0;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		uint64_t from;
		int error;

		open_conn(ANN);
		run_desk();
		from = request_head;
		ask(ANN, "echo some more words");
		damage(from);
		do
			error = desk_round(&desk);
		while (error > 0);
		assert_false(rf_tx_is_open());
		assert_true(error == 0 || error == -EBADMSG);
		refused += error != 0;
		/* What the supervisor does then. */
		rf_channel_reset(&channel);
		request_head = reply_pos = 0;
		reopen_desk();
	}
	assert_in_range(refused, 1000, 19000);
	assert_int_equal(rf_heap_check(), 0);
}

/* A length that the area does not have, in a request that looks whole. */
static void a_large_request_longer_than_its_area_is_nonsense(void **state)
{
	const uint32_t whole[] = {1, UINT32_MAX};
	struct rf_msg *msg;

	(void)state;
	assert_int_equal(rf_lane_back(&channel, &channel.request, 8), 0);
	memcpy(channel.request.large, whole, sizeof whole);
	msg = (struct rf_msg *)put_message(RF_MSG_REQUEST, ANN, 0) - 1;
	msg->flags = RF_MSG_LARGE;
	msg->payload_bytes = sizeof whole + UINT32_MAX;
	open_conn(ANN);
	show_requests();
	assert_int_equal(desk_round(&desk), -EBADMSG);
}

static void types_that_go_the_other_way_are_nonsense(void **state)
{
	(void)state;
	put_message(RF_MSG_REPLY, ANN, 0);
	show_requests();
	assert_int_equal(desk_round(&desk), -EBADMSG);
	assert_int_equal(desk_round(&desk), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_request_gets_one_reply_in_order),
		TEST(arguments_of_every_size_arrive_whole),
		TEST(an_empty_reply_is_a_reply),
		TEST(a_forgotten_reply_is_an_error),
		TEST(replies_show_only_what_is_committed),
		TEST(a_connection_is_known_from_open_to_close),
		TEST(an_unknown_connection_is_told_so_and_closed),
		TEST(a_long_peer_name_is_cut),
		TEST(every_slot_can_be_open_and_a_reset_closes_them_all),
		TEST(a_closed_hook_that_fails_does_not_keep_the_connection),
		TEST(a_refused_request_changes_nothing_and_says_why),
		TEST(a_full_arena_still_serves_whom_it_knows),
		TEST(a_tick_is_a_transaction_and_its_pushes_go_out),
		TEST(a_tick_runs_when_it_is_due_and_not_before),
		TEST(it_sleeps_only_when_nothing_waits),
		TEST(nonsense_is_an_error_and_never_a_crash),
		TEST(a_large_request_longer_than_its_area_is_nonsense),
		TEST(types_that_go_the_other_way_are_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
