/* SPDX-License-Identifier: MIT */
/* test_ask.c -- what a handler asks of the framework beside its reply.
 *
 * Requests that wait are in test_parked.c.
 */
#include "gate.h"

/* ---- connections ---- */

static void who_is_closed_gets_what_was_pushed_and_runs_nothing(void **state)
{
	(void)state;
	open_all();
	close_in_closed = CAT;
	ask(ANN, "custom close 2");
	ask(BOB, "add");
	close_conn(BOB);
	ask(CAT, "add");
	ask(ANN, "add");
	run_desk();
	expect(ANN, RF_MSG_REPLY, "ok");
	assert_int_equal(expect_push(BOB, "last"), 0);
	assert_int_equal(expect_push(BOB, ""), RF_MSG_LAST_WORD);
	assert_int_equal(expect_push(CAT, ""), RF_MSG_LAST_WORD);
	expect(BOB, RF_MSG_ERROR, "ERR");
	expect(CAT, RF_MSG_ERROR, "ERR");
	expect(ANN, RF_MSG_REPLY, "1");
	expect_clean();
	assert_int_equal(closed_count, 2);
}

static void who_closes_itself_gets_its_reply_first(void **state)
{
	struct answer got;

	(void)state;
	open_all();
	ask(ANN, "custom close 1");
	ask(ANN, "add");
	run_desk();
	assert_true(take_answer(&got));
	assert_int_equal(got.msg.type, RF_MSG_REPLY);
	assert_int_equal(got.msg.flags, RF_MSG_LAST_WORD);
	expect_push(ANN, "last");
	expect_push(ANN, "too late");
	expect(ANN, RF_MSG_ERROR, "ERR");
	expect_clean();
	assert_int_equal(closed_count, 1);
}

static void what_a_failed_request_asked_for_is_not_done(void **state)
{
	(void)state;
	open_all();
	ask(ANN, "custom fail 2");
	ask(BOB, "echo bob");
	run_desk();
	expect(ANN, RF_MSG_ERROR, "ERR");
	expect(BOB, RF_MSG_REPLY, "bob");
	expect_clean();
	assert_false(desk_must_end(&desk));
	assert_int_equal(closed_count, 0);
}

static void connections_are_walked_one_after_the_other(void **state)
{
	struct rf_conn *conn = NULL;
	const uint64_t ids[] = {ANN, BOB, CONN(9, 5000)};

	(void)state;
	open_all();
	open_conn(CONN(9, 5000));
	close_conn(CAT);
	run_desk();
	for (size_t i = 0; i < 3; i++) {
		conn = rf_conn_next(conn);
		assert_non_null(conn);
		assert_int_equal(conn->id, ids[i]);
		assert_ptr_equal(rf_conn_find(ids[i]), conn);
	}
	assert_null(rf_conn_next(conn));
	conn = rf_conn_find(BOB);
	close_conn(BOB);
	run_desk();
	assert_int_equal(rf_conn_next(conn)->id, CONN(9, 5000));
	assert_null(rf_conn_find(BOB));
	assert_null(rf_conn_find(CAT));
}

/* Another process says so: its slot, and what hangs on it, is believed only
 * when it is free. */
static void none_is_opened_where_another_one_is(void **state)
{
	const uint64_t ids[] = {BOB, CONN(9, 1), CONN(0, 4), CONN(0, 0)};

	(void)state;
	open_all();
	ask(BOB, "custom wait one");
	run_desk();
	expect_empty(BOB);
	for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
		open_conn(ids[i]);
		assert_int_equal(run_desk(), -EBADMSG);
		request_head = RF_SUPER->desk.request_pos;
		RF_SUPER->attempt = 0;
	}
	show_requests();
	ask(ANN, "custom open");
	assert_int_equal(run_desk(), 0);
	expect(ANN, RF_MSG_REPLY, "ok");
	expect_push(BOB, "one");
	expect_clean();
}

/* ---- patience ---- */

static void patience_is_told_when_it_changes(void **state)
{
	struct answer got;

	(void)state;
	open_all();
	ask(ANN, "custom patient 2 yes");
	ask(ANN, "custom patient 2 yes");
	ask(BOB, "custom wait one");
	run_desk();
	expect(ANN, RF_MSG_REPLY, "ok");
	assert_int_equal(expect_push(BOB, ""), RF_MSG_PATIENT);
	expect(ANN, RF_MSG_REPLY, "ok");
	assert_int_equal(expect_empty(BOB), 0);
	ask(ANN, "custom patient 2");
	ask(ANN, "custom open");
	run_desk();
	expect(ANN, RF_MSG_REPLY, "ok");
	expect(ANN, RF_MSG_REPLY, "ok");
	assert_int_equal(expect_push(BOB, "one"), RF_MSG_IMPATIENT);
	ask(BOB, "custom patient 2 yes");
	run_desk();
	assert_true(take_answer(&got));
	assert_int_equal(got.bytes, 2);
	assert_int_equal(got.msg.flags, RF_MSG_PATIENT);
	expect_clean();
}

/* ---- leaving ---- */

static void a_worker_that_wants_to_leave_does_so_after_its_reply(void **state)
{
	(void)state;
	open_all();
	ask(ANN, "custom leave");
	ask(ANN, "echo next");
	run_desk();
	expect(ANN, RF_MSG_REPLY, "ok");
	expect_no_answer();
	assert_true(desk_must_end(&desk));
	reopen_desk();
	run_desk();
	expect(ANN, RF_MSG_REPLY, "next");
	expect_clean();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(who_is_closed_gets_what_was_pushed_and_runs_nothing),
		TEST(who_closes_itself_gets_its_reply_first),
		TEST(what_a_failed_request_asked_for_is_not_done),
		TEST(connections_are_walked_one_after_the_other),
		TEST(none_is_opened_where_another_one_is),
		TEST(patience_is_told_when_it_changes),
		TEST(a_worker_that_wants_to_leave_does_so_after_its_reply),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
