/* SPDX-License-Identifier: MIT */
/* test_net_buffer.c -- buffers in memory that outlives who writes them. */
#include "suite.h"
#include "worker/network/front.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#define BUFFERS	  6
#define BYTES_MAX ((size_t)3 << 20)
#define DEATHS	  150
#define PATTERN	  251 /* a prime: no power of two hides a shift */

static struct rf_channel channel;

struct desk { /* in the front segment, where connections would be */
	struct buffer buffers[BUFFERS];
	struct journal moves;
	uint64_t fresh[BUFFER_CLASSES];
};

static struct desk *desk_of(void)
{
	return (struct desk *)(channel.front.base + 4096);
}

static int set_up(void **state)
{
	(void)state;
	assert_int_equal(rf_channel_create(&channel, "unit", 1, 1), 0);
	return rf_segment_back(&channel.front, 4096, sizeof(struct desk));
}

static int tear_down(void **state)
{
	(void)state;
	rf_channel_destroy(&channel);
	return 0;
}

/* Every byte tells which comes next. */
static uint8_t follower(uint8_t byte)
{
	return (uint8_t)((byte + 1) % PATTERN);
}

static bool is_whole(const struct buffer *buf)
{
	const uint8_t *at = buf->bytes + buf->start;

	for (size_t i = 1; i < buffer_used(buf); i++)
		if (at[i] != follower(at[i - 1]))
			return false;
	return true;
}

static void add(struct store *store, struct buffer *buf, size_t count)
{
	static uint8_t more[BYTES_MAX];
	uint8_t next = 0;

	if (buffer_used(buf))
		next = follower(buf->bytes[buf->end - 1]);
	for (size_t i = 0; i < count; i++, next = follower(next))
		more[i] = next;
	assert_int_equal(buffer_append(store, buf, more, count), 0);
}

static void change(struct store *store, struct buffer *buf)
{
	size_t used = buffer_used(buf);

	if (random() % 64 == 0)
		buffer_release(store, buf);
	else if (random() % 64 == 0 && used < BYTES_MAX)
		add(store, buf, (size_t)random() % (BYTES_MAX / 4));
	else if (random() % 2 && used > 40)
		buf->start += used - 40;
	else
		add(store, buf, 1 + (size_t)random() % 20000);
}

_Noreturn static void write_on(void)
{
	struct desk *desk = desk_of();
	struct store store;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	store_init(&store, &channel.front, &desk->moves, desk->fresh);
	if (store_sweep_begin(&store))
		_exit(1);
	for (int i = 0; i < BUFFERS; i++)
		if (desk->buffers[i].room)
			store_mark(&store, desk->buffers[i].bytes);
	store_sweep_end(&store);
	for (;;)
		change(&store, &desk->buffers[random() % BUFFERS]);
}

static void a_death_at_any_instant_leaves_all_buffers_whole(void **state)
{
	struct desk *desk = desk_of();
	unsigned seed = (unsigned)time(NULL);

	(void)state;
	print_message("seed %u\n", seed);
	srandom(seed);
	for (int i = 0; i < DEATHS; i++) {
		int status;
		pid_t pid;

		random();
		pid = fork();
		if (pid == 0)
			write_on();
		usleep((useconds_t)(random() % 4000));
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGKILL);
		journal_redo(&desk->moves);
		for (int k = 0; k < BUFFERS; k++)
			assert_true(is_whole(&desk->buffers[k]));
	}
}

/* Fills a block and takes most of it off again; the next byte moves the rest
 * to the front. Stops there. */
_Noreturn static void write_up_to_a_move(void)
{
	struct desk *desk = desk_of();
	struct buffer *buf = &desk->buffers[0];
	struct store store;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	store_init(&store, &channel.front, &desk->moves, desk->fresh);
	add(&store, buf, BUFFER_BLOCK_BYTES);
	buf->start = buf->end - 40;
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	raise(SIGSTOP);
	add(&store, buf, 1);
	_exit(0);
}

static bool step(pid_t pid)
{
	int status;

	return ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) == 0 &&
	       waitpid(pid, &status, 0) == pid && WIFSTOPPED(status);
}

static void a_commit_that_is_decided_is_finished(void **state)
{
	struct desk *desk = desk_of();
	bool seen_undone = false, done = false;
	int status;

	(void)state;
	for (int more = 0; !done; more++) {
		pid_t pid;

		memset(desk, 0, sizeof(*desk));
		pid = fork();
		if (pid == 0)
			write_up_to_a_move();
		assert_int_equal(waitpid(pid, &status, 0), pid);
		while (!desk->moves.armed)
			assert_true(step(pid));
		for (int i = 0; i < more; i++)
			step(pid);
		done = !desk->moves.armed;
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		seen_undone |= !is_whole(&desk->buffers[0]) ||
			       buffer_used(&desk->buffers[0]) > 41;
		journal_redo(&desk->moves);
		assert_true(is_whole(&desk->buffers[0]));
		assert_in_range(buffer_used(&desk->buffers[0]), 40, 41);
	}
	assert_true(seen_undone);
}

static size_t backed_bytes(void)
{
	struct stat st;

	assert_int_equal(fstat(channel.front.fd, &st), 0);
	return (size_t)st.st_blocks * 512;
}

static void an_empty_buffer_holds_no_memory(void **state)
{
	struct desk *desk = desk_of();
	struct buffer *buf = &desk->buffers[0];
	struct store store;
	size_t before;

	(void)state;
	memset(desk, 0, sizeof(*desk));
	store_init(&store, &channel.front, &desk->moves, desk->fresh);
	before = backed_bytes();
	for (int i = 0; i < 3; i++) {
		for (int k = 0; k < 30; k++)
			add(&store, buf, BYTES_MAX);
		assert_true(is_whole(buf));
		assert_true(backed_bytes() >= before + 30 * BYTES_MAX);
		buffer_release(&store, buf);
		assert_int_equal(buffer_used(buf), 0);
		/* But for what is kept warm. */
		assert_true(backed_bytes() <= before + ((size_t)1 << 20));
	}
	store_fini(&store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_death_at_any_instant_leaves_all_buffers_whole, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			a_commit_that_is_decided_is_finished, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			an_empty_buffer_holds_no_memory, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
