/* SPDX-License-Identifier: MIT */
/* test_segment_posix.c -- named segments: who may have one; a full tmpfs. */
#include "suite.h"
#include <sched.h>
#include <segment.h>
#include <stdio.h>
#include <sys/mount.h>

#define MIB ((size_t)1 << 20)

static int owner_pid; /* of the name: this process, not its children */
static struct rf_segment seg;

static struct rf_segment fresh(enum rf_backend backend)
{
	struct rf_segment made = {
		.backend = backend, .fd = -1, .max_bytes = 64 * MIB};

	snprintf(made.name, sizeof made.name, "/refork-unit-%d", owner_pid);
	return made;
}

static int set_up(void **state)
{
	(void)state;
	seg = fresh(RF_BACKEND_POSIX);
	return rf_segment_create(&seg) == 0 ? rf_segment_map(&seg, 0) : -1;
}

static int tear_down(void **state)
{
	(void)state;
	rf_segment_unlink(&seg);
	rf_segment_close(&seg);
	return 0;
}

/* ---- names and locks ---- */

static void a_standing_name_is_refused(void **state)
{
	struct rf_segment second = fresh(RF_BACKEND_POSIX);

	(void)state;
	assert_int_equal(rf_segment_create(&second), -EEXIST);
	assert_int_equal(rf_segment_unlink(&seg), 0);
	assert_int_equal(rf_segment_create(&second), 0);
	rf_segment_close(&second);
}

static void a_missing_name_is_not_found(void **state)
{
	struct rf_segment none = fresh(RF_BACKEND_POSIX);

	(void)state;
	assert_int_equal(rf_segment_unlink(&seg), 0);
	assert_int_equal(rf_segment_open(&none, 0), -ENOENT);
	assert_int_equal(rf_segment_unlink(&none), -ENOENT);
	none.backend = RF_BACKEND_MEMFD;
	assert_int_equal(rf_segment_open(&none, 0), -ENOENT);
}

/* As a process that has inherited nothing. */
static int try_to_open(void *wait_ms)
{
	struct rf_segment mine = fresh(RF_BACKEND_POSIX);

	rf_segment_close(&seg);
	mine.max_bytes = 0;
	switch (rf_segment_open(&mine, *(int *)wait_ms)) {
	case 0:
		return mine.max_bytes == seg.max_bytes ? 0 : 4;
	case -EWOULDBLOCK:
		return 1;
	case -ENOENT:
		return 2;
	default:
		return 3;
	}
}

static void a_used_segment_cannot_be_opened_by_another_process(void **state)
{
	int wait_ms = 0;

	(void)state;
	assert_int_equal(exit_of(run_child(try_to_open, &wait_ms)), 1);
	rf_segment_close(&seg);
	assert_int_equal(exit_of(run_child(try_to_open, &wait_ms)), 0);
}

static int hold_the_mapping(void *unused)
{
	(void)unused;
	close(seg.fd); /* the mapping alone must keep the lock */
	pause();
	return 0;
}

static void the_last_mapping_keeps_the_lock_until_its_process_ends(void **state)
{
	int wait_ms = 0;
	pid_t child;

	(void)state;
	child = fork_child(hold_the_mapping, NULL);
	rf_segment_close(&seg);
	assert_int_equal(exit_of(run_child(try_to_open, &wait_ms)), 1);
	kill_child(child);
	assert_int_equal(exit_of(run_child(try_to_open, &wait_ms)), 0);
}

static void opening_waits_for_the_end_of_a_dying_process(void **state)
{
	int wait_ms = 5000;
	pid_t child, opener;

	(void)state;
	child = fork_child(hold_the_mapping, NULL);
	rf_segment_close(&seg);
	opener = fork_child(try_to_open, &wait_ms);
	nap_us(30000);
	assert_int_equal(waitpid(opener, NULL, WNOHANG), 0);
	kill_child(child);
	assert_int_equal(exit_of(wait_child(opener)), 0);
}

static void a_segment_removed_while_waiting_is_not_found(void **state)
{
	int wait_ms = 5000;
	pid_t opener;

	(void)state;
	opener = fork_child(try_to_open, &wait_ms);
	nap_us(30000);
	assert_int_equal(waitpid(opener, NULL, WNOHANG), 0);
	assert_int_equal(rf_segment_unlink(&seg), 0);
	rf_segment_close(&seg);
	assert_int_equal(exit_of(wait_child(opener)), 2);
}

static void what_was_written_stands_for_the_next_opener(void **state)
{
	struct rf_segment again = fresh(RF_BACKEND_POSIX);

	(void)state;
	assert_int_equal(rf_segment_back(&seg, MIB, MIB), 0);
	memcpy(seg.base + MIB, "still here", 11);
	rf_segment_close(&seg);
	again.max_bytes = 0;
	assert_int_equal(rf_segment_open(&again, 0), 0);
	assert_int_equal(again.max_bytes, 64 * MIB);
	assert_int_equal(rf_segment_map(&again, 0), 0);
	assert_string_equal((char *)again.base + MIB, "still here");
	rf_segment_close(&again);
}

/* ---- a full tmpfs ---- */

/* In a mount namespace of its own, with 1 MiB of /dev/shm. */
static int fill_a_small_tmpfs(void *unused)
{
	struct rf_segment mine = fresh(RF_BACKEND_POSIX);

	(void)unused;
	if (unshare(CLONE_NEWNS) != 0 ||
		mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
		mount("none", "/dev/shm", "tmpfs", 0, "size=1m") != 0)
		return CHILD_CANNOT;
	if (rf_segment_create(&mine) != 0 || rf_segment_map(&mine, 0) != 0)
		return 1;
	if (rf_segment_back(&mine, 0, MIB / 2) != 0)
		return 2;
	memset(mine.base, 1, MIB / 2);
	if (rf_segment_back(&mine, MIB, MIB) != -ENOSPC)
		return 3;
	/* The failure has taken nothing and harmed nothing. */
	if (mine.base[MIB / 2 - 1] != 1)
		return 4;
	if (rf_segment_back(&mine, MIB, MIB / 2) != 0)
		return 5;
	memset(mine.base + MIB, 2, MIB / 2);
	if (rf_segment_unback(&mine, 0, MIB / 2) != 0)
		return 6;
	return rf_segment_back(&mine, 4 * MIB, MIB / 2) == 0 ? 0 : 7;
}

static void a_full_tmpfs_is_an_error_code(void **state)
{
	int status = run_child(fill_a_small_tmpfs, NULL);

	(void)state;
	if (exit_of(status) == CHILD_CANNOT) {
		print_message("no mount namespace: not permitted\n");
		skip();
	}
	assert_int_equal(status, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_standing_name_is_refused),
		TEST(a_missing_name_is_not_found),
		TEST(a_used_segment_cannot_be_opened_by_another_process),
		TEST(the_last_mapping_keeps_the_lock_until_its_process_ends),
		TEST(opening_waits_for_the_end_of_a_dying_process),
		TEST(a_segment_removed_while_waiting_is_not_found),
		TEST(what_was_written_stands_for_the_next_opener),
		cmocka_unit_test(a_full_tmpfs_is_an_error_code),
	};

	owner_pid = getpid();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
