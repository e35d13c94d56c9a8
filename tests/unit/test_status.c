/* SPDX-License-Identifier: MIT */
/* test_status.c -- the status segment between one daemon and the next. */
#include "suite.h"
#include <refork/log.h>
#include <sched.h>
#include <status.h>
#include <sys/mount.h>
#include <sys/stat.h>

static char name[32]; /* of the service */
static struct rf_segment seg;
static struct rf_status_shm *status;

static int open_status(void)
{
	seg.backend = RF_BACKEND_POSIX;
	return rf_status_open(&seg, name, 0, &status);
}

static int set_up(void **state)
{
	(void)state;
	rf_log_set_level(RF_LOG_ERROR);
	snprintf(name, sizeof name, "unit-%d", (int)getpid());
	return open_status();
}

static int tear_down(void **state)
{
	(void)state;
	rf_status_close(&seg, false);
	return 0;
}

static int stands(void)
{
	struct stat st;
	char path[128];

	snprintf(path, sizeof path, "/dev/shm%s", seg.name);
	return stat(path, &st) == 0;
}

static void a_new_daemon_finds_the_crash_records_and_nothing_else(void **state)
{
	(void)state;
	status->supervisor.crashes = 5;
	status->business.serving_pid = 99;
	status->scenes[7].complete = 99;
	status->crashes.last_id = 6;
	status->crashes.records[6].id = 6;
	rf_status_close(&seg, true);
	assert_int_equal(open_status(), 0);
	assert_int_equal(status->supervisor.crashes, 0);
	assert_int_equal(status->business.serving_pid, 0);
	assert_int_equal(status->scenes[7].complete, 0);
	assert_int_equal(status->crashes.last_id, 6);
	assert_int_equal(status->crashes.records[6].id, 6);
}

static void one_of_another_format_is_made_anew(void **state)
{
	(void)state;
	status->crashes.last_id = 6;
	status->format++;
	rf_status_close(&seg, true);
	assert_int_equal(open_status(), 0);
	assert_int_equal(status->crashes.last_id, 0);
	assert_int_equal(status->format, RF_STATUS_FORMAT);
}

static void one_of_another_size_is_made_anew(void **state)
{
	static const off_t sizes[] = {0, 1, 4096, 64 << 20};

	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		status->crashes.last_id = 6;
		assert_int_equal(ftruncate(seg.fd, sizes[i]), 0);
		rf_status_close(&seg, true);
		assert_int_equal(open_status(), 0);
		assert_int_equal(status->crashes.last_id, 0);
	}
}

static void the_name_goes_at_a_planned_end(void **state)
{
	(void)state;
	assert_true(stands());
	rf_status_close(&seg, false);
	assert_false(stands());
	assert_int_equal(open_status(), 0);
}

/* Its daemon lives as long as one of its processes does. */
static int live(void *arg)
{
	(void)arg;
	close(seg.fd);
	pause();
	return 0;
}

static void one_that_is_lived_in_is_not_taken(void **state)
{
	pid_t pid = fork_child(live, NULL);

	(void)state;
	rf_segment_close(&seg);
	assert_int_equal(open_status(), -EWOULDBLOCK);
	assert_true(stands());
	kill_child(pid);
	assert_int_equal(open_status(), 0);
}

static int open_in_a_full_tmpfs(void *arg)
{
	(void)arg;
	if (unshare(CLONE_NEWNS) ||
		mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		mount("tmpfs", "/dev/shm", "tmpfs", 0, "size=1m"))
		return CHILD_CANNOT;
	return open_status() == -ENOSPC && !stands() ? 0 : 1;
}

static void no_room_is_an_error_at_the_start(void **state)
{
	int code = exit_of(run_child(open_in_a_full_tmpfs, NULL));

	(void)state;
	if (code == CHILD_CANNOT)
		skip();
	assert_int_equal(code, 0);
}

static void a_memfd_needs_no_name(void **state)
{
	(void)state;
	rf_status_close(&seg, false);
	seg.backend = RF_BACKEND_MEMFD;
	assert_int_equal(rf_status_open(&seg, name, 0, &status), 0);
	assert_false(stands());
	assert_int_equal(status->crashes.last_id, 0);
}

static int kept = -1;

/* A memfd with six crash records, which nobody has but the keeper. */
static void keep_one(void)
{
	rf_status_close(&seg, false);
	seg.backend = RF_BACKEND_MEMFD;
	assert_int_equal(rf_status_open(&seg, name, 0, &status), 0);
	status->supervisor.crashes = 5;
	status->crashes.last_id = 6;
	assert_int_equal(rf_segment_share(&seg, &kept), 0);
}

static void one_that_was_kept_is_taken_over_as_a_named_one_is(void **state)
{
	(void)state;
	keep_one();
	rf_status_close(&seg, true);
	assert_int_equal(rf_status_adopt(&seg, name, kept, 0, &status), 0);
	assert_int_equal(status->supervisor.crashes, 0);
	assert_int_equal(status->crashes.last_id, 6);
	close(kept);
}

static void one_that_was_kept_and_is_lived_in_is_not_taken(void **state)
{
	struct rf_status_shm *mine = NULL;
	struct rf_segment again;

	(void)state;
	keep_one();
	assert_int_equal(
		rf_status_adopt(&again, name, kept, 0, &mine), -EWOULDBLOCK);
	assert_null(mine);
	assert_int_equal(status->crashes.last_id, 6);
	close(kept);
}

static void one_that_was_kept_and_does_not_fit_is_left_as_it_is(void **state)
{
	struct rf_segment other = {.backend = RF_BACKEND_MEMFD,
		.max_bytes = 4096,
		.name = "/refork-unit-other"};
	int fd;

	(void)state;
	keep_one();
	status->format++;
	rf_status_close(&seg, true);
	assert_int_equal(
		rf_status_adopt(&seg, name, kept, 0, &status), -EBADMSG);
	assert_int_equal(seg.fd, -1);
	close(kept);
	assert_int_equal(rf_segment_create(&other), 0);
	assert_int_equal(rf_segment_share(&other, &fd), 0);
	rf_segment_close(&other);
	assert_int_equal(rf_status_adopt(&seg, name, fd, 0, &status), -EBADMSG);
	close(fd);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_new_daemon_finds_the_crash_records_and_nothing_else),
		TEST(one_of_another_format_is_made_anew),
		TEST(one_of_another_size_is_made_anew),
		TEST(the_name_goes_at_a_planned_end),
		TEST(one_that_is_lived_in_is_not_taken),
		TEST(no_room_is_an_error_at_the_start),
		TEST(a_memfd_needs_no_name),
		TEST(one_that_was_kept_is_taken_over_as_a_named_one_is),
		TEST(one_that_was_kept_and_is_lived_in_is_not_taken),
		TEST(one_that_was_kept_and_does_not_fit_is_left_as_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
