/* SPDX-License-Identifier: MIT */
/* test_daemon_memory.c -- an arena that others make and remove meanwhile. */
#define rf_segment_open open_meanwhile /* of the daemon's files alone */
#include "arena_daemon.h"
#undef rf_segment_open

#include "load_conf.h" /* last: it has names of its own */

int rf_segment_open(struct rf_segment *seg, int wait_ms);

static struct service service = {.conf = &conf, .lib.worker.name = "trial"};
static int removals, removed;

/* Somebody removes what stands between our two looks at it. */
int open_meanwhile(struct rf_segment *seg, int wait_ms)
{
	if (removed < removals) {
		removed++;
		rf_segment_unlink(seg);
	}
	return rf_segment_open(seg, wait_ms);
}

static int begin(void **unused)
{
	char text[128];

	(void)unused;
	snprintf(text, sizeof(text),
		"[refork]\nname = memory%d\n[arena]\nsize = 16M\n"
		"max = 16M\n",
		getpid());
	load(text);
	rf_log_set_level(RF_LOG_ERROR);
	memory_plan_arena(&service);
	removed = 0;
	return rf_segment_create(&service.arena);
}

static int end(void **unused)
{
	(void)unused;
	rf_segment_unlink(&service.arena);
	rf_segment_close(&service.arena);
	return 0;
}

static void what_is_removed_while_it_is_opened_is_made_anew(void **unused)
{
	struct fault fault = {0};

	(void)unused;
	rf_segment_close(&service.arena);
	removals = 1;
	assert_int_equal(open_once(&service, &fault), 0);
	assert_int_equal(removed, 1);
	assert_false(service.arena_adopted);
	assert_int_equal(service.arena.max_bytes,
		rf_arena_segment_bytes(&service.arena_conf));
	assert_non_null(service.arena.base);
}

static void what_was_never_finished_is_made_anew(void **unused)
{
	struct fault fault = {0};

	(void)unused;
	rf_segment_close(&service.arena);
	removals = 0;
	assert_int_equal(open_segment(&service, &fault), 0);
	assert_false(service.arena_adopted);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_removed_while_it_is_opened_is_made_anew),
		TEST(what_was_never_finished_is_made_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
