/* SPDX-License-Identifier: MIT */
/* test_pushes.c -- what is sent unasked: through the ring, or the area. */
#include "by_hand.h"

#define ANN CONN(1, 0)
#define BOB CONN(2, 1)

static size_t slow_count;

static void pushes_follow_the_reply_of_their_request(void **state)
{
	(void)state;
	open_conn(ANN);
	open_conn(BOB);
	ask(ANN, "push 2 1 hello");
	ask(ANN, "push 1 0 myself 3");
	ask(BOB, "add");
	run_desk();
	expect(ANN, RF_MSG_REPLY, "pushed");
	expect(BOB, RF_MSG_PUSH, "hello");
	expect(ANN, RF_MSG_REPLY, "pushed");
	for (int i = 0; i < 3; i++)
		expect(ANN, RF_MSG_PUSH, "myself");
	expect(BOB, RF_MSG_REPLY, "1");
	expect_no_answer();
}

static void a_push_to_nobody_is_ignored(void **state)
{
	(void)state;
	open_conn(ANN);
	open_conn(BOB);
	close_conn(BOB);
	ask(ANN, "push 2 1 hello");
	ask(ANN, "push 9 9 hello");
	run_desk();
	expect(ANN, RF_MSG_REPLY, "pushed");
	expect(ANN, RF_MSG_REPLY, "pushed");
	expect_no_answer();
}

static void push_and_fail(const struct rf_request *req, struct rf_reply *reply)
{
	(void)req;
	(void)reply;
	rf_push(BOB, "never seen", 10);
	rf_tx_fail(-ENOMEM);
	rf_push(BOB, "never seen", 10);
}

static void a_refused_request_pushes_nothing(void **state)
{
	(void)state;
	open_conn(ANN);
	open_conn(BOB);
	trial_custom = push_and_fail;
	ask(ANN, "custom");
	ask(ANN, "push 2 1 hello");
	run_desk();
	expect(ANN, RF_MSG_ERROR, "OOM ");
	expect(ANN, RF_MSG_REPLY, "pushed");
	expect(BOB, RF_MSG_PUSH, "hello");
	expect_no_answer();
}

/* Those of one message; how many. Each has this text. */
static unsigned take_pushes(uint64_t area, const char *text)
{
	struct answer got;
	struct rf_msg push;
	uint64_t at = area;
	unsigned count = 0;

	assert_true(take_answer(&got));
	assert_int_equal(got.msg.type, RF_MSG_PUSHES);
	assert_int_equal(got.msg.flags, RF_MSG_LARGE);
	assert_int_equal(got.msg.conn_id, area);
	for (; at < area + got.bytes; at += rf_ring_need(push.payload_bytes)) {
		memcpy(&push, got.at + at, sizeof push);
		assert_int_equal(push.type, RF_MSG_PUSH);
		assert_int_equal(push.conn_id, BOB);
		assert_int_equal(push.payload_bytes, strlen(text));
		assert_memory_equal(
			got.at + at + sizeof push, text, strlen(text));
		count++;
	}
	assert_int_equal(at, area + got.bytes);
	return count;
}

static void pushes_that_are_too_many_for_the_ring_go_through_the_area(
	void **state)
{
	(void)state;
	open_conn(ANN);
	open_conn(BOB);
	/* 24 + 8 bytes each: half the ring holds 16384, the area 131072. */
	ask(ANN, "push 2 1 fits 16384");
	run_desk();
	expect(ANN, RF_MSG_REPLY, "pushed");
	for (int i = 0; i < 16384; i++)
		expect(BOB, RF_MSG_PUSH, "fits");
	ask(ANN, "push 2 1 many 16385");
	run_desk();
	expect(ANN, RF_MSG_REPLY, "pushed");
	assert_int_equal(take_pushes(0, "many"), 16385);
	done_with_answers();
	ask(ANN, "push 2 1 most 131072");
	ask(ANN, "push 2 1 more 131073");
	run_desk();
	expect(ANN, RF_MSG_REPLY, "pushed");
	assert_int_equal(take_pushes(0, "most"), 131072);
	expect(ANN, RF_MSG_ERROR, "ERR the reply is larger");
	expect_no_answer();
}

static void take_many(void)
{
	expect(ANN, RF_MSG_REPLY, "pushed");
	assert_int_equal(take_pushes(0, "many"), 16385);
	done_with_answers();
	slow_count++;
}

static void pushes_wait_until_the_area_is_free(void **state)
{
	(void)state;
	open_conn(ANN);
	open_conn(BOB);
	slow_count = 0;
	while_it_waits = take_many;
	ask(ANN, "push 2 1 many 16385");
	ask(ANN, "push 2 1 many 16385");
	assert_int_equal(run_desk(), 0);
	assert_int_equal(slow_count, 1);
	take_many();
	expect_no_answer();
}

static void push_and_talk(const struct rf_request *req, struct rf_reply *reply)
{
	char *room = rf_reply_room(reply, 3 * MIB + 1);

	(void)req;
	for (int i = 0; i < 17000; i++)
		rf_push(BOB, "many", 4);
	if (room == NULL)
		return;
	memset(room, 'r', 3 * MIB + 1);
	rf_reply_took(reply, 3 * MIB + 1);
}

static void take_slowly(void)
{
	slow_count++;
	if (slow_count % 2 == 0)
		return;
	if (slow_count % 4 == 1) {
		struct answer got;

		assert_true(take_answer(&got));
		assert_int_equal(got.bytes, 3 * MIB + 1);
		assert_true(is_filled((const uint8_t *)got.at, got.bytes, 'r'));
		return;
	}
	assert_int_equal(take_pushes(3 * MIB + 8, "many"), 17000);
	done_with_answers();
}

static void a_large_reply_and_many_pushes_share_the_area(void **state)
{
	(void)state;
	open_conn(ANN);
	open_conn(BOB);
	trial_custom = push_and_talk;
	slow_count = 0;
	while_it_waits = take_slowly;
	for (int i = 0; i < 3; i++)
		ask(ANN, "custom");
	assert_int_equal(run_desk(), 0);
	assert_in_range(slow_count, 7, 8); /* two were waited for */
	slow_count = 8;
	take_slowly();
	slow_count = 10;
	take_slowly();
	expect_no_answer();
}

static void push_one(const struct rf_request *req, struct rf_reply *reply)
{
	size_t bytes = number_of(&req->argv[1]);
	char *text = malloc(bytes);

	memset(text, 'p', bytes);
	rf_push(BOB, text, bytes);
	free(text);
	reply_text(reply, "pushed");
}

static void a_push_may_be_as_long_as_max_reply(void **state)
{
	struct rf_msg push;
	struct answer got;

	(void)state;
	open_conn(ANN);
	open_conn(BOB);
	trial_custom = push_one;
	ask(ANN, "custom 4194280");
	run_desk();
	expect(ANN, RF_MSG_REPLY, "pushed");
	assert_true(take_answer(&got));
	assert_int_equal(got.msg.type, RF_MSG_PUSHES);
	memcpy(&push, got.at, sizeof push);
	assert_int_equal(push.payload_bytes, 4194280);
	assert_true(is_filled((const uint8_t *)got.at + sizeof push,
		push.payload_bytes, 'p'));
	ask(ANN, "custom 4194281");
	run_desk();
	expect(ANN, RF_MSG_ERROR, "ERR the reply is larger");
	expect_no_answer();
}

static void read_all(void)
{
	struct answer got;

	while (take_answer(&got))
		slow_count += got.msg.type == RF_MSG_PUSH;
}

static void pushes_wait_for_room_like_replies(void **state)
{
	(void)state;
	open_conn(ANN);
	open_conn(BOB);
	slow_count = 0;
	while_it_waits = read_all;
	for (int i = 0; i < 10; i++)
		ask(ANN, "push 2 1 fits 16384");
	assert_int_equal(run_desk(), 0);
	assert_true(waits >= 4);
	read_all();
	assert_int_equal(slow_count, 10 * 16384);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(pushes_follow_the_reply_of_their_request),
		TEST(a_push_to_nobody_is_ignored),
		TEST(a_refused_request_pushes_nothing),
		TEST(pushes_that_are_too_many_for_the_ring_go_through_the_area),
		TEST(pushes_wait_until_the_area_is_free),
		TEST(a_large_reply_and_many_pushes_share_the_area),
		TEST(a_push_may_be_as_long_as_max_reply),
		TEST(pushes_wait_for_room_like_replies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
