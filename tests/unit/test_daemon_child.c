/* SPDX-License-Identifier: MIT */
/* test_daemon_child.c -- laws of the table that children live by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/supervise/child.c"

#define FOR_EACH_CELL(s, e)                                                    \
	for (enum child_state s = 0; s < CHILD_STATE_COUNT; s++)               \
		for (enum child_event e = 0; e < CHILD_EV_COUNT; e++)

static struct child_step at(enum child_state state, enum child_event event)
{
	return child_step(state, event);
}

static int legal(enum child_state state, enum child_event event)
{
	return at(state, event).action != CHILD_ACT_ILLEGAL;
}

/* A process may exist in these states. */
static int has_process(enum child_state state)
{
	static const int has[CHILD_STATE_COUNT] = {
		[CHILD_STARTING] = 1,
		[CHILD_UP] = 1,
		[CHILD_LEAVING] = 1,
		[CHILD_STUCK] = 1,
		[CHILD_KILLING] = 1,
		[CHILD_STOPPING] = 1,
	};

	return has[state];
}

/* The end of the process. */
static int is_end(enum child_event event)
{
	return event == CHILD_EV_EXIT || event == CHILD_EV_FUTILE ||
	       event == CHILD_EV_LIMIT;
}

static int is_signal(enum child_action action)
{
	return action == CHILD_ACT_TERM || action == CHILD_ACT_KILL ||
	       action == CHILD_ACT_ABORT || action == CHILD_ACT_LEAVE;
}

static void an_illegal_event_changes_nothing(void **unused)
{
	(void)unused;
	FOR_EACH_CELL(s, e)
	if (!legal(s, e))
		assert_int_equal(at(s, e).next, s);
}

static void a_fork_never_forgets_a_process(void **unused)
{
	(void)unused;
	FOR_EACH_CELL(s, e)
	if (at(s, e).action == CHILD_ACT_SPAWN) {
		assert_int_equal(at(s, e).next, CHILD_STARTING);
		assert_true(!has_process(s) || e == CHILD_EV_EXIT);
	}
}

static void starting_is_entered_by_a_fork_only(void **unused)
{
	(void)unused;
	FOR_EACH_CELL(s, e)
	if (at(s, e).next == CHILD_STARTING && legal(s, e))
		assert_int_equal(at(s, e).action, CHILD_ACT_SPAWN);
}

static void only_a_process_can_end_serve_or_be_signalled(void **unused)
{
	(void)unused;
	FOR_EACH_CELL(s, e)
	{
		if (e == CHILD_EV_EXIT)
			assert_int_equal(legal(s, e), has_process(s));
		if (is_signal(at(s, e).action))
			assert_true(
				has_process(s) && has_process(at(s, e).next));
		if (e == CHILD_EV_READY && legal(s, e))
			assert_int_equal(s, CHILD_STARTING);
	}
}

/* Without this a process would be forked beside one that lives. */
static void a_process_is_left_only_by_its_end_or_to_another_member(
	void **unused)
{
	(void)unused;
	FOR_EACH_CELL(s, e)
	if (legal(s, e) && has_process(s) && !has_process(at(s, e).next))
		assert_true(is_end(e) || e == CHILD_EV_NOFORK ||
			    e == CHILD_EV_TAKEN);
}

static void nothing_but_a_stop_leads_to_down(void **unused)
{
	(void)unused;
	FOR_EACH_CELL(s, e)
	if (legal(s, e) && at(s, e).next == CHILD_DOWN)
		assert_true(e == CHILD_EV_STOP || s == CHILD_STOPPING);
}

static void a_stop_is_understood_in_every_state(void **unused)
{
	(void)unused;
	for (enum child_state s = 0; s < CHILD_STATE_COUNT; s++) {
		assert_true(legal(s, CHILD_EV_STOP));
		assert_int_equal(at(s, CHILD_EV_STOP).next,
			has_process(s) ? CHILD_STOPPING : CHILD_DOWN);
	}
}

static void who_stops_never_comes_back(void **unused)
{
	(void)unused;
	for (enum child_event e = 0; e < CHILD_EV_COUNT; e++) {
		enum child_state next = at(CHILD_STOPPING, e).next;

		assert_true(next == CHILD_STOPPING || next == CHILD_DOWN);
	}
	assert_int_equal(at(CHILD_STOPPING, CHILD_EV_EXIT).next, CHILD_DOWN);
}

static void who_was_asked_once_is_ended_by_force(void **unused)
{
	static const enum child_state asked[] = {
		CHILD_STUCK, CHILD_KILLING, CHILD_STOPPING};

	(void)unused;
	for (size_t i = 0; i < sizeof(asked) / sizeof(*asked); i++) {
		assert_int_equal(
			at(asked[i], CHILD_EV_STOP).action, CHILD_ACT_KILL);
		assert_int_equal(
			at(asked[i], CHILD_EV_DEADLINE).action, CHILD_ACT_KILL);
		assert_int_equal(
			at(asked[i], CHILD_EV_REPLACE).action, CHILD_ACT_KILL);
	}
}

/* Whatever its process does or does not: time alone brings every state to
 * SIGKILL, to a fork, or to UP, where the watchdog looks. */
static void time_alone_gets_every_state_on(void **unused)
{
	(void)unused;
	for (enum child_state s = 0; s < CHILD_STATE_COUNT; s++) {
		enum child_state now = s;
		int steps_left = CHILD_STATE_COUNT;

		if (s == CHILD_DOWN || s == CHILD_HELD || s == CHILD_UP)
			continue;
		while (now != CHILD_UP && steps_left-- > 0) {
			struct child_step step = at(now, CHILD_EV_DEADLINE);

			assert_int_not_equal(step.action, CHILD_ACT_ILLEGAL);
			if (step.action == CHILD_ACT_KILL ||
				step.action == CHILD_ACT_SPAWN)
				break;
			now = step.next;
		}
		assert_true(steps_left > 0);
	}
	assert_int_equal(at(CHILD_UP, CHILD_EV_HANG).next, CHILD_STUCK);
}

static void an_end_is_answered_alike_wherever_it_comes(void **unused)
{
	(void)unused;
	for (enum child_state s = 0; s < CHILD_STATE_COUNT; s++) {
		if (!has_process(s) || s == CHILD_STOPPING)
			continue;
		assert_int_equal(at(s, CHILD_EV_EXIT).action, CHILD_ACT_SPAWN);
		assert_int_equal(at(s, CHILD_EV_FUTILE).next, CHILD_BACKOFF);
		assert_int_equal(at(s, CHILD_EV_LIMIT).next, CHILD_HELD);
	}
	assert_int_equal(
		at(CHILD_STARTING, CHILD_EV_NOFORK).next, CHILD_BACKOFF);
}

static void only_an_operator_leaves_the_hold(void **unused)
{
	(void)unused;
	for (enum child_event e = 0; e < CHILD_EV_COUNT; e++)
		assert_int_equal(legal(CHILD_HELD, e),
			e == CHILD_EV_RESUME || e == CHILD_EV_STOP);
	FOR_EACH_CELL(s, e)
	if (legal(s, e) && s != CHILD_HELD && at(s, e).next == CHILD_HELD)
		assert_int_equal(e, CHILD_EV_LIMIT);
}

static void who_is_handed_over_serves_on_by_another(void **unused)
{
	(void)unused;
	FOR_EACH_CELL(s, e)
	if (e == CHILD_EV_HANDED && legal(s, e)) {
		assert_int_equal(at(s, e).action, CHILD_ACT_ADOPT);
		assert_int_equal(at(s, e).next, CHILD_UP);
		assert_true(has_process(s));
	} else {
		assert_int_not_equal(at(s, e).action, CHILD_ACT_ADOPT);
	}
}

static void an_order_to_leave_is_taken_back_or_carried_out(void **unused)
{
	(void)unused;
	FOR_EACH_CELL(s, e)
	{
		if (at(s, e).action == CHILD_ACT_LEAVE)
			assert_int_equal(at(s, e).next, CHILD_LEAVING);
		if (legal(s, e) && s == CHILD_LEAVING &&
			at(s, e).next == CHILD_UP)
			assert_true(at(s, e).action == CHILD_ACT_STAY ||
				    at(s, e).action == CHILD_ACT_ADOPT);
	}
}

static void every_state_is_reached_and_left(void **unused)
{
	int entered[CHILD_STATE_COUNT] = {0}, left[CHILD_STATE_COUNT] = {0};

	(void)unused;
	FOR_EACH_CELL(s, e)
	if (legal(s, e) && at(s, e).next != s) {
		entered[at(s, e).next]++;
		left[s]++;
	}
	for (enum child_state s = 0; s < CHILD_STATE_COUNT; s++) {
		assert_true(entered[s] > 0 && left[s] > 0);
		assert_non_null(child_state_name(s));
	}
	for (enum child_event e = 0; e < CHILD_EV_COUNT; e++)
		assert_non_null(child_event_name(e));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_illegal_event_changes_nothing),
		cmocka_unit_test(a_fork_never_forgets_a_process),
		cmocka_unit_test(starting_is_entered_by_a_fork_only),
		cmocka_unit_test(only_a_process_can_end_serve_or_be_signalled),
		cmocka_unit_test(
			a_process_is_left_only_by_its_end_or_to_another_member),
		cmocka_unit_test(nothing_but_a_stop_leads_to_down),
		cmocka_unit_test(a_stop_is_understood_in_every_state),
		cmocka_unit_test(who_stops_never_comes_back),
		cmocka_unit_test(who_was_asked_once_is_ended_by_force),
		cmocka_unit_test(time_alone_gets_every_state_on),
		cmocka_unit_test(an_end_is_answered_alike_wherever_it_comes),
		cmocka_unit_test(only_an_operator_leaves_the_hold),
		cmocka_unit_test(who_is_handed_over_serves_on_by_another),
		cmocka_unit_test(
			an_order_to_leave_is_taken_back_or_carried_out),
		cmocka_unit_test(every_state_is_reached_and_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
