/* SPDX-License-Identifier: MIT */
/* test_parked.c -- requests that wait in the arena.
 *
 * Deaths are in test_parked_deaths.c; at every step of it, in
 * tests/crash/crash_desk.c.
 */
#include "gate.h"

/* ---- parking ---- */

static void a_parked_request_is_answered_when_it_is_resumed(void **state)
{
	(void)state;
	open_all();
	ask(ANN, "custom wait one");
	run_desk();
	assert_int_equal(expect_empty(ANN), RF_MSG_PATIENT);
	expect_clean();
	assert_int_equal(status->business.requests, 1);
	ask(BOB, "custom open");
	run_desk();
	expect(BOB, RF_MSG_REPLY, "ok");
	assert_int_equal(expect_push(ANN, "one"), RF_MSG_IMPATIENT);
	expect_clean();
	assert_int_equal(again_count, 1);
	assert_int_equal(trial->number, 1);
	assert_int_equal(status->business.requests, 2);
}

static void what_comes_behind_it_waits_in_order(void **state)
{
	size_t used;

	(void)state;
	open_all();
	used = rf_heap_used();
	ask(ANN, "custom wait one");
	ask(ANN, "echo two");
	ask(ANN, "custom wait three");
	ask(BOB, "echo bob");
	ask(ANN, "add");
	run_desk();
	expect_empty(ANN);
	assert_int_equal(expect_empty(ANN), 0);
	expect_empty(ANN);
	expect(BOB, RF_MSG_REPLY, "bob");
	expect_empty(ANN);
	expect_clean();
	assert_int_equal(trial->number, 0);
	ask(BOB, "custom open");
	ask(ANN, "echo five");
	ask(BOB, "echo end");
	run_desk();
	expect(BOB, RF_MSG_REPLY, "ok");
	assert_int_equal(expect_push(ANN, "one"), 0);
	expect_push(ANN, "two");
	expect_push(ANN, "three");
	assert_int_equal(expect_push(ANN, "3"), RF_MSG_IMPATIENT);
	expect(ANN, RF_MSG_REPLY, "five");
	expect(BOB, RF_MSG_REPLY, "end");
	expect_clean();
	assert_int_equal(again_count, 1);
	assert_int_equal(rf_heap_used(), used);
}

static void it_may_park_again_any_number_of_times(void **state)
{
	(void)state;
	open_all();
	ask(ANN, "custom wait one");
	ask(ANN, "custom wait two");
	run_desk();
	expect_empty(ANN);
	expect_empty(ANN);
	for (int i = 0; i < 1000; i++) {
		ask(BOB, "custom resume");
		run_desk();
		expect(BOB, RF_MSG_REPLY, "ok");
		expect_no_answer();
	}
	assert_int_equal(again_count, 1000);
	assert_int_equal(trial_attempt, 1);
	gate_open = true;
	ask(BOB, "custom resume");
	run_desk();
	expect(BOB, RF_MSG_REPLY, "ok");
	expect_push(ANN, "one");
	expect_push(ANN, "two");
	expect_clean();
	assert_int_equal(again_count, 1001);
}

/* Until then it was not run, so it is not run again. */
static void the_next_one_may_park_in_its_turn(void **state)
{
	(void)state;
	open_all();
	ask(ANN, "custom wait one");
	ask(ANN, "custom shut");
	ask(ANN, "custom wait three");
	ask(ANN, "echo four");
	run_desk();
	for (int i = 0; i < 4; i++)
		expect_empty(ANN);
	ask(BOB, "custom open");
	run_desk();
	expect(BOB, RF_MSG_REPLY, "ok");
	expect_push(ANN, "one");
	assert_int_equal(expect_push(ANN, "ok"), 0);
	expect_clean();
	assert_int_equal(again_count, 1);
	ask(BOB, "custom open");
	run_desk();
	expect(BOB, RF_MSG_REPLY, "ok");
	expect_push(ANN, "three");
	assert_int_equal(expect_push(ANN, "four"), RF_MSG_IMPATIENT);
	expect_clean();
	assert_int_equal(again_count, 2);
}

static void connections_go_on_in_the_order_in_which_they_were_resumed(
	void **state)
{
	(void)state;
	open_all();
	ask(ANN, "custom wait ann");
	ask(BOB, "custom wait bob");
	run_desk();
	expect_empty(ANN);
	expect_empty(BOB);
	gate_open = true;
	show_requests();
	ask(CAT, "custom one 2");
	ask(CAT, "custom one 1");
	run_desk();
	expect(CAT, RF_MSG_REPLY, "ok");
	expect_push(BOB, "bob");
	expect(CAT, RF_MSG_REPLY, "ok");
	expect_push(ANN, "ann");
	expect_clean();
}

static void resume_ann(void)
{
	gate_open = true;
	rf_conn_resume(rf_conn_find(ANN));
}

static void one_that_a_tick_resumes_goes_on_at_once(void **state)
{
	(void)state;
	open_all();
	ask(ANN, "custom wait one");
	run_desk();
	expect_empty(ANN);
	trial_in_tick = resume_ann;
	desk_tick(&desk);
	waits = 0;
	desk_sleep(&desk, DESK_SLEEP_MS);
	assert_int_equal(waits, 0);
	run_desk();
	expect_push(ANN, "one");
	expect_clean();
	desk_sleep(&desk, DESK_SLEEP_MS);
	assert_int_equal(waits, 1);
}

static void one_that_resumes_itself_runs_again_at_once(void **state)
{
	(void)state;
	open_all();
	park_and_resume = true;
	ask(ANN, "custom wait one");
	assert_true(desk_round(&desk) > 100);
	park_and_resume = false;
	run_desk();
	expect_empty(ANN);
	expect_clean();
	ask(BOB, "custom open");
	run_desk();
	expect(BOB, RF_MSG_REPLY, "ok");
	expect_push(ANN, "one");
	expect_clean();
}

static void say_nothing(const struct rf_request *req, struct rf_reply *reply)
{
	(void)req;
	(void)reply;
}

static void its_error_ends_no_request(void **state)
{
	struct answer got;

	(void)state;
	open_all();
	ask(ANN, "custom wait");
	ask(ANN, "fail 12");
	run_desk();
	expect_empty(ANN);
	expect_empty(ANN);
	trial_custom = say_nothing;
	ask(BOB, "echo bob");
	rf_tx_begin();
	rf_conn_resume(rf_conn_find(ANN));
	rf_tx_commit();
	run_desk();
	assert_true(take_answer(&got));
	assert_int_equal(got.msg.type, RF_MSG_ERROR);
	assert_int_equal(got.msg.flags, RF_MSG_UNASKED);
	assert_true(take_answer(&got));
	assert_int_equal(got.msg.type, RF_MSG_ERROR);
	assert_int_equal(got.msg.flags, RF_MSG_UNASKED | RF_MSG_IMPATIENT);
	expect(BOB, RF_MSG_REPLY, "bob");
	expect_clean();
}

static void as_much_as_max_request_waits_and_no_more(void **state)
{
	static char words[RF_RING_PAYLOAD_MAX / 2];
	struct answer got;
	unsigned waiting = 0;
	size_t used;

	(void)state;
	open_all();
	used = rf_heap_used();
	ask(ANN, "custom wait one");
	run_desk();
	expect_empty(ANN);
	memset(words, 'x', sizeof words - 1);
	memcpy(words, "echo ", 5);
	for (;; waiting++) {
		ask(ANN, words);
		run_desk();
		assert_true(take_answer(&got));
		if (got.msg.flags & RF_MSG_LAST_WORD)
			break;
	}
	assert_in_range(waiting, MIB / sizeof words, MIB / sizeof words + 2);
	assert_int_equal(closed_count, 1);
	ask(ANN, "echo more");
	run_desk();
	expect(ANN, RF_MSG_ERROR, "ERR");
	expect_clean();
	assert_int_equal(rf_heap_used(), used);
}

static void who_sends_too_much_may_take_another_one_along(void **state)
{
	static char words[RF_RING_PAYLOAD_MAX / 2];

	(void)state;
	open_all();
	close_in_closed = BOB;
	ask(ANN, "custom wait one");
	memset(words, 'x', sizeof words - 1);
	memcpy(words, "echo ", 5);
	while (conns_find(ANN) != NULL) {
		ask(ANN, words);
		ask(BOB, "add");
		run_desk();
		done_with_answers();
		reply_pos = RF_SUPER->desk.reply_pos;
	}
	assert_null(conns_find(BOB));
	assert_int_equal(closed_count, 2);
	assert_int_equal(parked_check(), 0);
}

static void a_full_arena_ends_only_who_has_more_to_say(void **state)
{
	void *block;

	(void)state;
	open_all();
	ask(ANN, "custom wait one");
	run_desk();
	expect_empty(ANN);
	for (size_t bytes = 16 * MIB; bytes >= 16; bytes /= 2)
		do {
			rf_tx_begin();
			block = rf_try_alloc(bytes);
			assert_int_equal(rf_tx_commit(), 0);
		} while (block != NULL);
	ask(BOB, "custom wait two");
	ask(ANN, "echo more");
	ask(BOB, "echo bob");
	run_desk();
	expect(BOB, RF_MSG_ERROR, "OOM");
	assert_int_equal(expect_empty(ANN), RF_MSG_LAST_WORD);
	expect(BOB, RF_MSG_REPLY, "bob");
	expect_clean();
}

/* The walk ends, and tells. */
static void lists_that_bite_their_tails_are_found(void **state)
{
	struct rf_parked *block;

	(void)state;
	open_all();
	ask(ANN, "custom wait one");
	run_desk();
	block = parked_first(conns_find(ANN));
	assert_int_equal(parked_check(), 0);
	block->next = block;
	assert_int_equal(parked_check(), -EBADMSG);
	block->next = NULL;
	rf_tx_begin();
	parked_drop(conns_find(ANN));
	assert_int_equal(rf_tx_commit(), 0);
	assert_ptr_equal(RF_SUPER->desk.dropped, block);
	assert_int_equal(parked_check(), 0);
	block->next = block;
	assert_int_equal(parked_check(), -EBADMSG);
	block->next = NULL;
}

/* ---- the end of a connection ---- */

static void a_connection_that_closes_takes_what_waits_with_it(void **state)
{
	enum { MANY = 3000 };
	size_t used;

	(void)state;
	open_all();
	used = rf_heap_used();
	for (int i = 0; i < MANY; i++) {
		ask(ANN, "custom wait one");
		run_desk();
		expect_empty(ANN);
	}
	close_conn(ANN);
	assert_int_equal(desk_round(&desk), 2);
	assert_int_equal(parked_check(), 0);
	assert_true(rf_heap_used() > used);
	assert_in_range(run_desk(), 0, 0);
	ask(BOB, "custom open");
	run_desk();
	expect(BOB, RF_MSG_REPLY, "ok");
	expect_clean();
	assert_int_equal(rf_heap_used(), used);
	assert_int_equal(trial->number, 0);
}

static void one_that_is_ready_and_closes_is_not_run(void **state)
{
	(void)state;
	open_all();
	open_conn(CONN(4, 3));
	ask(ANN, "custom wait one");
	ask(BOB, "custom wait two");
	ask(CAT, "custom wait three");
	run_desk();
	expect_empty(ANN);
	expect_empty(BOB);
	expect_empty(CAT);
	gate_open = true;
	ask(CONN(4, 3), "custom but 2");
	run_desk();
	expect(CONN(4, 3), RF_MSG_REPLY, "ok");
	expect_push(BOB, "last");
	assert_true(expect_push(BOB, "") & RF_MSG_LAST_WORD);
	expect_push(ANN, "one");
	expect_push(CAT, "three");
	expect_clean();
}

static void one_whose_client_has_left_is_not_run(void **state)
{
	(void)state;
	open_all();
	ask(ANN, "custom wait one");
	ask(BOB, "custom wait two");
	run_desk();
	expect_empty(ANN);
	expect_empty(BOB);
	gate_open = true;
	close_conn(ANN);
	close_conn(BOB);
	ask(CAT, "custom resume");
	run_desk();
	expect(CAT, RF_MSG_REPLY, "ok");
	expect_clean();
	assert_int_equal(trial->number, 0);
}

static void its_reply_may_be_a_large_one(void **state)
{
	struct answer got;

	(void)state;
	open_all();
	ask(ANN, "custom wait one");
	ask(ANN, "big 300000");
	run_desk();
	expect_empty(ANN);
	expect_empty(ANN);
	ask(BOB, "custom open");
	run_desk();
	expect(BOB, RF_MSG_REPLY, "ok");
	expect_push(ANN, "one");
	assert_true(take_answer(&got));
	assert_int_equal(got.msg.type, RF_MSG_PUSH);
	assert_int_equal(got.msg.flags, RF_MSG_LARGE | RF_MSG_IMPATIENT);
	assert_int_equal(got.bytes, 300000);
	expect_clean();
}

static void a_reset_ends_those_that_wait(void **state)
{
	(void)state;
	open_all();
	ask(ANN, "custom wait one");
	ask(BOB, "custom wait two");
	run_desk();
	put_message(RF_MSG_RESET, 0, 0);
	show_requests();
	run_desk();
	assert_int_equal(closed_count, 3);
	assert_null(rf_conn_next(NULL));
	assert_null(RF_SUPER->desk.dropped);
	assert_int_equal(parked_check(), 0);
}

static void a_new_channel_ends_those_that_wait(void **state)
{
	(void)state;
	open_all();
	ask(ANN, "custom wait one");
	ask(ANN, "custom wait two");
	run_desk();
	rf_tx_begin();
	rf_conn_resume(rf_conn_find(ANN));
	rf_tx_commit();
	rf_channel_reset(&channel);
	request_head = reply_pos = 0;
	reopen_desk();
	assert_null(RF_SUPER->desk.ready_first);
	run_desk();
	expect_clean();
	assert_null(RF_SUPER->desk.dropped);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_parked_request_is_answered_when_it_is_resumed),
		TEST(what_comes_behind_it_waits_in_order),
		TEST(it_may_park_again_any_number_of_times),
		TEST(the_next_one_may_park_in_its_turn),
		TEST(connections_go_on_in_the_order_in_which_they_were_resumed),
		TEST(one_that_a_tick_resumes_goes_on_at_once),
		TEST(one_that_resumes_itself_runs_again_at_once),
		TEST(its_error_ends_no_request),
		TEST(as_much_as_max_request_waits_and_no_more),
		TEST(who_sends_too_much_may_take_another_one_along),
		TEST(a_full_arena_ends_only_who_has_more_to_say),
		TEST(lists_that_bite_their_tails_are_found),
		TEST(a_connection_that_closes_takes_what_waits_with_it),
		TEST(one_that_is_ready_and_closes_is_not_run),
		TEST(one_whose_client_has_left_is_not_run),
		TEST(its_reply_may_be_a_large_one),
		TEST(a_reset_ends_those_that_wait),
		TEST(a_new_channel_ends_those_that_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
