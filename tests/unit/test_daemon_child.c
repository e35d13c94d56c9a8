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
	return state == CHILD_STARTING || state == CHILD_UP ||
	       state == CHILD_STOPPING;
}

static void an_illegal_event_changes_nothing(void **unused)
{
	(void)unused;
	FOR_EACH_CELL(s, e)
	if (!legal(s, e))
		assert_int_equal(at(s, e).next, s);
}

static void two_processes_never_overlap(void **unused)
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
	if (s != CHILD_STARTING && at(s, e).next == CHILD_STARTING)
		assert_int_equal(at(s, e).action, CHILD_ACT_SPAWN);
}

static void only_a_process_can_end_serve_or_be_signalled(void **unused)
{
	(void)unused;
	FOR_EACH_CELL(s, e)
	{
		enum child_action action = at(s, e).action;

		if (e == CHILD_EV_EXIT)
			assert_int_equal(legal(s, e), has_process(s));
		if (action == CHILD_ACT_TERM || action == CHILD_ACT_KILL)
			assert_true(has_process(s));
	}
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
		enum child_state next = at(s, CHILD_EV_STOP).next;

		assert_true(legal(s, CHILD_EV_STOP));
		assert_int_equal(
			next, has_process(s) ? CHILD_STOPPING : CHILD_DOWN);
	}
}

static void a_second_stop_and_a_deadline_end_by_force(void **unused)
{
	(void)unused;
	assert_int_equal(
		at(CHILD_STOPPING, CHILD_EV_STOP).action, CHILD_ACT_KILL);
	assert_int_equal(
		at(CHILD_STOPPING, CHILD_EV_TIMER).action, CHILD_ACT_KILL);
}

static void who_stops_never_comes_back(void **unused)
{
	(void)unused;
	for (enum child_event e = 0; e < CHILD_EV_COUNT; e++) {
		enum child_state next = at(CHILD_STOPPING, e).next;

		assert_true(next == CHILD_STOPPING || next == CHILD_DOWN);
	}
}

static void a_death_is_answered_at_once_or_with_a_deadline(void **unused)
{
	(void)unused;
	assert_int_equal(at(CHILD_UP, CHILD_EV_EXIT).action, CHILD_ACT_SPAWN);
	assert_int_equal(at(CHILD_STARTING, CHILD_EV_EXIT).next, CHILD_BACKOFF);
	assert_int_equal(at(CHILD_UP, CHILD_EV_FUTILE).next, CHILD_BACKOFF);
	assert_int_equal(
		at(CHILD_STARTING, CHILD_EV_NOFORK).next, CHILD_BACKOFF);
	for (enum child_state s = 0; s < CHILD_STATE_COUNT; s++)
		assert_int_equal(legal(s, CHILD_EV_TIMER),
			s == CHILD_BACKOFF || s == CHILD_STOPPING);
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

static void pauses_double_up_to_the_limit(void **unused)
{
	const uint64_t limit_ms = 30000;
	uint64_t pause_ms = 0;

	(void)unused;
	assert_int_equal(child_backoff_ms(0, 0, limit_ms), 10);
	assert_int_equal(child_backoff_ms(0, 250, limit_ms), 250);
	for (int i = 0; i < 100; i++) {
		uint64_t next_ms = child_backoff_ms(pause_ms, 0, limit_ms);

		assert_true(next_ms >= pause_ms && next_ms <= limit_ms);
		assert_true(pause_ms == 0 || next_ms == 2 * pause_ms ||
			    next_ms == limit_ms);
		pause_ms = next_ms;
	}
	assert_int_equal(pause_ms, limit_ms);
}

static void a_limit_below_the_least_pause_does_not_spin(void **unused)
{
	(void)unused;
	assert_int_equal(child_backoff_ms(0, 0, 0), 10);
	assert_int_equal(child_backoff_ms(10, 0, 0), 10);
	assert_int_equal(
		child_backoff_ms(UINT64_MAX, 0, UINT64_MAX), UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_illegal_event_changes_nothing),
		cmocka_unit_test(two_processes_never_overlap),
		cmocka_unit_test(starting_is_entered_by_a_fork_only),
		cmocka_unit_test(only_a_process_can_end_serve_or_be_signalled),
		cmocka_unit_test(nothing_but_a_stop_leads_to_down),
		cmocka_unit_test(a_stop_is_understood_in_every_state),
		cmocka_unit_test(a_second_stop_and_a_deadline_end_by_force),
		cmocka_unit_test(who_stops_never_comes_back),
		cmocka_unit_test(
			a_death_is_answered_at_once_or_with_a_deadline),
		cmocka_unit_test(every_state_is_reached_and_left),
		cmocka_unit_test(pauses_double_up_to_the_limit),
		cmocka_unit_test(a_limit_below_the_least_pause_does_not_spin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
