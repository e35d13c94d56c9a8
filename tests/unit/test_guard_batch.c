/* SPDX-License-Identifier: MIT */
/* test_guard_batch.c -- between the transactions of a batch the arena stays
 * open, and nowhere else. */
#include "guard_stage.h"
#include <signal.h>

static void count(void)
{
	rf_tx_begin();
	RF_SET(thing->word, thing->word + 1);
	RF_CHECK(rf_tx_commit() == 0);
}

static void begin(void)
{
	arm();
	rf_guard_batch(true);
}

static int write_between(void *unused)
{
	begin();
	count();
	poke();
	count();
	return unused != NULL;
}

static void between_two_transactions_of_a_batch_it_stays_open(void **state)
{
	(void)state;
	assert_int_equal(end_of(write_between), 0);
	assert_int_equal(thing->word, 8);
}

static int write_at_the_beginning(void *unused)
{
	begin();
	poke();
	return unused != NULL;
}

static int write_at_the_end(void *unused)
{
	begin();
	count();
	rf_guard_batch(false);
	poke();
	return unused != NULL;
}

static int write_behind_it(void *unused)
{
	begin();
	count();
	rf_guard_batch(false);
	count();
	poke();
	return unused != NULL;
}

static void a_batch_opens_nothing_and_its_end_closes(void **state)
{
	(void)state;
	assert_int_equal(end_of(write_at_the_beginning), STOPPED);
	assert_int_equal(end_of(write_at_the_end), STOPPED);
	assert_int_equal(end_of(write_behind_it), STOPPED);
	assert_int_equal(thing->word, 3);
}

static int end_inside(void *unused)
{
	begin();
	rf_tx_begin();
	rf_guard_batch(false);
	poke();
	rf_tx_abort();
	poke();
	return unused != NULL;
}

static void the_end_of_a_batch_does_not_close_a_transaction(void **state)
{
	(void)state;
	assert_int_equal(end_of(end_inside), STOPPED);
	assert_int_equal(thing->word, 7);
}

static void *poke_in_thread(void *unused)
{
	poke();
	return unused;
}

static int thread_beside(void *unused)
{
	pthread_t thread;

	arm();
	rf_unguarded_begin(); /* it begins with the rights of its maker */
	rf_unguarded_end();
	rf_guard_batch(true);
	if (pthread_create(&thread, NULL, poke_in_thread, unused) != 0)
		return 1;
	count();
	return pthread_join(thread, NULL);
}

static void a_batch_opens_it_for_no_other_thread(void **state)
{
	(void)state;
	assert_int_equal(end_of(thread_beside), STOPPED);
	assert_true(thing->word <= 1);
}

static void poke_in_handler(int signal_number)
{
	signal(SIGSEGV, SIG_DFL);
	if (signal_number == SIGUSR1)
		poke();
}

static void open_in_handler(int signal_number)
{
	rf_guard_open();
	thing->word += (uint64_t)signal_number;
}

static int handler_amid(void *opens)
{
	begin();
	count();
	signal(SIGUSR1, opens != NULL ? open_in_handler : poke_in_handler);
	raise(SIGUSR1);
	return thing->word == 1 + SIGUSR1 ? 0 : 1;
}

static int handler_that_opens(void *unused)
{
	(void)unused;
	return handler_amid(thing);
}

static void a_handler_amid_a_batch_opens_first(void **state)
{
	(void)state;
	assert_int_equal(end_of(handler_amid), STOPPED);
	assert_int_equal(thing->word, 1);
	rf_tx_begin();
	RF_SET(thing->word, 0);
	assert_int_equal(rf_tx_commit(), 0);
	assert_int_equal(end_of(handler_that_opens), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(between_two_transactions_of_a_batch_it_stays_open),
		TEST(a_batch_opens_nothing_and_its_end_closes),
		TEST(the_end_of_a_batch_does_not_close_a_transaction),
		TEST(a_batch_opens_it_for_no_other_thread),
		TEST(a_handler_amid_a_batch_opens_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
