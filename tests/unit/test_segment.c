/* SPDX-License-Identifier: MIT */
/* test_segment.c -- every backend keeps the same promises.
 *
 * Each case runs once for each backend. What only posix segments have, names
 * and locks, is in test_segment_posix.c.
 */
#include "suite.h"
#include <segment.h>
#include <stdio.h>
#include <sys/stat.h>

#define MIB ((size_t)1 << 20)

static struct rf_segment seg;
static char posix_name[40];

static struct rf_segment fresh(enum rf_backend backend)
{
	struct rf_segment made = {
		.backend = backend, .fd = -1, .max_bytes = 64 * MIB};

	snprintf(made.name, sizeof made.name, "%s", posix_name);
	return made;
}

static int make(void **state)
{
	const enum rf_backend *backend = *state;

	seg = fresh(*backend);
	return rf_segment_create(&seg) == 0 ? rf_segment_map(&seg, 0) : -1;
}

static int unmake(void **state)
{
	(void)state;
	rf_segment_unlink(&seg);
	rf_segment_close(&seg);
	return 0;
}

static size_t backed_bytes(void)
{
	struct stat st;

	assert_int_equal(fstat(seg.fd, &st), 0);
	return (size_t)st.st_blocks * 512;
}

/* ---- every backend ---- */

static void backed_memory_is_zero_and_the_rest_takes_none(void **state)
{
	(void)state;
	assert_int_equal(backed_bytes(), 0);
	assert_int_equal(rf_segment_back(&seg, 3 * MIB, MIB), 0);
	assert_int_equal(backed_bytes(), MIB);
	for (size_t i = 0; i < MIB; i++)
		assert_int_equal(seg.base[3 * MIB + i], 0);
	seg.base[3 * MIB] = 7;
	assert_int_equal(rf_segment_back(&seg, 3 * MIB, MIB), 0);
	assert_int_equal(seg.base[3 * MIB], 7);
	assert_int_equal(backed_bytes(), MIB);
}

static void odd_ranges_are_backed_to_whole_pages(void **state)
{
	(void)state;
	assert_int_equal(rf_segment_back(&seg, 4095, 2), 0);
	assert_int_equal(backed_bytes(), 8192);
	assert_int_equal(rf_segment_back(&seg, seg.max_bytes - 1, 1), 0);
	assert_int_equal(backed_bytes(), 12288);
}

static void memory_given_back_is_gone_and_comes_back_zeroed(void **state)
{
	(void)state;
	assert_int_equal(rf_segment_back(&seg, 0, 4 * MIB), 0);
	memset(seg.base, 0xaa, 4 * MIB);
	assert_int_equal(rf_segment_unback(&seg, MIB + 1, 2 * MIB), 0);
	/* Whole pages only: the first and the last one stay. */
	assert_int_equal(backed_bytes(), 2 * MIB + 4096);
	assert_int_equal(seg.base[MIB + 4095], 0xaa);
	assert_int_equal(seg.base[3 * MIB], 0xaa);
	assert_int_equal(rf_segment_back(&seg, MIB, 2 * MIB), 0);
	for (size_t i = MIB + 4096; i < 3 * MIB; i++)
		assert_int_equal(seg.base[i], 0);
	assert_int_equal(rf_segment_unback(&seg, 5, 4090), 0);
	assert_int_equal(seg.base[5], 0xaa);
}

static int read_after_growth(void *pipe_end)
{
	char go;

	if (read(*(int *)pipe_end, &go, 1) != 1)
		return 1;
	return seg.base[40 * MIB] == 42 ? 0 : 2;
}

static void growth_is_seen_by_a_child_forked_before_it(void **state)
{
	int ends[2];
	pid_t child;

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	child = fork_child(read_after_growth, &ends[0]);
	assert_int_equal(rf_segment_back(&seg, 40 * MIB, MIB), 0);
	seg.base[40 * MIB] = 42;
	assert_int_equal(write(ends[1], "", 1), 1);
	assert_int_equal(wait_child(child), 0);
	close(ends[0]);
	close(ends[1]);
}

static int grow_far(void *unused)
{
	(void)unused;
	if (rf_segment_back(&seg, 50 * MIB, MIB) != 0)
		return 1;
	seg.base[50 * MIB] = 43;
	return 0;
}

static void growth_by_a_child_is_seen_by_its_parent(void **state)
{
	(void)state;
	assert_int_equal(run_child(grow_far, NULL), 0);
	assert_int_equal(seg.base[50 * MIB], 43);
}

static void a_taken_address_is_refused(void **state)
{
	struct rf_segment other = fresh(RF_BACKEND_MEMFD);

	(void)state;
	assert_int_equal(rf_segment_create(&other), 0);
	assert_int_equal(
		rf_segment_map(&other, (uint64_t)seg.base + MIB), -EEXIST);
	assert_null(other.base);
	rf_segment_close(&other);
}

static void it_maps_at_the_arena_base(void **state)
{
	struct rf_segment other = fresh(RF_BACKEND_MEMFD);

	(void)state;
	assert_int_equal(rf_segment_create(&other), 0);
	assert_int_equal(rf_segment_map(&other, RF_ARENA_BASE), 0);
	assert_true((uint64_t)other.base == RF_ARENA_BASE);
	rf_segment_close(&other);
}

static void only_what_is_backed_goes_into_core_dumps(void **state)
{
	(void)state;
	seg.core_include = true;
	assert_true(has_vm_flag(seg.base, " dd"));
	assert_int_equal(rf_segment_back(&seg, 0, MIB), 0);
	assert_false(has_vm_flag(seg.base, " dd"));
	assert_true(has_vm_flag(seg.base + MIB, " dd"));
	assert_int_equal(rf_segment_unback(&seg, 0, MIB), 0);
	assert_true(has_vm_flag(seg.base, " dd"));
}

static void nothing_goes_into_core_dumps_unless_asked_for(void **state)
{
	(void)state;
	assert_int_equal(rf_segment_back(&seg, 0, MIB), 0);
	assert_true(has_vm_flag(seg.base, " dd"));
}

static int inherit_what_a_sibling_backed(void *unused)
{
	(void)unused;
	if (!has_vm_flag(seg.base + 8 * MIB, " dd"))
		return 1;
	if (rf_segment_inherit(&seg, 8 * MIB, MIB) != 0)
		return 2;
	return has_vm_flag(seg.base + 8 * MIB, " dd") ? 3 : 0;
}

static int back_in_a_child(void *unused)
{
	(void)unused;
	return rf_segment_back(&seg, 8 * MIB, MIB) != 0;
}

static void a_child_inherits_settings_for_what_another_backed(void **state)
{
	(void)state;
	seg.core_include = true;
	assert_int_equal(run_child(back_in_a_child, NULL), 0);
	assert_int_equal(run_child(inherit_what_a_sibling_backed, NULL), 0);
}

static void huge_pages_are_advised_for_all_of_it(void **state)
{
	const enum rf_backend *backend = *state;
	struct rf_segment other = fresh(*backend);

	snprintf(other.name, sizeof other.name, "%.32s-huge", posix_name);
	other.huge_advise = true;
	assert_int_equal(rf_segment_create(&other), 0);
	assert_int_equal(rf_segment_map(&other, 0), 0);
	assert_true(has_vm_flag(other.base, " hg"));
	assert_true(has_vm_flag(other.base + other.max_bytes - 1, " hg"));
	rf_segment_unlink(&other);
	rf_segment_close(&other);
}

static void locked_memory_is_locked_when_backed(void **state)
{
	(void)state;
	seg.lock_memory = true;
	if (rf_segment_back(&seg, 0, 65536) != 0)
		skip(); /* RLIMIT_MEMLOCK */
	assert_true(has_vm_flag(seg.base, " lo"));
	assert_false(has_vm_flag(seg.base + 65536, " lo"));
}

/* The kernel says EFAULT where this process would get a SIGSEGV. */
static bool is_readable(const void *at)
{
	int ends[2];
	bool readable;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	readable = write(ends[1], at, 1) == 1;
	assert_true(readable || errno == EFAULT);
	close(ends[0]);
	close(ends[1]);
	return readable;
}

static int reopen(void *unused)
{
	(void)unused;
	return rf_segment_protect(&seg, true) == 0 && seg.base[0] == 9 ? 0 : 1;
}

static void protected_memory_is_closed_until_a_child_opens_it(void **state)
{
	(void)state;
	assert_int_equal(rf_segment_back(&seg, 0, MIB), 0);
	seg.base[0] = 9;
	assert_int_equal(rf_segment_protect(&seg, false), 0);
	assert_false(is_readable(seg.base));
	assert_int_equal(run_child(reopen, NULL), 0);
	assert_false(is_readable(seg.base));
	assert_int_equal(rf_segment_protect(&seg, true), 0);
	assert_true(is_readable(seg.base));
}

static size_t open_descriptors(void)
{
	size_t count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void closing_leaves_nothing_open(void **state)
{
	const enum rf_backend *backend = *state;
	size_t before = open_descriptors();
	struct rf_segment other = fresh(*backend);
	uint8_t *base;

	snprintf(other.name, sizeof other.name, "%.32s-other", posix_name);
	assert_int_equal(rf_segment_create(&other), 0);
	assert_int_equal(rf_segment_map(&other, 0), 0);
	base = other.base;
	assert_int_equal(rf_segment_unlink(&other), 0);
	rf_segment_close(&other);
	assert_int_equal(open_descriptors(), before);
	assert_null(other.base);
	assert_int_equal(msync(base, 4096, MS_ASYNC), -1); /* not mapped */
	rf_segment_close(&other);			   /* may be repeated */
}

static void a_file_too_long_for_the_system_is_an_error(void **state)
{
	const enum rf_backend *backend = *state;
	size_t before = open_descriptors();
	struct rf_segment other = fresh(*backend);

	snprintf(other.name, sizeof other.name, "%.32s-long", posix_name);
	other.max_bytes = (size_t)INT64_MAX + 1; /* a negative off_t */
	assert_int_equal(rf_segment_create(&other), -EINVAL);
	assert_int_equal(open_descriptors(), before);
	other.max_bytes = MIB; /* and no name is left behind */
	assert_int_equal(rf_segment_create(&other), 0);
	rf_segment_unlink(&other);
	rf_segment_close(&other);
}

/* ---- a broken caller ---- */

static int back_beyond_the_end(void *unused)
{
	(void)unused;
	return rf_segment_back(&seg, seg.max_bytes - 4096, 8192);
}

static void backing_beyond_the_end_is_a_broken_caller(void **state)
{
	(void)state;
	assert_int_equal(
		signal_of(run_child(back_beyond_the_end, NULL)), SIGABRT);
}

static enum rf_backend posix = RF_BACKEND_POSIX, memfd = RF_BACKEND_MEMFD;

#define BACKENDS(name)                                                         \
	{"posix_" #name, name, make, unmake, &posix},                          \
	{                                                                      \
		"memfd_" #name, name, make, unmake, &memfd                     \
	}
int main(void)
{
	const struct CMUnitTest tests[] = {
		BACKENDS(backed_memory_is_zero_and_the_rest_takes_none),
		BACKENDS(odd_ranges_are_backed_to_whole_pages),
		BACKENDS(memory_given_back_is_gone_and_comes_back_zeroed),
		BACKENDS(growth_is_seen_by_a_child_forked_before_it),
		BACKENDS(growth_by_a_child_is_seen_by_its_parent),
		BACKENDS(a_taken_address_is_refused),
		BACKENDS(it_maps_at_the_arena_base),
		BACKENDS(only_what_is_backed_goes_into_core_dumps),
		BACKENDS(nothing_goes_into_core_dumps_unless_asked_for),
		BACKENDS(a_child_inherits_settings_for_what_another_backed),
		BACKENDS(huge_pages_are_advised_for_all_of_it),
		BACKENDS(locked_memory_is_locked_when_backed),
		BACKENDS(protected_memory_is_closed_until_a_child_opens_it),
		BACKENDS(closing_leaves_nothing_open),
		BACKENDS(a_file_too_long_for_the_system_is_an_error),
		BACKENDS(backing_beyond_the_end_is_a_broken_caller),
	};

	snprintf(posix_name, sizeof posix_name, "/refork-unit-%d",
		(int)getpid());
	return cmocka_run_group_tests(tests, NULL, NULL);
}
