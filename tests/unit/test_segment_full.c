/* SPDX-License-Identifier: MIT */
/* test_segment_full.c -- no memory is an error code, and never a signal.
 *
 * Each kind runs out of what it lives on: a small tmpfs, a small pool of huge
 * pages, the limits of System V, a kernel that has no page to give.
 */
#include "segment_stage.h"
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>

static const struct kind *full_kind;
static struct rf_segment mine;

static bool no_more_pages;

/* Of the C library: a machine without memory is not to be had for a test. */
int madvise(void *at, size_t bytes, int advice)
{
	if (no_more_pages && advice == 23) { /* MADV_POPULATE_WRITE */
		errno = EFAULT;
		return -1;
	}
	return (int)syscall(SYS_madvise, at, bytes, advice);
}

/* The first half of 1 MiB is had, another MiB is not. */
static int fill(size_t unit, int wanted)
{
	mine = fresh(full_kind, "-full");
	if (rf_segment_create(&mine) != 0 || rf_segment_map(&mine, 0) != 0)
		return 1;
	if (rf_segment_back(&mine, 0, unit) != 0)
		return 2;
	memset(mine.base, 1, unit);
	if (rf_segment_back(&mine, 8 * MIB, 8 * unit) != wanted)
		return 3;
	/* The failure has harmed nothing. */
	if (!is_filled(mine.base, unit, 1))
		return 4;
	if (rf_segment_unback(&mine, 8 * MIB, 8 * unit) != 0)
		return 5;
	if (rf_segment_back(&mine, 32 * MIB, unit) != 0)
		return 6;
	memset(mine.base + 32 * MIB, 2, unit);
	if (rf_segment_unback(&mine, 0, unit) != 0 ||
		rf_segment_back(&mine, 48 * MIB, unit) != 0)
		return 7;
	memset(mine.base + 48 * MIB, 3, unit);
	return 0;
}

/* All at once, where there is not enough: nothing is left. */
static int reserve_too_much(void)
{
	struct rf_segment_owner owner;
	int error;

	mine = fresh(full_kind, "-all");
	mine.reserve = true;
	error = rf_segment_create(&mine);
	if (error != -ENOSPC && error != -ENOMEM)
		return 10;
	if (mine.fd >= 0)
		return 11;
	if (full_kind->backend != RF_BACKEND_MEMFD &&
		rf_segment_owner(&mine, &owner) != -ENOENT)
		return 12;
	return 0;
}

static int finish(int result)
{
	rf_segment_unlink(&mine);
	rf_segment_close(&mine);
	return result != 0 ? result : reserve_too_much();
}

static void run(int (*body)(void *))
{
	int status = run_child(body, NULL);

	if (exit_of(status) == CHILD_CANNOT) {
		print_message("no namespace of its own: not permitted\n");
		skip();
	}
	assert_int_equal(status, 0);
}

/* In a mount namespace of its own; the folder for files is the same place. */
static int in_a_small_tmpfs(void *unused)
{
	(void)unused;
	if (unshare(CLONE_NEWNS) != 0 ||
		mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
		mount("none", "/dev/shm", "tmpfs", 0, "size=1m") != 0 ||
		mount("/dev/shm", stage_dir, NULL, MS_BIND, NULL) != 0)
		return CHILD_CANNOT;
	return finish(fill(MIB / 4, -ENOSPC));
}

static void a_full_tmpfs_is_an_error_code(void **state)
{
	full_kind = the_kind(state);
	run(in_a_small_tmpfs);
}

static int without_fallocate(void *unused)
{
	struct rf_segment_owner owner;

	(void)unused;
	if (unshare(CLONE_NEWNS) != 0 ||
		mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
		mount("none", stage_dir, "ramfs", 0, NULL) != 0)
		return CHILD_CANNOT;
	mine = fresh(full_kind, "-ram");
	if (rf_segment_create(&mine) != -EOPNOTSUPP)
		return 1;
	return rf_segment_owner(&mine, &owner) == -ENOENT ? 0 : 2;
}

static void a_file_system_without_fallocate_is_refused_at_once(void **state)
{
	full_kind = the_kind(state);
	run(without_fallocate);
}

static int in_a_small_pool(void *unused)
{
	int result;

	(void)unused;
	result = fill(2 * MIB,
		full_kind->backend == RF_BACKEND_SYSV ? -ENOMEM : -ENOSPC);
	return finish(result);
}

static void an_empty_pool_of_huge_pages_is_an_error_code(void **state)
{
	char before[32] = "";
	FILE *info;
	char line[128];
	int idle = 0;

	full_kind = the_kind(state);
	unmake(state);
	info = fopen("/proc/meminfo", "re");
	while (info != NULL && fgets(line, sizeof line, info) != NULL)
		if (sscanf(line, "HugePages_Total: %d", &idle) == 1)
			break;
	if (info != NULL)
		fclose(info);
	if (idle > 0) { /* it is somebody's: not ours to empty */
		print_message("the pool of huge pages is in use\n");
		skip();
	}
	assert_true(pread(pool_fd, before, sizeof before - 1, 0) > 0);
	assert_true(pool_write("3\n"));
	run(in_a_small_pool);
	assert_true(pool_write(before));
}

static int without_pages(void *unused)
{
	(void)unused;
	mine = fresh(full_kind, "-full");
	if (rf_segment_create(&mine) != 0 || rf_segment_map(&mine, 0) != 0 ||
		rf_segment_back(&mine, 0, MIB) != 0)
		return 1;
	memset(mine.base, 1, MIB);
	no_more_pages = true;
	if (rf_segment_back(&mine, 8 * MIB, MIB) != -ENOMEM)
		return 2;
	if (!is_filled(mine.base, MIB, 1))
		return 3;
	rf_segment_unlink(&mine);
	rf_segment_close(&mine);
	return reserve_too_much();
}

static void no_pages_are_an_error_code(void **state)
{
	full_kind = the_kind(state);
	run(without_pages);
}

static bool set_limit(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool set = fd >= 0 && write(fd, text, strlen(text)) > 0;

	close(fd);
	return set;
}

/* These limits are the namespace's own. */
static int within_limits(void *unused)
{
	struct rf_segment_owner owner;

	(void)unused;
	if (unshare(CLONE_NEWIPC) != 0 ||
		!set_limit("/proc/sys/kernel/shmmax", "1048576"))
		return CHILD_CANNOT;
	mine = fresh(full_kind, "-limit");
	if (rf_segment_create(&mine) != -EINVAL)
		return 1;
	if (!set_limit("/proc/sys/kernel/shmmax", "1073741824") ||
		!set_limit("/proc/sys/kernel/shmall", "256"))
		return CHILD_CANNOT;
	if (rf_segment_create(&mine) != -ENOSPC)
		return 2;
	if (!set_limit("/proc/sys/kernel/shmall", "1000000") ||
		!set_limit("/proc/sys/kernel/shmmni", "0"))
		return CHILD_CANNOT;
	if (rf_segment_create(&mine) != -ENOSPC || mine.fd >= 0)
		return 3;
	if (rf_segment_owner(&mine, &owner) != -ENOENT)
		return 4;
	return access(mine.path, F_OK) == 0 ? 5 : 0;
}

static void the_limits_of_system_v_are_error_codes(void **state)
{
	full_kind = the_kind(state);
	run(within_limits);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(a_full_tmpfs_is_an_error_code, posix),
		EACH(a_full_tmpfs_is_an_error_code, file),
		EACH(a_file_system_without_fallocate_is_refused_at_once, file),
		EACH(an_empty_pool_of_huge_pages_is_an_error_code, memfd_huge),
		EACH(an_empty_pool_of_huge_pages_is_an_error_code, sysv_huge),
		EACH(no_pages_are_an_error_code, sysv),
		EACH(the_limits_of_system_v_are_error_codes, sysv),
	};

	return cmocka_run_group_tests(tests, stage_open, stage_close);
}
