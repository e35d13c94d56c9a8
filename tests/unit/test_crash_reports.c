/* SPDX-License-Identifier: MIT */
/* test_crash_reports.c -- the processes that complete crash records. */
#include "crash_stage.h"

#include "daemon/records/ring.h"

#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>

#define WAIT_MS 30000
static int64_t deadline_ms;

static void stop_when_complete(struct ev_loop *on, ev_timer *w, int events)
{
	const struct rf_crash *r =
		ring_find(&service.status->crashes, *(uint64_t *)w->data);

	(void)events;
	if (r->text_complete || rf_monotonic_ms() > deadline_ms)
		ev_break(on, EVBREAK_ALL);
}

static void await_report(uint64_t id)
{
	ev_timer poll;

	ev_timer_init(&poll, stop_when_complete, 0.01, 0.01);
	poll.data = &id;
	deadline_ms = rf_monotonic_ms() + WAIT_MS;
	ev_timer_start(loop, &poll);
	ev_run(loop, 0);
	ev_timer_stop(loop, &poll);
	assert_int_equal(
		ring_find(&service.status->crashes, id)->text_complete, 1);
}

static void crash_here(pid_t pid)
{
	set_scene(pid);
	scene->pc = (uint64_t)&crash_here + 4;
#ifdef __x86_64__
	scene->registers[16] = scene->pc;
#endif
	crash(pid);
}

static void a_process_adds_the_backtrace(void **unused)
{
	(void)unused;
	crash_here(9);
	await_report(1);
	check(show(1, REPORT_TEXT), " crash_here+0x4 (tests/unit/");
	check(show(1, REPORT_JSON), "\"backtrace\": \"#0  0x");
	check(list(REPORT_TEXT), "crash_here+0x4 (");
	/* As it was at first; it may have been faster than a look at it. */
	ring_slot(&service.status->crashes, 1)->text_complete = 0;
	check(show(1, REPORT_TEXT), "(not made yet)");
}

static void every_record_of_a_burst_becomes_complete(void **unused)
{
	(void)unused;
	for (pid_t pid = 1; pid <= 20; pid++)
		crash_here(pid);
	for (uint64_t id = 1; id <= 20; id++)
		await_report(id);
	check(show(8, REPORT_TEXT), " crash_here+0x4");
}

static bool is_kept(const struct rf_crash_ring *before, uint64_t id)
{
	static struct rf_crash_ring kept;

	memset(&kept, 0, sizeof(kept));
	return ring_file_load(service.conf, &kept) == 0 &&
	       ring_find(&kept, id) &&
	       !memcmp(ring_find(&kept, id), ring_find(before, id),
		       sizeof(struct rf_crash));
}

/* As a power cut would leave it: nothing is closed. */
static void await_file(uint64_t id)
{
	int64_t until_ms = rf_monotonic_ms() + WAIT_MS;

	while (!is_kept(&service.status->crashes, id)) {
		assert_true(rf_monotonic_ms() < until_ms);
		ev_run(loop, EVRUN_NOWAIT);
		usleep(10000);
	}
}

static void a_complete_record_is_brought_to_the_disk(void **unused)
{
	(void)unused;
	crash_here(9);
	await_file(1);
	crash_here(10);
	crash_here(11);
	await_file(3);
	assert_true(is_kept(&service.status->crashes, 1));
	assert_true(is_kept(&service.status->crashes, 2));
}

static void so_is_a_brief_one(void **unused)
{
	(void)unused;
	service.conf->crash.report = CONF_REPORT_BRIEF;
	crash_here(9);
	await_file(1);
}

/* Held from its first moment on: it cannot be done before it is killed. */
static bool held;

static void stop_if_held(void)
{
	if (held)
		raise(SIGSTOP);
}

static void crash_here_held(pid_t pid)
{
	held = true;
	crash_here(pid);
	held = false;
}

static void kill_reporter(void)
{
	char path[64];
	FILE *children;
	pid_t pid = 0;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	children = fopen(path, "re");
	assert_non_null(children);
	assert_int_equal(fscanf(children, "%d", &pid), 1);
	fclose(children);
	kill(pid, SIGKILL);
}

static void a_killed_reporter_leaves_a_complete_record(void **unused)
{
	(void)unused;
	crash_here_held(9);
	kill_reporter();
	await_report(1);
	check(show(1, REPORT_TEXT),
		"(no backtrace: the reporting process: killed by SIGKILL)");
}

/* The segment is mapped by every child. */
static void what_a_mad_child_writes_over_a_record_is_no_harm(void **unused)
{
	struct rf_crash_ring *ring = &service.status->crashes;

	(void)unused;
	crash_here(9);
	crash_here(10);
	await_report(1);
	await_report(2);
	memset(ring_slot(ring, 1), 0xaa, sizeof(struct rf_crash));
	ring_slot(ring, 1)->id = 1;
	memset(ring_slot(ring, 2)->text, 'x', RF_CRASH_TEXT_BYTES);
	check(list(REPORT_TEXT), "     2  ");
	assert_null(strstr(said, "     1  "));
	ring->last_id = UINT64_MAX;
	list(REPORT_JSON);
	ring->last_id = 2;
}

/* ---- on_crash_exec ---- */

/* A program that leaves what it was given in a file. */
static void write_program(char script[64], char got[64])
{
	FILE *file;

	snprintf(script, 64, "%s/hook", dir);
	snprintf(got, 64, "%s/got", dir);
	file = fopen(script, "w");
	fprintf(file,
		"#!/bin/sh\necho $REFORK_NAME $REFORK_CRASH_ID $# > %s.new\n"
		"cat >> %s.new; mv %s.new %s\n",
		got, got, got, got);
	fclose(file);
	chmod(script, 0700);
	snprintf(
		service.conf->crash.on_crash_exec, CONF_TEXT_MAX, "%s", script);
}

static void check_program(const char *script, const char *got)
{
	FILE *file = fopen(got, "r");
	size_t n;

	assert_non_null(file);
	n = fread(said, 1, sizeof(said) - 1, file);
	said[n] = 0;
	fclose(file);
	unlink(script);
	unlink(got);
	check(said, "unit 1 0\n{\"schema\": 1, \"id\": 1, ");
}

static void the_program_gets_the_record(void **unused)
{
	char script[64], got[64];

	(void)unused;
	write_program(script, got);
	crash_here(9);
	restart_fresh(); /* waits for it */
	check_program(script, got);
	check(said, "crash_here+0x4");
}

static void the_program_is_run_even_when_the_reporter_was_killed(void **unused)
{
	char script[64], got[64];

	(void)unused;
	write_program(script, got);
	crash_here_held(9);
	kill_reporter();
	await_report(1);
	restart_fresh();
	check_program(script, got);
	check(said, "(no backtrace: the reporting process: killed by");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_process_adds_the_backtrace),
		TEST(a_complete_record_is_brought_to_the_disk),
		TEST(so_is_a_brief_one),
		TEST(every_record_of_a_burst_becomes_complete),
		TEST(a_killed_reporter_leaves_a_complete_record),
		TEST(what_a_mad_child_writes_over_a_record_is_no_harm),
		TEST(the_program_gets_the_record),
		TEST(the_program_is_run_even_when_the_reporter_was_killed),
	};

	pthread_atfork(NULL, NULL, stop_if_held);
	return RUN_TESTS(tests);
}
