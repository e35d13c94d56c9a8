/* SPDX-License-Identifier: MIT */
/* test_guard.c -- the arena is writable inside a transaction only.
 *
 * Where there are no keys all but the arithmetic is skipped.
 */
#include "guard_stage.h"
#include <super.h>

static int write_outside(void *unused)
{
	arm();
	poke();
	return unused != NULL;
}

static void a_write_outside_of_a_transaction_is_stopped(void **state)
{
	(void)state;
	assert_int_equal(end_of(write_outside), STOPPED);
	assert_int_equal(thing->word, 0);
}

static int write_inside(void *unused)
{
	arm();
	rf_tx_begin();
	RF_SET(thing->word, 1);
	if (rf_tx_commit() != 0)
		return 1;
	rf_tx_begin();
	RF_SET(thing->word, 2);
	rf_tx_abort();
	return thing->word == 1 && unused == NULL ? 0 : 2;
}

static void a_transaction_opens_it(void **state)
{
	(void)state;
	assert_int_equal(end_of(write_inside), 0);
	assert_int_equal(thing->word, 1);
}

static int write_after_commit(void *unused)
{
	write_inside(unused);
	poke();
	return 0;
}

static int write_after_abort(void *unused)
{
	arm();
	rf_tx_begin();
	rf_tx_abort();
	poke();
	return unused != NULL;
}

static void commit_and_abort_close_it(void **state)
{
	(void)state;
	assert_int_equal(end_of(write_after_commit), STOPPED);
	assert_int_equal(end_of(write_after_abort), STOPPED);
}

static int write_first_page(void *unused)
{
	struct rf_super *super = RF_SUPER;

	arm();
	super->attempt++;
	super->outside++;
	super->quarantine_last_id++;
	super->generation++;
	super->mark.closed = 0;
	super->lease_of_dying = 0;
	return unused != NULL;
}

static int write_second_page(void *unused)
{
	arm();
	*(volatile uint64_t *)&RF_SUPER->desk.request_pos = 1;
	return unused != NULL;
}

static void what_is_written_outside_stands_in_the_open_page(void **state)
{
	(void)state;
	assert_int_equal(end_of(write_first_page), 0);
	assert_int_equal(end_of(write_second_page), STOPPED);
}

/* ---- taking over ---- */

static int die_in_transaction(void *unused)
{
	arm();
	rf_lease_take(1000, false);
	rf_tx_begin();
	RF_SET(thing->word, 99);
	raise(SIGKILL);
	return unused != NULL;
}

static int take_over(void *unused)
{
	if (rf_guard_arm(&scratch_segment) != 0)
		return CHILD_CANNOT;
	if (rf_lease_take(1000, false) != RF_LEASE_OWNER_DIED)
		return 1;
	if (thing->word != 0)
		return 2;
	rf_lease_give();
	poke(); /* L2 is over: closed */
	return unused != NULL;
}

static void the_lease_passes_on_and_the_roll_back_opens_and_closes(void **state)
{
	(void)state;
	rf_lease_give();
	assert_int_equal(end_of(die_in_transaction), 128 + SIGKILL);
	assert_int_equal(thing->word, 99);
	assert_int_equal(end_of(take_over), STOPPED);
	assert_int_equal(thing->word, 0);
	assert_int_equal(rf_lease_take(1000, false), RF_LEASE_CLEAN);
}

/* Dies between two transactions, as most do. */
static int die_closed(void *unused)
{
	arm();
	rf_lease_take(1000, false);
	raise(SIGKILL);
	return unused != NULL;
}

static void the_lease_passes_on_when_its_holder_dies_closed(void **state)
{
	(void)state;
	rf_lease_give();
	assert_int_equal(end_of(die_closed), 128 + SIGKILL);
	assert_int_equal(rf_lease_take(1000, false), RF_LEASE_OWNER_DIED);
}

static int die_with_a_lock(void *unused)
{
	pthread_mutexattr_t attr;

	arm();
	rf_unguarded_begin();
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&thing->lock, &attr);
	pthread_mutex_lock(&thing->lock);
	if (getenv("TEST_GUARD_CLOSED") != NULL)
		rf_unguarded_end();
	raise(SIGKILL);
	return unused != NULL;
}

/* Why the lease stands in the open page, and why a lock in a block must be
 * held unguarded: the kernel writes with the dying thread's rights. */
static void a_robust_lock_passes_on_only_from_who_may_write_to_it(void **state)
{
	(void)state;
	assert_int_equal(end_of(die_with_a_lock), 128 + SIGKILL);
	assert_int_equal(pthread_mutex_trylock(&thing->lock), EOWNERDEAD);
	pthread_mutex_consistent(&thing->lock);
	pthread_mutex_unlock(&thing->lock);
	setenv("TEST_GUARD_CLOSED", "1", 1);
	assert_int_equal(end_of(die_with_a_lock), 128 + SIGKILL);
	unsetenv("TEST_GUARD_CLOSED");
	assert_int_equal(pthread_mutex_trylock(&thing->lock), EBUSY);
}

static int prefault(void)
{
	return madvise((void *)((uint64_t)thing & ~UINT64_C(4095)), 4096,
		       MADV_POPULATE_WRITE) == 0
		       ? 0
		       : errno;
}

static int prefault_as_standby(void *unused)
{
	int error;

	if (rf_guard_arm(&scratch_segment) != 0)
		return CHILD_CANNOT;
	error = prefault();
	if (error == EINVAL)
		return CHILD_CANNOT; /* an old kernel */
	rf_guard_close();
	return error == 0 && prefault() != 0 && unused == NULL ? 0 : 1;
}

static void a_standby_can_prefault_until_its_first_roll_back(void **state)
{
	(void)state;
	assert_int_equal(end_of(prefault_as_standby), 0);
}

/* ---- threads, handlers, system calls ---- */

static void *poke_in_thread(void *how)
{
	if (how != NULL)
		rf_unguarded_begin();
	poke();
	if (how != NULL)
		rf_unguarded_end();
	return NULL;
}

static int run_thread(void *how)
{
	pthread_t thread;

	return pthread_create(&thread, NULL, poke_in_thread, how) == 0 &&
			       pthread_join(thread, NULL) == 0
		       ? 0
		       : 1;
}

static int thread_closed(void *unused)
{
	arm();
	return run_thread(unused);
}

static int thread_that_knows(void *unused)
{
	(void)unused;
	arm();
	return run_thread(thing);
}

static void a_thread_is_closed_out_unless_it_says_that_it_knows(void **state)
{
	(void)state;
	assert_int_equal(end_of(thread_closed), STOPPED);
	assert_int_equal(end_of(thread_that_knows), 0);
	assert_int_equal(thing->word, 7);
}

static int nest(void *unused)
{
	arm();
	rf_unguarded_begin();
	rf_unguarded_begin();
	rf_unguarded_end();
	poke();
	rf_tx_begin();
	rf_tx_commit();
	poke(); /* the transaction has not closed it */
	rf_tx_begin();
	rf_unguarded_end();
	RF_SET(thing->word, 8);
	if (rf_tx_commit() != 0)
		return 1;
	poke();
	return unused != NULL;
}

static void unguarded_parts_nest_with_each_other_and_transactions(void **state)
{
	(void)state;
	assert_int_equal(end_of(nest), STOPPED);
	assert_int_equal(thing->word, 8);
}

static volatile uint64_t seen;

static void look(int signal_number)
{
	(void)signal_number;
	seen = thing->word;
}

static void open_and_look(int signal_number)
{
	rf_guard_open();
	look(signal_number);
}

static int look_in_handler(void *opens)
{
	arm();
	signal(SIGUSR1, opens != NULL ? open_and_look : look);
	raise(SIGUSR1);
	poke();
	return 0;
}

static int handler_looks(void *unused)
{
	(void)unused;
	return look_in_handler(thing);
}

static void a_handler_opens_first_and_leaves_it_as_it_was(void **state)
{
	(void)state;
	assert_int_equal(end_of(handler_looks), STOPPED);
	assert_int_equal(end_of(look_in_handler), STOPPED);
	assert_int_equal(thing->word, 0);
}

static int read_into_it(void *unused)
{
	int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);

	arm();
	if (read(fd, &thing->word, 8) != -1 || errno != EFAULT)
		return 1;
	rf_tx_begin();
	rf_tx_log(&thing->word, 8);
	if (read(fd, &thing->word, 8) != 8)
		return 2;
	return rf_tx_commit() == 0 && unused == NULL ? 0 : 3;
}

static void a_system_call_that_writes_to_it_gets_efault(void **state)
{
	(void)state;
	assert_int_equal(end_of(read_into_it), 0);
}

/* ---- losing and finding ---- */

/* As a restored process is: neither key nor covered pages, same rights. */
static void lose_the_key(void)
{
	uint64_t from = rf_guard_from(&scratch_segment);

	if (pkey_mprotect((void *)from,
		    RF_ARENA_BASE + scratch_segment.max_bytes - from,
		    PROT_READ | PROT_WRITE, 0) != 0 ||
		pkey_free(1) != 0)
		_exit(CHILD_CANNOT);
}

static int lose(void *rearms)
{
	arm();
	lose_the_key();
	poke();
	thing->word = 3;
	if (rearms != NULL && (rf_guard_rearm() != 0 || rf_guard_rearm() != 0))
		return 1;
	poke();
	return 0;
}

static int lose_and_rearm(void *unused)
{
	(void)unused;
	return lose(thing);
}

static void a_guard_that_was_lost_is_put_up_again(void **state)
{
	(void)state;
	assert_int_equal(end_of(lose), 0);
	assert_int_equal(thing->word, 7);
	assert_int_equal(end_of(lose_and_rearm), STOPPED);
	assert_int_equal(thing->word, 3);
}

static int protect_around(void *unused)
{
	struct rf_segment *seg = &scratch_segment;

	if (rf_segment_protect(seg, false) != 0 ||
		rf_segment_protect(seg, true) != 0)
		return 1;
	arm();
	if (rf_segment_protect(seg, false) != 0 ||
		rf_segment_protect(seg, true) != 0)
		return 2;
	rf_tx_begin();
	RF_SET(thing->word, 4);
	if (rf_tx_commit() != 0)
		return 3;
	poke();
	return unused != NULL;
}

static void the_supervisors_protection_and_the_guard_live_together(void **state)
{
	(void)state;
	assert_int_equal(end_of(protect_around), STOPPED);
	assert_int_equal(thing->word, 4);
}

static void a_guard_covers_whole_pages_of_the_segment(void **state)
{
	const struct rf_segment small = {.page_bytes = 4096};
	const struct rf_segment huge = {.page_bytes = (size_t)2 << 20};

	(void)state;
	assert_int_equal(rf_guard_from(&small), (uint64_t)&RF_SUPER->desk);
	assert_int_equal(
		rf_guard_from(&huge), RF_ARENA_BASE + ((uint64_t)2 << 20));
}

static int without(void *unused)
{
	rf_unguarded_begin();
	rf_unguarded_end();
	poke();
	return rf_guard_rearm() == 0 && unused == NULL ? 0 : 1;
}

static void without_a_guard_nothing_is_stopped(void **state)
{
	(void)state;
	assert_int_equal(end_of(without), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_write_outside_of_a_transaction_is_stopped),
		TEST(a_transaction_opens_it),
		TEST(commit_and_abort_close_it),
		TEST(what_is_written_outside_stands_in_the_open_page),
		TEST(the_lease_passes_on_and_the_roll_back_opens_and_closes),
		TEST(the_lease_passes_on_when_its_holder_dies_closed),
		TEST(a_robust_lock_passes_on_only_from_who_may_write_to_it),
		TEST(a_standby_can_prefault_until_its_first_roll_back),
		TEST(a_thread_is_closed_out_unless_it_says_that_it_knows),
		TEST(unguarded_parts_nest_with_each_other_and_transactions),
		TEST(a_handler_opens_first_and_leaves_it_as_it_was),
		TEST(a_system_call_that_writes_to_it_gets_efault),
		TEST(a_guard_that_was_lost_is_put_up_again),
		TEST(the_supervisors_protection_and_the_guard_live_together),
		TEST(a_guard_covers_whole_pages_of_the_segment),
		TEST(without_a_guard_nothing_is_stopped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
