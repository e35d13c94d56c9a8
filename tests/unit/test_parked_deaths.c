/* SPDX-License-Identifier: MIT */
/* test_parked_deaths.c -- parked requests that kill. */
#include "gate.h"
#include <worker/business/in_work.h>

static int work_here(void *arg)
{
	(void)arg;
	run_desk();
	return 0;
}

/* As a successor finds it. */
static void take_over(void)
{
	rf_tx_recover();
	reopen_desk();
	desk.worker = &gate_worker;
}

static void one_that_kills_is_given_up_and_those_behind_it_go_on(void **state)
{
	struct answer got;

	(void)state;
	open_all();
	ask(ANN, "custom wait one die");
	ask(ANN, "echo two");
	ask(BOB, "custom wait three");
	run_desk();
	expect_empty(ANN);
	expect_empty(ANN);
	expect_empty(BOB);
	ask(CAT, "custom open");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(exit_of(run_child(work_here, NULL)), 9);
		gate_open = true;
		take_over();
	}
	run_desk();
	expect(CAT, RF_MSG_REPLY, "ok");
	assert_true(take_answer(&got));
	assert_int_equal(got.msg.type, RF_MSG_ERROR);
	assert_int_equal(got.msg.flags, RF_MSG_CRASHED | RF_MSG_UNASKED);
	expect_push(ANN, "two");
	expect_push(BOB, "three");
	expect_clean();
	assert_int_equal(RF_SUPER->desk.quarantined, 1);
}

static void what_was_in_work_is_described_though_it_was_parked(void **state)
{
	struct rf_crash_request left = {0};

	(void)state;
	open_all();
	ask(BOB, "custom wait one");
	ask(ANN, "custom wait one die");
	run_desk();
	expect_empty(BOB);
	expect_empty(ANN);
	ask(CAT, "custom one 1");
	gate_open = true;
	assert_int_equal(exit_of(run_child(work_here, NULL)), 9);
	take_over();
	in_work_describe_left(&channel, &left);
	assert_int_equal(left.present, 1);
	assert_int_equal(left.attempt, 1);
	assert_int_equal(left.conn_id, ANN);
	assert_int_equal(left.bytes, 4 + 4 * 4 + 16);
	assert_int_equal(left.head_bytes, left.bytes);
	assert_memory_equal(left.head + 20, "customwaitonedie", 16);
	assert_string_equal(left.peer, "unit:1234");
	/* Once it is done there is nothing more to say of it. */
	memset(&left, 0, sizeof left);
	trial_custom = do_add;
	run_desk();
	in_work_describe_left(&channel, &left);
	assert_int_equal(left.present, 0);
}

static void *seen;

static void see_and_close(struct rf_conn *conn)
{
	if (conn->id == CAT)
		in_work_describe(&channel, seen);
	count_closed(conn);
}

/* It is no longer the first of those that are ready then. */
static void it_is_described_up_to_its_end(void **state)
{
	struct rf_crash_request left = {0};

	(void)state;
	open_all();
	seen = &left;
	gate_worker.closed = see_and_close;
	ask(ANN, "custom wait");
	ask(BOB, "custom wait");
	run_desk();
	expect_empty(ANN);
	expect_empty(BOB);
	close_in_closed = CAT;
	trial_custom = do_quit;
	rf_tx_begin();
	rf_conn_resume(rf_conn_find(ANN));
	rf_conn_resume(rf_conn_find(BOB));
	rf_tx_commit();
	run_desk();
	assert_int_equal(left.present, 1);
	assert_int_equal(left.conn_id, ANN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_that_kills_is_given_up_and_those_behind_it_go_on),
		TEST(what_was_in_work_is_described_though_it_was_parked),
		TEST(it_is_described_up_to_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
