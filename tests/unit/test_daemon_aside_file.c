/* SPDX-License-Identifier: MIT */
/* test_daemon_aside_file.c -- memory without a name, written to a file. */
#include "daemon/aside_file.c"
#include "daemon/manager/post.c"
#include "daemon/manager/watchdog.c"

#include "file_mark_stage.h"
#include <refork/log.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

static struct rf_segment memory = {
	.fd = -1}; /* the arena; seg is of the file */
static char live[128], path[160], part[160];

static int begin(void **unused)
{
	(void)unused;
	strcpy(dir, "/tmp/refork-unit-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(live, sizeof(live), "%s/arena", dir);
	snprintf(path, sizeof(path), "%s.aside-20260131120000", live);
	snprintf(part, sizeof(part), "%s.part", live);
	memory = (struct rf_segment){.backend = RF_BACKEND_MEMFD,
		.name = "/refork-unit-aside",
		.fd = -1,
		.max_bytes = rf_arena_segment_bytes(&conf)};
	if (rf_segment_create(&memory) ||
		rf_segment_map(&memory, RF_ARENA_BASE) ||
		rf_arena_format(&memory, &conf))
		return -1;
	rf_arena_publish();
	return write_root("in memory");
}

static int end(void **unused)
{
	(void)unused;
	rf_segment_close(&seg);
	rf_segment_close(&memory);
	unlink(path);
	unlink(part);
	unlink(live);
	return rmdir(dir);
}

/* Once nobody has the lease, or the address. */
static int write_out(void)
{
	int rc;

	rf_lease_give();
	rc = aside_file_write(&memory, live, path);
	munmap(memory.base, memory.max_bytes);
	memory.base = NULL;
	return rc;
}

static int start_from_it(void)
{
	if (rename(path, live))
		return -errno;
	return find() ? -1 : adopt();
}

static void a_daemon_can_start_from_it(void **unused)
{
	(void)unused;
	assert_int_equal(write_out(), 0);
	assert_int_equal(access(part, F_OK), -1);
	assert_int_equal(start_from_it(), 0);
	assert_true(root_is("in memory"));
	assert_int_equal(rf_arena_check(), 0);
	leave();
}

static int die_in_a_transaction(void *unused)
{
	(void)unused;
	rf_tx_begin();
	rf_tx_write(root, "half made", 10);
	return strcmp(root, "half made") == 0 ? 0 : 1;
}

static void a_transaction_that_was_open_is_rolled_back_there(void **unused)
{
	(void)unused;
	write_root("before");
	assert_int_equal(run_child(die_in_a_transaction, NULL), 0);
	assert_string_equal(root, "half made");
	assert_int_equal(write_out(), 0);
	assert_int_equal(start_from_it(), 0);
	assert_true(root_is("before"));
	leave();
}

static void it_is_as_it_was_after_a_power_loss(void **unused)
{
	struct rf_mark mark;

	(void)unused;
	assert_int_equal(write_out(), 0);
	seg = named("arena");
	assert_int_equal(rename(path, live), 0);
	assert_int_equal(rf_segment_open(&seg, 0), 0);
	assert_int_equal(
		rf_segment_read(&seg, MARK_OFF, &mark, sizeof(mark)), 0);
	assert_int_equal(mark.closed, 1); /* of whatever run of the machine */
}

static void it_takes_no_more_than_the_memory_does(void **unused)
{
	struct stat in, out;

	(void)unused;
	assert_int_equal(rf_segment_back(&memory, 40 << 12, 1 << 12), 0);
	assert_int_equal(write_out(), 0);
	assert_int_equal(fstat(memory.fd, &in), 0);
	assert_int_equal(stat(path, &out), 0);
	assert_int_equal(in.st_size, out.st_size);
	assert_in_range(out.st_blocks, in.st_blocks, in.st_blocks + 16);
}

static void what_a_dead_one_left_is_no_hindrance(void **unused)
{
	int fd = open(part, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	(void)unused;
	assert_int_equal(write(fd, "half", 4), 4);
	close(fd);
	a_daemon_can_start_from_it(NULL);
}

static void a_copy_of_a_copy_is_known(void **unused)
{
	struct rf_segment file = {.backend = RF_BACKEND_FILE};

	(void)unused;
	assert_int_equal(write_out(), 0);
	file.fd = open(path, O_RDONLY | O_CLOEXEC);
	file.max_bytes = memory.max_bytes;
	assert_true(rf_mark_is_same(&file, &memory));
	assert_int_equal(pwrite(memory.fd, "x", 1,
				 offsetof(struct rf_super, generation)),
		1);
	assert_false(rf_mark_is_same(&file, &memory));
	close(file.fd);
}

static int write_to_a_small_disk(void *unused)
{
	(void)unused;
	if (unshare(CLONE_NEWNS) ||
		mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		mount("tmpfs", dir, "tmpfs", 0, "size=64k"))
		return CHILD_CANNOT;
	return aside_file_write(&memory, live, path) == -ENOSPC &&
			       access(path, F_OK) && access(part, F_OK)
		       ? 0
		       : 1;
}

static void without_room_nothing_is_left(void **unused)
{
	int code = exit_of(run_child(write_to_a_small_disk, NULL));

	(void)unused;
	rf_lease_give();
	if (code == CHILD_CANNOT)
		skip();
	assert_int_equal(code, 0);
}

static void without_the_folder_it_is_an_error(void **unused)
{
	(void)unused;
	rf_lease_give();
	assert_int_equal(aside_file_write(&memory, "/not/there/arena",
				 "/not/there/arena.aside-1"),
		-ENOENT);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_daemon_can_start_from_it),
		TEST(a_transaction_that_was_open_is_rolled_back_there),
		TEST(it_is_as_it_was_after_a_power_loss),
		TEST(it_takes_no_more_than_the_memory_does),
		TEST(what_a_dead_one_left_is_no_hindrance),
		TEST(a_copy_of_a_copy_is_known),
		TEST(without_room_nothing_is_left),
		TEST(without_the_folder_it_is_an_error),
	};

	rf_log_set_level(RF_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
