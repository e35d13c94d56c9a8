/* SPDX-License-Identifier: MIT */
/* crash_judge.c -- does the judge see it? Scenarios with a planted fault, each
 * of which must be condemned, and for the right reason.
 */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include "front.h"
#include "script.h"
#include "stepper.h"
#include "worker/business/desk.h"
#include <refork/heap.h>
#include <refork/slot.h>
#include <refork/tx.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* ---- faults of a change ---- */

static void commit(void)
{
	if (rf_tx_commit() != 0)
		condemn("the transaction does not commit");
}

static void change_before_log(const struct scenario *self)
{
	struct script_root *root = script_root();

	(void)self;
	*(volatile uint64_t *)&root->wide = 5;
	rf_tx_log(&root->wide, sizeof root->wide);
	commit();
}

static void change_without_log(const struct scenario *self)
{
	struct script_root *root = script_root();

	(void)self;
	RF_SET(root->word, 5);
	root->wide = 5;
	commit();
}

/* The right value is logged, but the store is wider than the entry. */
static void change_beyond_log(const struct scenario *self)
{
	struct script_root *root = script_root();

	(void)self;
	rf_tx_log(&root->object, sizeof root->object - 1);
	memset(&root->object, 1, sizeof root->object);
	commit();
}

static void change_after_commit(const struct scenario *self)
{
	(void)self;
	RF_SET(script_root()->word, 5);
	commit();
	script_root()->wide = 5;
}

static void change_undone_by_hand(const struct scenario *self)
{
	uint64_t old = script_root()->wide;

	(void)self;
	RF_SET(script_root()->word, 5);
	*(volatile uint64_t *)&script_root()->wide = old + 1;
	*(volatile uint64_t *)&script_root()->wide = old;
	commit();
}

static void change_in_two_commits(const struct scenario *self)
{
	(void)self;
	RF_SET(script_root()->word, 5);
	commit();
	rf_tx_begin();
	RF_SET(script_root()->wide, 5);
	commit();
}

static void change_of_what_is_freed(const struct scenario *self)
{
	char *block = script_root()->blocks[0];

	(void)self;
	rf_free(block);
	RF_SET(script_root()->blocks[0], NULL);
	memset(block, 0, 8);
	commit();
}

static void change_of_a_run(const struct scenario *self)
{
	struct rf_run *runs =
		(struct rf_run *)(RF_ARENA_BASE + RF_SUPER->runs_off);

	(void)self;
	RF_SET(script_root()->word, 5);
	runs[0].pages++;
	rf_tx_log(&runs[0].pages, sizeof runs[0].pages);
	runs[0].pages--;
	commit();
}

static void no_change(const struct scenario *self)
{
	(void)self;
	rf_tx_abort();
}

static volatile bool *rehearsed; /* shared memory */

static void death(const struct scenario *self)
{
	(void)self;
	RF_SET(script_root()->word, 5);
	commit();
	if (*rehearsed)
		abort();
	*rehearsed = true;
}

static void right_change(const struct scenario *self)
{
	(void)self;
	RF_SET(script_root()->word, 5);
	commit();
}

static void resume_that_counts(
	const struct scenario *self, size_t undone, bool rung)
{
	(void)self;
	(void)undone;
	(void)rung;
	script_root()->wide++;
}

/* ---- faults of a desk ---- */

static uint64_t *counter;

static int build(const struct rf_env *env)
{
	void *root;
	int error =
		rf_slot_open("count", "count", 1, sizeof *counter, &root, NULL);

	(void)env;
	counter = root;
	return error;
}

static void answer(struct rf_reply *reply)
{
	rf_reply_bytes(reply, "done", 4);
}

static void request_shown_early(
	const struct rf_request *req, struct rf_reply *reply)
{
	(void)req;
	RF_SET(*counter, *counter + 1);
	answer(reply);
	rf_ring_publish(&stage_here->channel.reply.ring,
		RF_SUPER->desk.reply_pos + 32, false);
}

static void request_released_early(
	const struct rf_request *req, struct rf_reply *reply)
{
	(void)req;
	RF_SET(*counter, *counter + 1);
	answer(reply);
	rf_ring_release(&stage_here->channel.request.ring,
		RF_SUPER->desk.request_pos + 32);
}

static void request_not_logged(
	const struct rf_request *req, struct rf_reply *reply)
{
	(void)req;
	++*counter;
	answer(reply);
}

static void request_answered_by_attempt(
	const struct rf_request *req, struct rf_reply *reply)
{
	RF_SET(*counter, *counter + 1);
	rf_reply_bytes(reply, req->attempt == 1 ? "once" : "more", 4);
}

#define WORKER(the_request)                                                    \
	(&(const struct rf_worker){.struct_size = sizeof(struct rf_worker),    \
		.name = "crash",                                               \
		.build = build,                                                \
		.request = the_request})

/* ---- */

#define ACTS(the_name, the_act, ...)                                           \
	{                                                                      \
		.name = "the_judge_" the_name, .prepare = script_prepare,      \
		.act = the_act, .changes = 1, .check = script_check,           \
		.arg = &(const struct script){.before = before}, __VA_ARGS__   \
	}
#define REQUESTS(name, the_request)                                            \
	FRONT("the_judge_" name, 1, NULL, .worker = WORKER(the_request),       \
		.said = SAID("open 1"), .says = SAYS("1 do it"))

static const struct script_move before[] = {
	TAKE(0, 2, 40), SET(1), COMMIT, {SCRIPT_END, 0, 0, 0}};

static const struct {
	struct scenario scenario;
	const char *why; /* NULL: not condemned */
} cases[] = {
	{ACTS("acquits_a_change_made_after_its_log_entry", right_change, ),
		NULL},
	{ACTS("condemns_a_change_made_before_its_log_entry",
		 change_before_log, ),
		"the roll back does not restore state 0: heap page"},
	{ACTS("condemns_a_change_without_a_log_entry", change_without_log, ),
		"the roll back does not restore state 0: heap page"},
	{ACTS("condemns_a_change_beyond_its_log_entry", change_beyond_log, ),
		"the roll back does not restore state 0: heap page"},
	{ACTS("condemns_a_change_after_the_commit", change_after_commit, ),
		"the roll back does not restore state 1: heap page"},
	{ACTS("condemns_a_change_that_is_undone_by_hand",
		 change_undone_by_hand, ),
		"the roll back does not restore state 0: heap page"},
	{ACTS("condemns_a_change_in_two_commits", change_in_two_commits, ),
		"a change too many"},
	{ACTS("condemns_a_change_of_what_is_freed", change_of_what_is_freed, ),
		"the roll back does not restore state 0: heap page"},
	{ACTS("condemns_a_change_of_the_heap_without_log", change_of_a_run, ),
		"the arena is damaged after the roll back"},
	{ACTS("condemns_an_act_that_does_nothing", no_change, ),
		"0 changes instead of 1"},
	{ACTS("condemns_a_writer_that_dies", death, ),
		"the writer was ended by Aborted"},
	{ACTS("condemns_a_recovery_that_cannot_be_repeated", right_change,
		 .resume = resume_that_counts),
		"resuming changes the state"},
	{REQUESTS("condemns_a_reply_that_is_shown_early", request_shown_early),
		"the rings show what is not committed"},
	{REQUESTS("condemns_a_request_that_is_released_early",
		 request_released_early),
		"the rings show what is not committed"},
	{REQUESTS("condemns_a_request_that_is_counted_twice",
		 request_not_logged),
		"the roll back does not restore state 0: heap page"},
	{REQUESTS("condemns_a_reply_that_depends_on_the_death",
		 request_answered_by_attempt),
		"going on tells 'reply 1 more"},
};
#define CASES (sizeof cases / sizeof *cases)

static void sees_it(void **state)
{
	size_t i = (size_t)(uintptr_t)*state;
	const struct verdict *verdict = sweep(&cases[i].scenario);

	print_message(
		"  %s\n", verdict->condemned ? verdict->why : "not condemned");
	assert_int_equal(verdict->condemned, cases[i].why != NULL);
	if (cases[i].why != NULL)
		assert_non_null(strstr(verdict->why, cases[i].why));
}

int main(int argc, char **argv)
{
	struct CMUnitTest tests[CASES] = {0};

	(void)argc;
	stepper_settle(argv);
	rehearsed = mmap(NULL, sizeof *rehearsed, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (size_t i = 0; i < CASES; i++)
		tests[i] = (struct CMUnitTest){
			.name = cases[i].scenario.name,
			.test_func = sees_it,
			.initial_state = (void *)(uintptr_t)i,
		};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
