/* SPDX-License-Identifier: MIT */
/* test_scene.c -- what a dying process says, and that it then is dead.
 *
 * Each crash happens in a child; what it wrote is judged here.
 */
#include "suite.h"
#include <pthread.h>
#include <scene.h>
#include <status.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

#define MARK UINT64_C(0x5ca1ab1e0ddba115)

static struct shared {
	struct rf_crash_scene scene;
	uint64_t before, after; /* counted by the child, noted by the hook */
	bool ready;
} * shared;

static uint8_t *closed; /* a page that may not be written */

static int set_up(void **state)
{
	(void)state;
	shared = shared_memory(sizeof *shared);
	closed = mmap(NULL, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return shared != NULL && closed != MAP_FAILED ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	munmap(shared, sizeof *shared);
	munmap(closed, 4096);
	return 0;
}

/* ---- ways to die ---- */

static void by_a_wild_pointer(void)
{
	*(volatile int *)closed = 1;
}

static void by_a_trap(void)
{
	__builtin_trap();
}

__attribute__((no_sanitize("undefined"))) static void by_a_division(void)
{
	volatile int seven = 7, zero = getpid() < 0;

	seven = seven / zero;
}

static void by_abort(void)
{
	abort();
}

static void by_a_failed_check(void)
{
	RF_CHECK(getpid() == 0);
}

static void by_raise(void)
{
	raise(SIGTRAP);
}

static void by_quit(void)
{
	kill(getpid(), SIGQUIT);
}

/* Not a tail call, and nothing that a compiler sees through. */
static int overflow(volatile int *depth)
{
	volatile char frame[1024];

	frame[0] = (char)++*depth;
	return (*depth > 0 ? overflow(depth) : 0) + frame[0];
}

static void by_a_stack_overflow(void)
{
	volatile int depth = 0;

	overflow(&depth);
}

static const struct way {
	void (*die)(void);
	int signal;
	uint64_t address;
} ways[] = {
	{by_a_wild_pointer, SIGSEGV, 1},
#if defined(__x86_64__)
	{by_a_trap, SIGILL, 0},
	{by_a_division, SIGFPE, 0},
#endif
	{by_abort, SIGABRT, 0},
	{by_a_failed_check, SIGABRT, 0},
	{by_raise, SIGTRAP, 0},
	{by_quit, SIGQUIT, 0},
	{by_a_stack_overflow, SIGSEGV, 0},
};

/* ---- what is said ---- */

static int die(void *arg)
{
	const struct way *way = arg;
	const struct rlimit small = {256 << 10, 256 << 10};
	volatile uint64_t mark = MARK;

	setrlimit(RLIMIT_STACK, &small);
	rf_scene_arm(&shared->scene, NULL, -1);
	way->die();
	shared->after = mark;
	return 0;
}

static bool stack_holds(uint64_t word)
{
	const uint64_t *at = (const uint64_t *)shared->scene.stack;

	for (size_t i = 0; i < shared->scene.stack_bytes / sizeof *at; i++)
		if (at[i] == word)
			return true;
	return false;
}

static void check_scene(const struct way *way, pid_t pid)
{
	const struct rf_crash_scene *scene = &shared->scene;

	assert_int_equal(scene->complete, pid);
	assert_int_equal(scene->tid, pid);
	assert_int_equal(scene->signal, way->signal);
	assert_true(scene->at_us <= rf_monotonic_us());
	assert_true(scene->at_us > rf_monotonic_us() - 10000000);
	assert_true(scene->pc > 4096);
	assert_true(scene->sp > 4096);
	assert_true(scene->stack_bytes > 128);
	assert_true(scene->stack_at < scene->sp + 65536);
	if (way->address != 0)
		assert_int_equal(scene->address, (uint64_t)closed);
	if (way->die != by_a_stack_overflow)
		assert_true(stack_holds(MARK));
}

static void each_way_to_die_is_described_and_is_that_death(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		pid_t pid;

		pid = fork_child(die, (void *)&ways[i]);
		assert_int_equal(signal_of(wait_child(pid)), ways[i].signal);
		check_scene(&ways[i], pid);
		assert_int_equal(shared->after, 0);
	}
}

/* ---- nothing runs afterwards ---- */

static void wait_ready(void)
{
	for (int i = 0; i < 5000; i++) {
		if (__atomic_load_n(&shared->ready, __ATOMIC_ACQUIRE))
			return;
		nap_us(1000);
	}
	fail_msg("the child did not get ready");
}

static void open_the_page(struct rf_crash_scene *scene)
{
	(void)scene;
	mprotect(closed, 4096, PROT_READ | PROT_WRITE);
}

static int write_where_it_soon_is_allowed(void *unused)
{
	(void)unused;
	rf_scene_arm(&shared->scene, open_the_page, -1);
	*(volatile int *)closed = 1;
	shared->after = 1;
	return 0;
}

static void a_fault_that_would_now_succeed_is_not_tried_again(void **state)
{
	(void)state;
	assert_int_equal(
		signal_of(run_child(write_where_it_soon_is_allowed, NULL)),
		SIGSEGV);
	assert_int_equal(shared->after, 0);
	assert_int_equal(*(const volatile int *)closed, 0);
}

static void note_the_count(struct rf_crash_scene *scene)
{
	(void)scene;
	shared->before = shared->after;
	nap_us(2000);
}

static int count_for_ever(void *unused)
{
	(void)unused;
	rf_scene_arm(&shared->scene, note_the_count, -1);
	__atomic_store_n(&shared->ready, true, __ATOMIC_RELEASE);
	do
		++*(volatile uint64_t *)&shared->after;
	while (shared->ready);
	return 0;
}

static void a_spinning_process_stops_where_the_signal_hits_it(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		pid_t pid;

		shared->ready = false;
		pid = fork_child(count_for_ever, NULL);
		wait_ready();
		nap_us((unsigned)random_below(500));
		kill(pid, SIGABRT);
		assert_int_equal(signal_of(wait_child(pid)), SIGABRT);
		assert_int_equal(shared->scene.complete, pid);
		assert_true(shared->before > 0);
		assert_int_equal(shared->before, shared->after);
	}
}

static int sleep_for_ever(void *unused)
{
	(void)unused;
	rf_scene_arm(&shared->scene, NULL, -1);
	__atomic_store_n(&shared->ready, true, __ATOMIC_RELEASE);
	nap_us(100000000);
	shared->after = 1;
	return 0;
}

static void a_sleeping_process_does_not_wake_up_to_go_on(void **state)
{
	pid_t pid = fork_child(sleep_for_ever, NULL);

	(void)state;
	wait_ready();
	nap_us(2000);
	kill(pid, SIGABRT);
	assert_int_equal(signal_of(wait_child(pid)), SIGABRT);
	assert_int_equal(shared->scene.complete, pid);
	assert_int_equal(shared->after, 0);
}

static void on_other_signal(int number)
{
	(void)number;
	shared->after = 1;
}

static void send_others(struct rf_crash_scene *scene)
{
	(void)scene;
	kill(getpid(), SIGUSR1);
	raise(SIGHUP); /* this thread's, and of a lower number: goes first */
}

static int die_among_signals(void *unused)
{
	struct sigaction action = {.sa_handler = on_other_signal};

	(void)unused;
	sigfillset(&action.sa_mask);
	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	rf_scene_arm(&shared->scene, send_others, -1);
	abort();
}

static void other_signals_find_nobody_to_handle_them(void **state)
{
	(void)state;
	assert_int_equal(
		signal_of(run_child(die_among_signals, NULL)), SIGABRT);
	assert_int_equal(shared->after, 0);
}

/* ---- the handler itself ---- */

static void fault(struct rf_crash_scene *scene)
{
	(void)scene;
	*(volatile int *)closed = 1;
}

static int die_twice(void *unused)
{
	(void)unused;
	rf_scene_arm(&shared->scene, fault, -1);
	abort();
}

static void a_crash_in_the_handler_is_the_end(void **state)
{
	(void)state;
	assert_int_equal(signal_of(run_child(die_twice, NULL)), SIGSEGV);
	assert_int_equal(shared->scene.complete, 0);
}

static int let_a_fork_die(void *unused)
{
	(void)unused;
	rf_scene_arm(&shared->scene, NULL, -1);
	return signal_of(run_child((int (*)(void *))(void *)abort, NULL));
}

static void a_fork_of_it_dies_without_a_word(void **state)
{
	(void)state;
	assert_int_equal(exit_of(run_child(let_a_fork_die, NULL)), SIGABRT);
	assert_int_equal(shared->scene.complete, 0);
	assert_int_equal(shared->scene.signal, 0);
}

static void *abort_in_a_thread(void *barrier)
{
	pthread_barrier_wait(barrier);
	abort();
}

static int die_in_many_threads(void *unused)
{
	pthread_barrier_t barrier;
	pthread_t thread;

	(void)unused;
	rf_scene_arm(&shared->scene, NULL, -1);
	pthread_barrier_init(&barrier, NULL, 4);
	for (int i = 0; i < 4; i++)
		pthread_create(&thread, NULL, abort_in_a_thread, &barrier);
	pthread_join(thread, NULL);
	return 0;
}

static void threads_that_die_together_leave_one_scene(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		pid_t pid = fork_child(die_in_many_threads, NULL);

		assert_int_equal(signal_of(wait_child(pid)), SIGABRT);
		assert_int_equal(shared->scene.complete, pid);
		assert_int_not_equal(shared->scene.tid, pid);
		assert_int_equal(shared->scene.signal, SIGABRT);
	}
}

static int ring_and_die(void *bell)
{
	rf_scene_arm(&shared->scene, NULL, *(const int *)bell);
	abort();
}

/* Whoever hears it need not wait for the core dump. */
static void a_bell_rings_once_all_is_described(void **state)
{
	int bell = eventfd(0, EFD_CLOEXEC);
	pid_t pid = fork_child(ring_and_die, &bell);
	uint64_t rings;

	(void)state;
	assert_int_equal(read(bell, &rings, sizeof rings), sizeof rings);
	assert_int_equal(shared->scene.complete, pid);
	wait_child(pid);
	close(bell);
}

static void a_copy_ends_where_the_memory_ends(void **state)
{
	uint8_t *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t to[8192];

	(void)state;
	memset(pages, 7, 8192);
	assert_int_equal(rf_scene_copy(to, (uint64_t)pages, 8192), 8192);
	mprotect(pages + 4096, 4096, PROT_NONE);
	memset(to, 0, sizeof to);
	assert_int_equal(rf_scene_copy(to, (uint64_t)pages + 100, 8000), 3996);
	assert_true(is_filled(to, 3996, 7));
	assert_int_equal(to[3996], 0);
	assert_int_equal(rf_scene_copy(to, (uint64_t)pages + 4096, 10), 0);
	assert_int_equal(rf_scene_copy(to, 16, 10), 0);
	munmap(pages, 8192);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_way_to_die_is_described_and_is_that_death),
		TEST(a_fault_that_would_now_succeed_is_not_tried_again),
		TEST(a_spinning_process_stops_where_the_signal_hits_it),
		TEST(a_sleeping_process_does_not_wake_up_to_go_on),
		TEST(other_signals_find_nobody_to_handle_them),
		TEST(a_crash_in_the_handler_is_the_end),
		TEST(a_fork_of_it_dies_without_a_word),
		TEST(threads_that_die_together_leave_one_scene),
		TEST(a_bell_rings_once_all_is_described),
		TEST(a_copy_ends_where_the_memory_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
