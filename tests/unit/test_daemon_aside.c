/* SPDX-License-Identifier: MIT */
/* test_daemon_aside.c -- what is kept of an arena that is given up. */
#include "arena_daemon.h"

#include "load_conf.h" /* last: it has names of its own */

#include <glob.h>

static struct service service = {.conf = &conf, .lib.worker.name = "trial"};

/* The files of our arena, and of others that begin with its name. */
static size_t count_of(const char *suffix)
{
	char pattern[128];
	glob_t found;
	size_t count;

	snprintf(pattern, sizeof(pattern), SEGMENT_DIR "%s%s",
		service.arena.name, suffix);
	count = glob(pattern, 0, NULL, &found) ? 0 : found.gl_pathc;
	globfree(&found);
	return count;
}

static void touch(const char *suffix)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), SEGMENT_DIR "%s%s", service.arena.name,
		suffix);
	file = fopen(path, "we");
	assert_non_null(file);
	fclose(file);
}

static int begin(void **unused)
{
	char text[128];

	(void)unused;
	snprintf(text, sizeof(text),
		"[refork]\nname = aside%d\n[arena]\nsize = 16M\n", getpid());
	load(text);
	rf_log_set_level(RF_LOG_ERROR);
	memory_plan_arena(&service);
	service.arena.max_bytes = 1 << 20;
	return rf_segment_create(&service.arena);
}

static int end(void **unused)
{
	char pattern[128];
	glob_t found;

	(void)unused;
	snprintf(pattern, sizeof(pattern), SEGMENT_DIR "%s*",
		service.arena.name);
	if (!glob(pattern, 0, NULL, &found))
		for (size_t i = 0; i < found.gl_pathc; i++)
			unlink(found.gl_pathv[i]);
	globfree(&found);
	return 0;
}

static void its_content_is_kept_under_another_name(void **unused)
{
	(void)unused;
	aside_put(&service);
	assert_int_equal(count_of(""), 0);
	assert_int_equal(count_of(".aside-*"), 1);
	assert_int_equal(service.arena.fd, -1);
}

static void earlier_ones_stay(void **unused)
{
	(void)unused;
	touch(".aside-20200101000000");
	touch(".aside-20200101000001");
	assert_int_equal(aside_count(&service), 2);
	aside_put(&service);
	assert_int_equal(count_of(".aside-*"), 3);
}

/* The first is the one that was served longest. */
static void the_newest_of_three_makes_room(void **unused)
{
	(void)unused;
	touch(".aside-20200101000000");
	touch(".aside-20200101000001");
	touch(".aside-20200101000002");
	aside_put(&service);
	assert_int_equal(count_of(".aside-*"), 3);
	assert_int_equal(count_of(".aside-20200101000000"), 1);
	assert_int_equal(count_of(".aside-20200101000001"), 1);
	assert_int_equal(count_of(".aside-20200101000002"), 0);
}

static void two_within_a_second_are_two(void **unused)
{
	(void)unused;
	aside_put(&service);
	assert_int_equal(rf_segment_create(&service.arena), 0);
	aside_put(&service);
	assert_int_equal(count_of(".aside-*"), 2);
}

static void what_is_not_ours_is_left_alone(void **unused)
{
	(void)unused;
	touch(".aside-by-me");
	touch(".aside-202001010000001");
	touch("2.aside-20200101000000");
	aside_put(&service);
	assert_int_equal(count_of(".aside-by-me"), 1);
	assert_int_equal(count_of(".aside-202001010000001"), 1);
	assert_int_equal(count_of("2.aside-*"), 1);
}

static void going_on_comes_before_keeping(void **unused)
{
	struct statvfs fs;

	(void)unused;
	assert_int_equal(statvfs(SEGMENT_DIR, &fs), 0);
	if (fs.f_blocks == 0 || fs.f_blocks * fs.f_frsize > UINT64_C(120) << 30)
		skip();
	conf.arena.size_bytes = conf.arena.max_bytes = UINT64_C(128) << 30;
	aside_put(&service);
	assert_int_equal(count_of("*"), 0);
}

#define story(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		story(its_content_is_kept_under_another_name),
		story(earlier_ones_stay),
		story(the_newest_of_three_makes_room),
		story(two_within_a_second_are_two),
		story(what_is_not_ours_is_left_alone),
		story(going_on_comes_before_keeping),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
