/* SPDX-License-Identifier: MIT */
/* test_takeover.c -- a standby goes on where the last one ended, however it
 * ended.
 */
#include "business_by_hand.h"
#include <sys/stat.h>

/* ---- a standby ---- */

/* How the one that serves ends. */
static const struct end {
	void (*in_request)(void); /* NULL: between two requests */
	int signal;		  /* sent from outside; 0: none */
	int dies_of;		  /* signal; 0: exits */
	bool described;
} ends[] = {
	{NULL, SIGKILL, SIGKILL, false},
	{NULL, SIGSEGV, SIGSEGV, true},
	{NULL, SIGABRT, SIGABRT, true},
	{fault, 0, SIGSEGV, true},
	{abort, 0, SIGABRT, true},
	{exit_zero, 0, 0, false},
	{spin, SIGABRT, SIGABRT, true},
	{spin, SIGKILL, SIGKILL, false},
	{sleep_on, SIGABRT, SIGABRT, true},
};

static void check_scene(const struct end *end, pid_t pid)
{
	const struct rf_crash_scene *scene = scene_of(pid);

	assert_int_equal(scene != NULL, end->described);
	if (scene == NULL)
		return;
	assert_int_equal(scene->signal, end->dies_of);
	assert_int_equal(scene->handed_over, 1);
	assert_int_equal(scene->generation, RF_SUPER->generation - 1);
	assert_int_equal(scene->phase,
		end->in_request ? RF_PHASE_REQUEST : RF_PHASE_IDLE);
	assert_int_equal(scene->request.present, end->in_request != NULL);
	if (!scene->request.present)
		return;
	assert_string_equal(scene->request.peer, "unit:1234");
	assert_int_equal(scene->request.attempt, 1);
	assert_int_equal(scene->request.conn_id, ANN);
	assert_int_equal(scene->request.bytes, 14);
	assert_memory_equal(scene->request.head + 8, "custom", 6);
}

static void check_takeover(const struct end *end, pid_t pid)
{
	const struct rf_takeover *note = &status->business.takeover;

	assert_int_equal(note->pid, pid);
	assert_int_equal(note->generation, RF_SUPER->generation);
	assert_int_equal(note->was_standby, 1);
	assert_int_equal(note->after_death, RF_LEASE_OWNER_DIED);
	assert_int_equal(note->verified, 0);
	assert_true(note->lease_at_us > 0);
	assert_true(note->rolled_back_at_us >= note->lease_at_us);
	assert_true(note->serving_at_us >= note->rolled_back_at_us);
	assert_int_equal(note->undone > 0, end->in_request != NULL);
	assert_int_equal(note->request.present, end->in_request != NULL);
	if (note->request.present)
		assert_memory_equal(note->request.head + 8, "custom", 6);
	if (!end->in_request)
		assert_int_equal(status->business.work % 2, 0);
}

/* As the watchdog does: that counts. */
static void end_hung(pid_t pid)
{
	rf_status_set(status->supervisor.hung_pid, pid);
	kill_child(pid);
}

/* Who dies without a word may have been struck from outside: that is forgiven
 * three times for each request. */
static void be_forgiven(const struct end *end)
{
	for (int i = 0; i < 3; i++) {
		int runs = told->runs;
		pid_t child = start_child((struct rf_child){0});

		UNTIL(__atomic_load_n(&told->runs, __ATOMIC_SEQ_CST) > runs);
		if (end->signal != 0)
			kill(child, end->signal);
		wait_child(child);
	}
}

static void end_and_go_on(const struct end *end, uint64_t already)
{
	char text[24];
	pid_t first, standby;
	int runs = told->runs;

	then = end->in_request;
	first = start_serving();
	standby = start_standby(-1);
	if (end->in_request != NULL) {
		ask_now(ANN, "custom");
		UNTIL(__atomic_load_n(&told->runs, __ATOMIC_SEQ_CST) > runs);
		/* The second attempt is by the standby. */
		ask_now(ANN, "add");
	}
	if (end->signal != 0) {
		nap_us(3000);
		kill(first, end->signal);
	}
	assert_int_equal(signal_of(wait_child(first)), end->dies_of);
	UNTIL(rf_status_get(status->business.takeover.serving_at_us) != 0 &&
		rf_status_get(status->business.serving_pid) == standby);
	check_takeover(end, standby);
	check_scene(end, first);
	if (end->in_request == NULL)
		ask_now(ANN, "add");
	else if (end->in_request == spin || end->in_request == sleep_on)
		end_hung(standby);
	else
		wait_child(standby);
	if (end->in_request != NULL && !end->described)
		be_forgiven(end);
	if (end->in_request != NULL) {
		standby = start_serving();
		expect_soon(ANN, RF_MSG_ERROR,
			"CRASHED this request ended the business process "
			"twice");
	}
	snprintf(text, sizeof text, "%llu", (unsigned long long)already + 1);
	expect_soon(ANN, RF_MSG_REPLY, text);
	kill_child(standby);
}

static void a_standby_goes_on_however_the_other_ends(void **state)
{
	(void)state;
	open_conn(ANN);
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
		end_and_go_on(&ends[i], i);
	assert_int_equal(told->overlaps, 0);
	assert_int_equal(trial->number, sizeof ends / sizeof *ends);
}

static void a_standby_goes_on_when_the_other_leaves(void **state)
{
	pid_t first, standby;

	(void)state;
	open_conn(ANN);
	first = start_serving();
	for (int i = 0; i < 20; i++) {
		char text[24];

		standby = start_standby(-1);
		if (i % 2 == 0)
			nap_us(2000); /* it sleeps */
		ask_now(ANN, "add");
		if (i % 4 < 2)
			nap_us(200);
		assert_int_equal(end_by_leaving(first), 0);
		snprintf(text, sizeof text, "%d", i + 1);
		expect_soon(ANN, RF_MSG_REPLY, text);
		UNTIL(rf_status_get(status->business.serving_pid) == standby);
		assert_int_equal(
			status->business.takeover.after_death, RF_LEASE_CLEAN);
		assert_true(status->business.left_at_us <=
			    status->business.takeover.lease_at_us);
		first = standby;
	}
	assert_int_equal(status->business.recoveries, 0);
	kill_child(first);
}

static void a_standby_asked_to_end_does_so_at_once(void **state)
{
	pid_t first = start_serving();
	pid_t standby = start_standby(-1);

	(void)state;
	kill(standby, SIGTERM);
	assert_int_equal(exit_of(wait_child(standby)), 0);
	assert_int_equal(exit_of(end_by_leaving(first)), 0);
}

/* KiB of the arena that a process has touched; -1: not to be seen. */
static long arena_kib_of(pid_t pid)
{
	char path[40], line[512];
	long kib = -1, here = 0;
	FILE *in;

	snprintf(path, sizeof path, "/proc/%d/smaps", pid);
	in = fopen(path, "re");
	while (in != NULL && fgets(line, sizeof line, in) != NULL) {
		unsigned long from, to;

		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			here = from >= RF_ARENA_BASE &&
			       to <= RF_ARENA_BASE + scratch_segment.max_bytes;
		else if (here && strncmp(line, "Rss:", 4) == 0)
			kib = (kib < 0 ? 0 : kib) + atol(line + 4);
	}
	if (in != NULL)
		fclose(in);
	return kib;
}

static void a_standby_touches_all_that_is_backed_and_no_more(void **state)
{
	struct rf_range backed[RF_RANGE_COUNT];
	struct stat before, after;
	pid_t first, standby;
	uint64_t bytes = 0;

	(void)state;
	rf_lease_take(5000, false);
	rf_tx_begin();
	assert_non_null(rf_alloc_uninit(20 * MIB)); /* several steps */
	assert_int_equal(rf_tx_commit(), 0);
	rf_lease_give();
	first = start_serving();
	fstat(scratch_segment.fd, &before);
	standby = start_standby(-1);
	fstat(scratch_segment.fd, &after);
	assert_int_equal(after.st_blocks, before.st_blocks);
	rf_arena_backed(backed);
	for (int i = 0; i < RF_RANGE_COUNT; i++)
		bytes += backed[i].bytes;
	assert_true(bytes > 20 * MIB);
	assert_int_equal(status->standby.prefaulted_bytes, bytes);
	if (arena_kib_of(standby) >= 0)
		assert_true(arena_kib_of(standby) >= (long)(bytes / 1024));
	kill_child(standby);
	kill_child(first);
}

static void a_stopped_holder_is_not_robbed(void **state)
{
	pid_t first, standby;

	(void)state;
	open_conn(ANN);
	first = start_serving();
	standby = start_standby(-1);
	kill(first, SIGSTOP);
	ask_now(ANN, "add");
	nap_us(50000);
	assert_int_equal(status->business.serving_pid, first);
	expect_no_answer();
	kill_child(first);
	expect_soon(ANN, RF_MSG_REPLY, "1");
	kill_child(standby);
}

static void a_broken_list_leaves_the_last_word_to_the_supervisor(void **state)
{
	pid_t first, standby;

	(void)state;
	open_conn(ANN);
	then = lose_the_list;
	first = start_serving();
	standby = start_standby(-1);
	ask_now(ANN, "custom");
	assert_int_equal(exit_of(wait_child(first)), 9);
	nap_us(50000);
	assert_int_equal(status->business.serving_pid, first);
	kill_child(standby);
	then = exit_zero;
	first = start_child((struct rf_child){.lease_orphaned = true});
	assert_int_equal(exit_of(wait_child(first)), 0);
	assert_int_equal(status->business.takeover.pid, first);
	assert_int_equal(
		status->business.takeover.after_death, RF_LEASE_OWNER_DIED);
	assert_true(status->business.takeover.undone > 0);
	be_forgiven(&(struct end){.in_request = exit_zero});
	assert_int_equal(trial->number, 100); /* of this last one, half done */
	first = start_serving();
	expect_soon(ANN, RF_MSG_ERROR, "CRASHED");
	assert_int_equal(trial->number, 0);
	kill_child(first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAMILY(a_standby_goes_on_however_the_other_ends),
		FAMILY(a_standby_goes_on_when_the_other_leaves),
		FAMILY(a_standby_asked_to_end_does_so_at_once),
		FAMILY(a_standby_touches_all_that_is_backed_and_no_more),
		FAMILY(a_stopped_holder_is_not_robbed),
		FAMILY(a_broken_list_leaves_the_last_word_to_the_supervisor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
