/* SPDX-License-Identifier: MIT */
/* test_hold.c -- standing still for a reader: begun, ended, void, inherited. */
#include "suite.h"

#include "worker/business/hold.h"
#include <sys/eventfd.h>

static struct rf_status_shm *status;
static struct rf_child child;
static struct desk desk;
static unsigned waits;
static int longest_wait_ms;
static void (*meanwhile)(void); /* what others do while it waits */

static void wait_by_hand(struct desk *of, int wait_ms)
{
	(void)of;
	waits++;
	if (wait_ms > longest_wait_ms)
		longest_wait_ms = wait_ms;
	if (meanwhile != NULL)
		meanwhile();
	else
		nap_us((unsigned)wait_ms * 1000);
}

static int begin(void **unused)
{
	(void)unused;
	status = rf_status_create();
	if (status == NULL)
		return -1;
	child = (struct rf_child){.status = status,
		.bell_supervisor = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
	desk = (struct desk){.self = &child,
		.status = status,
		.pid = getpid(),
		.wait = wait_by_hand};
	waits = 0;
	longest_wait_ms = 0;
	meanwhile = NULL;
	return child.bell_supervisor < 0;
}

static int end(void **unused)
{
	(void)unused;
	close(child.bell_supervisor);
	rf_status_destroy(status);
	return 0;
}

static void order(int64_t length_us)
{
	status->supervisor.hold_until_us = rf_monotonic_us() + 1000000;
	status->supervisor.hold_length_us = length_us;
	status->supervisor.hold_serial++;
}

static bool has_begun(void)
{
	return status->business.held_serial == status->supervisor.hold_serial;
}

static bool is_over(void)
{
	return status->business.held_over == status->supervisor.hold_serial;
}

static void tell_to_go(void)
{
	assert_true(has_begun());
	assert_false(is_over());
	status->supervisor.hold_ended = status->supervisor.hold_serial;
}

static void without_an_order_there_is_nothing_to_do(void **unused)
{
	(void)unused;
	assert_false(hold_is_ordered(&desk));
}

static void an_order_is_begun_told_and_ended(void **unused)
{
	uint64_t rings;

	(void)unused;
	meanwhile = tell_to_go;
	order(1000000);
	assert_true(hold_is_ordered(&desk));
	hold_keep(&desk);
	assert_true(has_begun() && is_over());
	assert_false(hold_is_ordered(&desk));
	assert_int_equal(waits, 1);
	assert_int_equal(status->business.holds, 1);
	assert_int_equal(read(child.bell_supervisor, &rings, sizeof rings),
		sizeof rings);
}

static void the_deadline_ends_it(void **unused)
{
	int64_t from_us = rf_monotonic_us();

	(void)unused;
	order(30000);
	hold_keep(&desk);
	assert_true(is_over());
	assert_in_range(rf_monotonic_us() - from_us, 20000, 1000000);
	assert_in_range(status->business.held_us, 20000, 1000000);
	assert_in_range(longest_wait_ms, 1, 30);
}

static void it_says_that_it_lives_meanwhile(void **unused)
{
	(void)unused;
	order(250000);
	hold_keep(&desk);
	assert_in_range(longest_wait_ms, 1, DESK_SLEEP_MS);
	assert_true(waits >= 2);
}

static void an_order_that_came_too_late_is_void(void **unused)
{
	(void)unused;
	order(1000000);
	status->supervisor.hold_until_us = rf_monotonic_us() - 1;
	hold_keep(&desk);
	assert_true(has_begun() && is_over());
	assert_int_equal(waits, 0);
	assert_int_equal(status->business.holds, 0);
}

static void an_order_that_was_withdrawn_is_void(void **unused)
{
	(void)unused;
	order(1000000);
	status->supervisor.hold_ended = status->supervisor.hold_serial;
	hold_keep(&desk);
	assert_true(has_begun() && is_over());
	assert_int_equal(waits, 0);
}

static void ask_to_leave(void)
{
	status->supervisor.leave_pid = getpid();
}

static void a_planned_end_does_not_wait_for_it(void **unused)
{
	(void)unused;
	meanwhile = ask_to_leave;
	order(60000000);
	hold_keep(&desk);
	assert_true(is_over());
	assert_int_equal(waits, 1);
}

static int die_in_it(void *unused)
{
	(void)unused;
	hold_keep(&desk);
	return 1;
}

static void a_successor_leaves_what_was_begun_alone(void **unused)
{
	pid_t first;

	(void)unused;
	order(60000000);
	first = fork_child(die_in_it, NULL);
	while (!has_begun())
		nap_us(1000);
	kill_child(first);
	assert_false(is_over());
	assert_false(hold_is_ordered(&desk));
}

static void a_successor_carries_out_what_was_not_begun(void **unused)
{
	(void)unused;
	order(1000000);
	/* The one before died between its first words and the last. */
	status->business.held_at_us = 1;
	meanwhile = tell_to_go;
	assert_true(hold_is_ordered(&desk));
	hold_keep(&desk);
	assert_in_range(status->business.held_us, 0, 1000000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(without_an_order_there_is_nothing_to_do),
		TEST(an_order_is_begun_told_and_ended),
		TEST(the_deadline_ends_it),
		TEST(it_says_that_it_lives_meanwhile),
		TEST(an_order_that_came_too_late_is_void),
		TEST(an_order_that_was_withdrawn_is_void),
		TEST(a_planned_end_does_not_wait_for_it),
		TEST(a_successor_leaves_what_was_begun_alone),
		TEST(a_successor_carries_out_what_was_not_begun),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
