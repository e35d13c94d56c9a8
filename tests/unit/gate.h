/* SPDX-License-Identifier: MIT */
/* gate.h -- a worker whose requests wait until a gate is open, and that asks of
 * the framework what its clients say.
 */
#ifndef GATE_H
#define GATE_H

#include "by_hand.h"
#include <worker/business/parked.h>

#define ANN CONN(1, 0)
#define BOB CONN(2, 1)
#define CAT CONN(3, 2)

/* ---- a worker with a gate ---- */

static bool gate_open;
static bool park_and_resume;
static unsigned again_count, closed_count;
static uint64_t close_in_closed;

/* wait WORD [die]: WORD is said once the gate is open. */
static inline void wait_at_gate(
	const struct rf_request *req, struct rf_reply *reply)
{
	if (!gate_open) {
		rf_request_park(req);
		assert_true(rf_conn_is_parked(req->conn));
		if (park_and_resume)
			rf_conn_resume(req->conn);
		return;
	}
	RF_SET(trial->number, trial->number + 1);
	rf_reply_bytes(reply, req->argv[2].at, req->argv[2].bytes);
	if (req->argc > 3)
		do_die(req, reply);
}

static inline void resume_one(struct rf_conn *conn, bool more)
{
	(void)more;
	rf_conn_resume(conn);
}

static inline void resume_all(struct rf_conn *conn, bool more)
{
	(void)more;
	while ((conn = rf_conn_next(conn)) != NULL) {
		rf_conn_resume(conn);
		rf_conn_resume(conn); /* no effect */
		assert_false(rf_conn_is_parked(conn));
	}
}

static inline void open_gate(struct rf_conn *conn, bool more)
{
	gate_open = true;
	resume_all(conn, more);
}

static inline void shut_gate(struct rf_conn *conn, bool more)
{
	(void)conn;
	(void)more;
	gate_open = false;
}

static inline void leave(struct rf_conn *conn, bool more)
{
	(void)conn;
	(void)more;
	rf_leave();
}

static inline void close_one(struct rf_conn *conn, bool more)
{
	(void)more;
	rf_push(conn->id, "last", 4);
	rf_conn_close(conn);
	rf_conn_close(conn); /* no effect */
	rf_push(conn->id, "too late", 8);
}

static inline void resume_all_but(struct rf_conn *conn, bool more)
{
	resume_all(NULL, more);
	close_one(conn, more);
}

static inline void ask_and_fail(struct rf_conn *conn, bool more)
{
	leave(conn, more);
	rf_conn_close(conn);
	rf_tx_fail(-EIO);
}

/* custom WORD [CONNECTION [more]] */
static const struct {
	const char *word;
	void (*run)(struct rf_conn *conn, bool more);
} gate_words[] = {
	{"one", resume_one},
	{"resume", resume_all},
	{"open", open_gate},
	{"shut", shut_gate},
	{"leave", leave},
	{"close", close_one},
	{"but", resume_all_but},
	{"fail", ask_and_fail},
	{"patient", rf_conn_set_patient},
};

static inline void gate(const struct rf_request *req, struct rf_reply *reply)
{
	uint64_t number = req->argc > 2 ? number_of(&req->argv[2]) : 0;
	struct rf_conn *conn =
		number > 0 ? rf_conn_find(CONN(number, number - 1)) : NULL;

	again_count += req->again;
	if (says(&req->argv[1], "wait")) {
		wait_at_gate(req, reply);
		return;
	}
	reply_text(reply, "ok");
	for (size_t i = 0; i < sizeof gate_words / sizeof *gate_words; i++)
		if (says(&req->argv[1], gate_words[i].word))
			gate_words[i].run(conn, req->argc > 3);
}

static inline void count_closed(struct rf_conn *conn)
{
	struct rf_conn *other = rf_conn_find(close_in_closed);

	closed_count++;
	rf_conn_close(conn); /* no effect */
	if (other != NULL)
		rf_conn_close(other);
}

static struct rf_worker gate_worker;

static inline int set_up_gate(void **state)
{
	gate_open = park_and_resume = false;
	again_count = closed_count = 0;
	close_in_closed = 0;
	trial_custom = gate;
	gate_worker = trial_worker;
	gate_worker.closed = count_closed;
	return set_up(state);
}

static inline void open_all(void)
{
	desk.worker = &gate_worker;
	open_conn(ANN);
	open_conn(BOB);
	open_conn(CAT);
	run_desk();
	expect_no_answer();
}

/* An empty reply: its request is over for the network child. */
static inline uint16_t expect_empty(uint64_t id)
{
	struct answer got;

	assert_true(take_answer(&got));
	assert_int_equal(got.msg.type, RF_MSG_REPLY);
	assert_int_equal(got.msg.conn_id, id);
	assert_int_equal(got.bytes, 0);
	return got.msg.flags;
}

static inline uint16_t expect_push(uint64_t id, const char *text)
{
	struct answer got;

	assert_true(take_answer(&got));
	assert_int_equal(got.msg.type, RF_MSG_PUSH);
	assert_int_equal(got.msg.conn_id, id);
	assert_int_equal(got.bytes, strlen(text));
	assert_memory_equal(got.at, text, got.bytes);
	return got.msg.flags;
}

static inline void expect_clean(void)
{
	expect_no_answer();
	assert_int_equal(parked_check(), 0);
	assert_int_equal(rf_heap_check(), 0);
}

#undef TEST
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_gate, tear_down)

#endif
