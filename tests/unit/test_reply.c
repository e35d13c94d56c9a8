/* SPDX-License-Identifier: MIT */
/* test_reply.c -- replies of every size, read fast and slowly. */
#include "by_hand.h"

#define ANN CONN(1, 0)
#define BOB CONN(2, 1)

/* ---- one reply, against a plain buffer ---- */

static char model[2 * REPLY_BYTES];
static size_t model_bytes;
static bool model_overflows;

static void append(struct rf_reply *reply, size_t bytes)
{
	char *room;

	random_fill(model + model_bytes, bytes);
	if (random_below(2) == 0) {
		rf_reply_bytes(reply, model + model_bytes, bytes);
	} else {
		/* More room than is then used. */
		room = rf_reply_room(reply, bytes + random_below(100));
		if (room != NULL)
			memcpy(room, model + model_bytes, bytes);
		if (room != NULL)
			rf_reply_took(reply, bytes);
	}
	model_bytes += bytes;
}

static void write_at_random(
	const struct rf_request *req, struct rf_reply *reply)
{
	size_t most = random_below(3) == 0 ? 900000 : 5000;

	(void)req;
	rf_reply_nothing(reply); /* may be empty */
	model_bytes = 0;
	for (size_t steps = random_below(30); steps > 0; steps--) {
		size_t bytes = random_below(most);
		size_t mark = random_below(model_bytes + 1);

		if (model_bytes + bytes + 100 > REPLY_BYTES)
			break;
		assert_int_equal(rf_reply_size(reply), model_bytes);
		switch (random_below(6)) {
		case 0:
			rf_reply_truncate(reply, mark);
			model_bytes = mark;
			break;
		case 1:
			bytes %= 20;
			memmove(model + mark + bytes, model + mark,
				model_bytes - mark);
			random_fill(model + mark, bytes);
			rf_reply_insert(reply, mark, model + mark, bytes);
			model_bytes += bytes;
			break;
		default:
			append(reply, bytes);
		}
	}
}

static void a_reply_is_what_was_written_however_it_was_written(void **state)
{
	unsigned large = 0;

	(void)state;
	open_conn(ANN);
	trial_custom = write_at_random;
	for (int round = 0; round < 400; round++) {
		struct answer got;

		ask(ANN, "custom");
		assert_int_equal(run_desk(), 0);
		assert_true(take_answer(&got));
		assert_int_equal(got.msg.type, RF_MSG_REPLY);
		assert_int_equal(got.bytes, model_bytes);
		assert_memory_equal(got.at, model, model_bytes);
		large += (got.msg.flags & RF_MSG_LARGE) != 0;
		expect_no_answer();
	}
	assert_true(large > 30);
}

static void write_too_much(const struct rf_request *req, struct rf_reply *reply)
{
	char *room = NULL;

	(void)req;
	RF_SET(trial->number, 77);
	for (size_t i = 0; i < 100 && (i == 0 || room != NULL); i++) {
		room = rf_reply_room(reply, REPLY_BYTES / 10);
		rf_reply_took(reply, REPLY_BYTES / 10);
	}
	model_overflows = room == NULL;
	rf_reply_insert(reply, 0, "x", 1);
	rf_reply_truncate(reply, 0);
	rf_reply_bytes(reply, "never seen", 10);
}

static void a_reply_that_outgrows_the_limit_is_an_error(void **state)
{
	(void)state;
	open_conn(ANN);
	trial_custom = write_too_much;
	ask(ANN, "custom");
	ask(ANN, "big 4194304"); /* exactly the limit */
	assert_int_equal(run_desk(), 0);
	assert_true(model_overflows);
	expect(ANN, RF_MSG_ERROR, "ERR the reply is larger than max_reply");
	assert_int_equal(trial->number, 1);
}

static void a_last_word_is_marked(void **state)
{
	struct answer got;

	(void)state;
	open_conn(ANN);
	ask(ANN, "add");
	ask(ANN, "quit");
	ask(ANN, "add");
	run_desk();
	assert_true(take_answer(&got));
	assert_int_equal(got.msg.flags, 0);
	assert_true(take_answer(&got));
	assert_int_equal(got.msg.flags, RF_MSG_LAST_WORD);
	/* What came in behind it is not run. */
	assert_true(take_answer(&got));
	assert_int_equal(got.msg.type, RF_MSG_ERROR);
	assert_int_equal(trial->number, 1);
}

/* ---- large messages ---- */

static void put_large_request(size_t bytes)
{
	const uint32_t head[] = {2, 4, (uint32_t)bytes};
	struct rf_msg *msg = rf_ring_slot(&channel.request.ring, request_head);
	size_t total = sizeof head + 4 + bytes;

	assert_int_equal(rf_lane_back(&channel, &channel.request, total), 0);
	memcpy(channel.request.large, head, sizeof head);
	memcpy(channel.request.large + sizeof head, "echo", 4);
	memset(channel.request.large + sizeof head + 4, 'r', bytes);
	*msg = (struct rf_msg){
		.ring_bytes = sizeof *msg,
		.type = RF_MSG_REQUEST,
		.flags = RF_MSG_LARGE,
		.conn_id = ANN,
		.payload_bytes = total,
	};
	request_head += sizeof *msg;
	show_requests();
}

static void large_requests_and_replies_pass(void **state)
{
	(void)state;
	open_conn(ANN);
	for (size_t bytes = RF_RING_PAYLOAD_MAX - 100; bytes < REQUEST_BYTES;
		bytes += 313131) {
		struct answer got;

		put_large_request(bytes);
		assert_int_equal(run_desk(), 0);
		assert_int_equal(channel.shm->request.tail, request_head);
		assert_true(take_answer(&got));
		assert_int_equal(got.bytes, bytes);
		assert_true(is_filled((const uint8_t *)got.at, bytes, 'r'));
		done_with_answers();
	}
}

static struct answer slow[64];
static size_t slow_count;

/* A network child that reads one reply each time the desk has to wait. */
static void read_one(void)
{
	struct answer *got = &slow[slow_count];

	if (!take_answer(got))
		return;
	assert_true(got->bytes == 0 ||
		    is_filled((const uint8_t *)got->at + got->bytes / 2,
			    got->bytes - got->bytes / 2, 'b'));
	slow_count++;
}

static void the_second_large_reply_waits_until_the_first_is_read(void **state)
{
	(void)state;
	open_conn(ANN);
	slow_count = 0;
	while_it_waits = read_one;
	for (int i = 0; i < 5; i++)
		ask(ANN, "big 3000000");
	assert_int_equal(run_desk(), 0);
	assert_in_range(waits, 4, 10);
	assert_int_equal(slow_count, 4);
	read_one();
	assert_int_equal(slow_count, 5);
	for (size_t i = 0; i < slow_count; i++)
		assert_int_equal(slow[i].bytes, 3000000);
	assert_int_equal(trial->number, 5);
}

static void small_replies_pass_while_a_large_one_is_unread(void **state)
{
	struct answer got;

	(void)state;
	open_conn(ANN);
	ask(ANN, "big 3000000");
	for (int i = 0; i < 10; i++)
		ask(ANN, "add");
	assert_int_equal(run_desk(), 0);
	assert_int_equal(waits, 0);
	assert_true(take_answer(&got));
	assert_true(is_filled((const uint8_t *)got.at, 3000000, 'b'));
	expect(ANN, RF_MSG_REPLY, "2");
}

/* ---- back-pressure ---- */

static void a_full_reply_ring_makes_the_desk_wait_and_loses_nothing(
	void **state)
{
	(void)state;
	open_conn(ANN);
	slow_count = 0;
	while_it_waits = read_one;
	for (int i = 0; i < 40; i++)
		ask(ANN, "big 200000");
	assert_int_equal(run_desk(), 0);
	assert_in_range(waits, 30, 50);
	while (slow_count < 40)
		read_one();
	assert_int_equal(trial->number, 40);
	expect_no_answer();
}

static void ask_to_stop(void)
{
	desk.stopping = true;
}

static void asked_to_stop_while_it_waits_it_leaves_the_request(void **state)
{
	static const char *const last[] = {"big 200000", "big 3000000"};

	(void)state;
	open_conn(ANN);
	for (size_t i = 0; i < 2; i++) {
		uint64_t done;

		while_it_waits = ask_to_stop;
		ask(ANN, "big 3000000");
		for (int n = 0; n < 10; n++)
			ask(ANN, last[i]);
		assert_int_equal(run_desk(), -EINTR);
		done = trial->number;
		assert_in_range(done % 11, 1, 9);
		/* The next one goes on where this one stopped. */
		slow_count = 0;
		while_it_waits = read_one;
		reopen_desk();
		assert_int_equal(run_desk(), 0);
		while (slow_count < 11)
			read_one();
		expect_no_answer();
		assert_int_equal(trial->number % 11, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_reply_is_what_was_written_however_it_was_written),
		TEST(a_reply_that_outgrows_the_limit_is_an_error),
		TEST(a_last_word_is_marked),
		TEST(large_requests_and_replies_pass),
		TEST(the_second_large_reply_waits_until_the_first_is_read),
		TEST(small_replies_pass_while_a_large_one_is_unread),
		TEST(a_full_reply_ring_makes_the_desk_wait_and_loses_nothing),
		TEST(asked_to_stop_while_it_waits_it_leaves_the_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
