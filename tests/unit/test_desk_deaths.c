/* SPDX-License-Identifier: MIT */
/* test_desk_deaths.c -- each request once, however often its process dies.
 *
 * The business side runs in a forked child that holds the lease; this process
 * plays the network side, kills the child, forks the next one, and keeps count.
 */
#include "by_hand.h"
#include <poll.h>

#define ANN CONN(1, 0)
#define BOB CONN(2, 1)

static int wait_bell(int bell, int wait_ms)
{
	struct pollfd on = {.fd = bell, .events = POLLIN};
	uint64_t rings;

	if (poll(&on, 1, wait_ms) != 1)
		return -ETIMEDOUT;
	return read(bell, &rings, sizeof rings) > 0 ? 0 : -errno;
}

static void wait_for_the_bell(struct desk *waiting, int wait_ms)
{
	wait_bell(waiting->channel->bell_business, wait_ms);
}

/* The worker it serves; it may have a word to say of skipped requests. */
static struct rf_worker worker;

/* What a business child does, from its fork on; until nothing waits, or, when
 * told so, for ever. */
static int serve(void *for_ever)
{
	if (rf_lease_take(5000, false) < 0)
		return 1;
	init_desk();
	desk.worker = &worker;
	desk.wait = wait_for_the_bell;
	if (desk_open(&desk, 1024) != 0)
		return 2;
	do {
		int done = desk_round(&desk);

		if (done < 0)
			return 3;
		desk_tick(&desk);
		if (done == 0 && for_ever == NULL)
			break;
		if (done == 0)
			desk_sleep(&desk, DESK_SLEEP_MS);
	} while (true);
	rf_lease_give();
	return 0;
}

static int set_up_given(void **state)
{
	int error = set_up(state);

	worker = trial_worker;
	rf_lease_give();
	return error;
}

static int tear_down_given(void **state)
{
	rf_lease_take(5000, true);
	return tear_down(state);
}

/* ---- poison ---- */

static void a_request_that_kills_twice_is_skipped_with_an_error(void **state)
{
	(void)state;
	open_conn(ANN);
	ask(ANN, "add");
	ask(ANN, "die");
	ask(ANN, "add");
	assert_int_equal(exit_of(run_child(serve, NULL)), 9);
	assert_int_equal(exit_of(run_child(serve, NULL)), 9);
	expect(ANN, RF_MSG_REPLY, "1");
	expect_no_answer();
	assert_int_equal(exit_of(run_child(serve, NULL)), 0);
	expect(ANN, RF_MSG_ERROR, "CRASHED ");
	expect(ANN, RF_MSG_REPLY, "2");
	expect_no_answer();
	assert_int_equal(trial->number, 2);
	assert_int_equal(status->business.quarantined, 1);
	assert_int_equal(RF_SUPER->desk.quarantined, 1);
}

static void undo(const struct rf_request *req)
{
	assert_true(says(&req->argv[0], req->argc > 1 ? "fail" : "die"));
	assert_int_equal(req->conn->id, ANN);
	RF_SET(req->conn->user[0], 0);
	RF_SET(trial->number, trial->number + 1000);
	rf_push(ANN, "skipped", 7);
}

static void skip_and_die(const struct rf_request *req)
{
	undo(req);
	_exit(8);
}

static void skip_and_fail(const struct rf_request *req)
{
	undo(req);
	rf_tx_fail(-ENOMEM);
}

static void skip_and_park(const struct rf_request *req)
{
	undo(req);
	rf_request_park(req);
}

static void skip_and_close(const struct rf_request *req)
{
	undo(req);
	rf_conn_close(req->conn);
}

/* ANN's request kills twice; `deaths` more, and it is skipped. */
static void skipped_by(void (*hook)(const struct rf_request *), int deaths)
{
	worker.skipped = hook;
	open_conn(ANN);
	ask(ANN, "peer");
	ask(ANN, "die");
	for (int i = 0; i < 2; i++)
		assert_int_equal(exit_of(run_child(serve, NULL)), 9);
	for (int i = 0; i < deaths; i++)
		assert_int_equal(exit_of(run_child(serve, NULL)), 8);
	assert_int_equal(exit_of(run_child(serve, NULL)), 0);
	expect(ANN, RF_MSG_REPLY, "unit:1234 1");
	expect(ANN, RF_MSG_ERROR, "CRASHED ");
	assert_int_equal(RF_SUPER->desk.quarantined, 1);
}

static void a_worker_undoes_what_was_prepared_for_a_skipped_one(void **state)
{
	(void)state;
	skipped_by(undo, 0);
	expect(ANN, RF_MSG_PUSH, "skipped");
	assert_int_equal(trial->number, 1000);
	ask(ANN, "peer");
	assert_int_equal(exit_of(run_child(serve, NULL)), 0);
	expect(ANN, RF_MSG_REPLY, "unit:1234 1"); /* of the second time */
	expect_no_answer();
}

static void a_worker_that_dies_of_a_skip_is_not_asked_for_ever(void **state)
{
	(void)state;
	skipped_by(skip_and_die, DESK_SKIPPED_ATTEMPTS);
	expect_no_answer();
	assert_int_equal(trial->number, 0);
}

static void a_skip_that_fails_is_a_skip(void **state)
{
	static void (*const hooks[])(const struct rf_request *) = {
		skip_and_fail, skip_and_park};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		worker.skipped = hooks[i];
		if (i == 0)
			open_conn(ANN);
		ask(ANN, "die");
		for (int died = 0; died < 2; died++)
			assert_int_equal(exit_of(run_child(serve, NULL)), 9);
		assert_int_equal(exit_of(run_child(serve, NULL)), 0);
		expect(ANN, RF_MSG_ERROR, "CRASHED ");
		expect_no_answer();
		assert_int_equal(trial->number, 0);
		assert_int_equal(RF_SUPER->desk.quarantined, i + 1);
	}
}

static void a_request_that_may_not_commit_is_a_skipped_one(void **state)
{
	static void (*const hooks[])(const struct rf_request *) = {
		undo, skip_and_fail};

	(void)state;
	open_conn(ANN);
	for (size_t i = 0; i < 2; i++) {
		worker.skipped = hooks[i];
		ask(ANN, "fail 12");
		assert_int_equal(run_child(serve, NULL), 0);
		expect(ANN, RF_MSG_ERROR, "OOM ");
		if (i == 0)
			expect(ANN, RF_MSG_PUSH, "skipped");
		expect_no_answer();
		assert_int_equal(trial->number, 1000);
	}
	assert_int_equal(RF_SUPER->desk.quarantined, 0);
}

static void a_skip_may_end_the_connection(void **state)
{
	struct answer got;

	(void)state;
	skipped_by(skip_and_close, 0);
	expect(ANN, RF_MSG_PUSH, "skipped");
	assert_true(take_answer(&got));
	assert_int_equal(got.msg.flags, RF_MSG_LAST_WORD);
	expect_no_answer();
	assert_int_equal(trial->closed, 1);
}

static void each_poisoned_request_has_its_own_two_attempts(void **state)
{
	(void)state;
	open_conn(ANN);
	for (int i = 0; i < 5; i++)
		ask(ANN, "die");
	for (int i = 0; i < 10; i++)
		assert_int_equal(exit_of(run_child(serve, NULL)), 9);
	assert_int_equal(exit_of(run_child(serve, NULL)), 0);
	for (int i = 0; i < 5; i++)
		expect(ANN, RF_MSG_ERROR, "CRASHED ");
	assert_int_equal(RF_SUPER->desk.quarantined, 5);
	assert_int_equal(trial->number, 0);
}

static void a_worker_sees_which_attempt_it_is(void **state)
{
	(void)state;
	rf_lease_take(0, false);
	open_conn(ANN);
	run_desk();
	ask(ANN, "echo");
	/* As a death in the first attempt leaves it. */
	RF_SUPER->attempt = RF_SUPER->desk.request_pos << 8 | 1;
	run_desk();
	assert_int_equal(trial_attempt, 2);
	ask(ANN, "echo");
	run_desk();
	assert_int_equal(trial_attempt, 1);
	ask(ANN, "add");
	RF_SUPER->attempt = RF_SUPER->desk.request_pos << 8 | 2;
	run_desk();
	expect(ANN, RF_MSG_REPLY, "");
	expect(ANN, RF_MSG_REPLY, "");
	expect(ANN, RF_MSG_ERROR, "CRASHED ");
	assert_int_equal(trial->number, 0);
	rf_lease_give();
}

/* ---- channels ---- */

static void a_new_channel_ends_the_connections_of_the_old(void **state)
{
	(void)state;
	open_conn(ANN);
	open_conn(BOB);
	ask(ANN, "add");
	ask(ANN, "add");
	assert_int_equal(run_child(serve, NULL), 0);
	ask(ANN, "die"); /* of this, nothing is left */
	assert_int_equal(exit_of(run_child(serve, NULL)), 9);
	rf_channel_reset(&channel);
	request_head = reply_pos = 0;
	assert_int_equal(run_child(serve, NULL), 0);
	assert_int_equal(trial->closed, 2);
	open_conn(ANN);
	ask(ANN, "add");
	ask(BOB, "add");
	assert_int_equal(run_child(serve, NULL), 0);
	expect(ANN, RF_MSG_REPLY, "3");
	expect(BOB, RF_MSG_ERROR, "ERR ");
	expect_no_answer();
	assert_int_equal(trial->closed, 2);
}

static void attempts_made_in_the_old_channel_do_not_count(void **state)
{
	(void)state;
	rf_lease_take(0, false);
	for (int i = 0; i < 2; i++) {
		reopen_desk();
		open_conn(ANN);
		run_desk();
		ask(ANN, "add"); /* at the same position both times */
		if (i == 1)
			break;
		RF_SUPER->attempt = RF_SUPER->desk.request_pos << 8 | 2;
		rf_channel_reset(&channel);
		request_head = reply_pos = 0;
	}
	run_desk();
	expect(ANN, RF_MSG_REPLY, "1");
	rf_lease_give();
}

static void what_was_committed_but_not_shown_is_shown_by_the_next(void **state)
{
	uint64_t head, tail;

	(void)state;
	open_conn(ANN);
	assert_int_equal(run_child(serve, NULL), 0);
	head = channel.shm->reply.head;
	tail = channel.shm->request.tail;
	ask(ANN, "add");
	ask(ANN, "big 2000000");
	assert_int_equal(run_child(serve, NULL), 0);
	/* As if it had died before it showed anything. */
	channel.shm->reply.head = head;
	channel.shm->request.tail = tail;
	expect_no_answer();
	assert_int_equal(run_child(serve, NULL), 0);
	assert_int_equal(channel.shm->request.tail, request_head);
	expect(ANN, RF_MSG_REPLY, "1");
	{
		struct answer got;

		assert_true(take_answer(&got));
		assert_true(is_filled((const uint8_t *)got.at, 2000000, 'b'));
	}
	expect_no_answer();
	assert_int_equal(trial->number, 2);
}

/* ---- kills at any moment ---- */

#define KILLS 600

static pid_t business;
static uint64_t asked, answered;

static void start_business(void)
{
	static int for_ever;

	random_word();
	business = fork_child(serve, &for_ever);
}

/* Ask for a while: small replies, pushes and now and then a large one. */
static void ask_some(void)
{
	size_t count = random_below(400);

	if (asked - answered > 1000)
		return;
	for (size_t i = 0; i < count; i++) {
		char words[40] = "add";

		if (random_below(200) == 0)
			strcpy(words, "add 300000");
		else if (random_below(3) == 0)
			snprintf(words, sizeof words, "add %u",
				(unsigned)random_below(3000));
		ask(asked % 2 == 0 ? ANN : BOB, words);
		asked++;
	}
	rf_bell_ring(channel.bell_business);
}

static void check_answers(void)
{
	struct answer got;
	char text[24];

	while (take_answer(&got)) {
		assert_int_equal(
			got.msg.conn_id, answered % 2 == 0 ? ANN : BOB);
		assert_int_equal(got.msg.type, RF_MSG_REPLY);
		answered++;
		snprintf(text, sizeof text, "%llu",
			(unsigned long long)answered);
		assert_true(got.bytes >= strlen(text));
		assert_memory_equal(got.at, text, strlen(text));
		done_with_answers();
		rf_bell_ring(channel.bell_business);
	}
}

/* Until the request at `pos` is done: two kills during one request would make
 * it a poisoned one. */
static void wait_until_past(uint64_t pos)
{
	const uint64_t *tail = &channel.shm->request.tail;

	for (int i = 0; __atomic_load_n(tail, __ATOMIC_ACQUIRE) <= pos; i++) {
		check_answers();
		nap_us(100);
		if (i > 100000)
			fail_msg("no progress after request %llu",
				(unsigned long long)answered);
	}
	check_answers();
}

static void each_request_takes_effect_once_through_kills(void **state)
{
	uint64_t last_attempt;
	unsigned undone = 0;

	(void)state;
	asked = answered = 0;
	open_conn(ANN);
	open_conn(BOB);
	start_business();
	for (int i = 0; i < KILLS; i++) {
		ask_some();
		if (random_below(2) == 0)
			check_answers();
		nap_us((unsigned)random_below(200));
		kill_child(business);
		undone += RF_SUPER->log_tail != 0;
		last_attempt = RF_SUPER->attempt >> 8;
		start_business();
		wait_until_past(last_attempt);
	}
	wait_until_past(request_head - 1);
	kill_child(business);
	assert_int_equal(trial->number, asked);
	expect_no_answer();
	assert_true(asked > KILLS);
	assert_true(undone > 0);
	assert_int_equal(RF_SUPER->desk.quarantined, 0);
}

#define DEATH(name)                                                            \
	cmocka_unit_test_setup_teardown(name, set_up_given, tear_down_given)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DEATH(a_request_that_kills_twice_is_skipped_with_an_error),
		DEATH(a_worker_undoes_what_was_prepared_for_a_skipped_one),
		DEATH(a_worker_that_dies_of_a_skip_is_not_asked_for_ever),
		DEATH(a_skip_that_fails_is_a_skip),
		DEATH(a_request_that_may_not_commit_is_a_skipped_one),
		DEATH(a_skip_may_end_the_connection),
		DEATH(each_poisoned_request_has_its_own_two_attempts),
		DEATH(a_worker_sees_which_attempt_it_is),
		DEATH(a_new_channel_ends_the_connections_of_the_old),
		DEATH(attempts_made_in_the_old_channel_do_not_count),
		DEATH(what_was_committed_but_not_shown_is_shown_by_the_next),
		DEATH(each_request_takes_effect_once_through_kills),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
