/* SPDX-License-Identifier: MIT */
/* test_segment.c -- every backend keeps the same promises about memory.
 *
 * Each case runs once for each kind of segment. Names, keys and locks are in
 * test_segment_names.c, what readers see in test_segment_view.c.
 */
#include "segment_stage.h"

/* ---- backed and given back ---- */

static void backed_memory_is_zero_and_the_rest_takes_none(void **state)
{
	size_t before;

	the_kind(state);
	before = taken_bytes(&seg); /* file: a page that was tried */
	assert_true(before <= 4096);
	assert_int_equal(rf_segment_back(&seg, 4 * MIB, 2 * MIB), 0);
	assert_int_equal(taken_bytes(&seg), before + 2 * MIB);
	assert_true(is_filled(seg.base + 4 * MIB, 2 * MIB, 0));
	seg.base[4 * MIB] = 7;
	assert_int_equal(rf_segment_back(&seg, 4 * MIB, 2 * MIB), 0);
	assert_int_equal(seg.base[4 * MIB], 7);
	assert_int_equal(taken_bytes(&seg), before + 2 * MIB);
}

static void odd_ranges_are_backed_to_whole_pages(void **state)
{
	struct rf_range range;
	size_t before;

	the_kind(state);
	before = taken_bytes(&seg);
	assert_int_equal(rf_segment_back(&seg, 2 * seg.page_bytes - 1, 2), 0);
	assert_int_equal(rf_segment_back(&seg, seg.max_bytes - 1, 1), 0);
	assert_int_equal(taken_bytes(&seg), before + 3 * seg.page_bytes);
	seg.base[seg.page_bytes] = 1;
	seg.base[3 * seg.page_bytes - 1] = 1;
	seg.base[seg.max_bytes - seg.page_bytes] = 1;
	assert_true(rf_segment_next_backed(
		&seg, seg.page_bytes, seg.max_bytes, &range));
	assert_int_equal(range.off, seg.page_bytes);
	if (seg.huge_require) /* the kernel does not tell */
		return;
	assert_int_equal(range.bytes, 2 * seg.page_bytes);
	assert_true(rf_segment_next_backed(
		&seg, 3 * seg.page_bytes, seg.max_bytes, &range));
	assert_int_equal(range.off, seg.max_bytes - seg.page_bytes);
}

static void memory_given_back_is_gone_and_comes_back_zeroed(void **state)
{
	size_t page, before;

	the_kind(state);
	page = seg.page_bytes;
	assert_int_equal(rf_segment_back(&seg, 0, 16 * MIB), 0);
	memset(seg.base, 0xaa, 16 * MIB);
	before = taken_bytes(&seg);
	assert_int_equal(rf_segment_unback(&seg, page + 1, 8 * MIB), 0);
	/* Whole pages only: the first and the last one stay. */
	assert_int_equal(taken_bytes(&seg), before - 8 * MIB + page);
	assert_int_equal(seg.base[2 * page - 1], 0xaa);
	assert_int_equal(seg.base[page + 8 * MIB], 0xaa);
	assert_int_equal(rf_segment_back(&seg, page, 8 * MIB), 0);
	assert_true(is_filled(seg.base + 2 * page, 8 * MIB - page, 0));
	assert_int_equal(rf_segment_unback(&seg, 5, page - 5), 0);
	assert_int_equal(seg.base[5], 0xaa);
}

static void all_is_taken_at_once_when_reserved_and_none_given_back(void **state)
{
	const struct kind *kind = the_kind(state);
	struct rf_segment other = fresh(kind, "-all");

	other.reserve = true;
	other.max_bytes = 8 * MIB;
	assert_int_equal(rf_segment_create(&other), 0);
	assert_int_equal(taken_bytes(&other), 8 * MIB);
	assert_int_equal(rf_segment_map(&other, 0), 0);
	other.base[6 * MIB] = 5;
	assert_int_equal(rf_segment_unback(&other, 0, 8 * MIB), 0);
	assert_int_equal(taken_bytes(&other), 8 * MIB);
	assert_int_equal(other.base[6 * MIB], 5);
	assert_int_equal(rf_segment_unlink(&other), 0);
	rf_segment_close(&other);
}

/* ---- growth ---- */

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

	the_kind(state);
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
	the_kind(state);
	assert_int_equal(run_child(grow_far, NULL), 0);
	assert_int_equal(seg.base[50 * MIB], 43);
}

/* ---- its address ---- */

static void a_taken_address_is_refused(void **state)
{
	struct rf_segment other = fresh(the_kind(state), "-other");

	assert_int_equal(rf_segment_create(&other), 0);
	assert_int_equal(
		rf_segment_map(&other, (uint64_t)seg.base + 2 * MIB), -EEXIST);
	assert_null(other.base);
	assert_int_equal(rf_segment_unlink(&other), 0);
	rf_segment_close(&other);
}

static void it_maps_at_the_arena_base(void **state)
{
	struct rf_segment other = fresh(the_kind(state), "-other");

	assert_int_equal(rf_segment_create(&other), 0);
	assert_int_equal(rf_segment_map(&other, RF_ARENA_BASE), 0);
	assert_true((uint64_t)other.base == RF_ARENA_BASE);
	assert_int_equal(rf_segment_unlink(&other), 0);
	rf_segment_close(&other);
}

/* ---- core dumps ---- */

static bool is_dumped(size_t off)
{
	return !has_vm_flag(seg.base + off, " dd");
}

static void only_what_is_backed_goes_into_core_dumps(void **state)
{
	the_kind(state);
	seg.core_include = true;
	assert_false(is_dumped(0));
	assert_int_equal(rf_segment_back(&seg, 0, 2 * MIB), 0);
	assert_true(is_dumped(0));
	assert_false(is_dumped(2 * MIB));
	assert_int_equal(rf_segment_unback(&seg, 0, 2 * MIB), 0);
	assert_false(is_dumped(0));
}

static void nothing_goes_into_core_dumps_unless_asked_for(void **state)
{
	the_kind(state);
	assert_int_equal(rf_segment_back(&seg, 0, MIB), 0);
	assert_false(is_dumped(0));
	assert_int_equal(rf_segment_inherit(&seg, 0, MIB), 0);
	assert_false(is_dumped(0));
}

static int inherit_what_a_sibling_backed(void *unused)
{
	size_t before = taken_bytes(&seg);

	(void)unused;
	if (is_dumped(8 * MIB))
		return 1;
	if (rf_segment_inherit(&seg, 8 * MIB, 16 * MIB) != 0)
		return 2;
	if (!is_dumped(8 * MIB) || !is_dumped(22 * MIB))
		return 3;
	if (is_dumped(6 * MIB) || is_dumped(24 * MIB))
		return 4;
	if (!seg.huge_require && is_dumped(12 * MIB))
		return 5; /* would be filled */
	return taken_bytes(&seg) == before ? 0 : 6;
}

/* Nobody has touched it: it counts all the same. */
static int back_around_a_hole(void *unused)
{
	(void)unused;
	return rf_segment_back(&seg, 8 * MIB, 16 * MIB) != 0 ||
	       rf_segment_unback(&seg, 10 * MIB, 10 * MIB) != 0;
}

static void a_child_inherits_settings_for_what_another_backed(void **state)
{
	the_kind(state);
	assert_int_equal(run_child(back_around_a_hole, NULL), 0);
	seg.core_include = true; /* as by a reload: the backer did not know */
	assert_int_equal(run_child(inherit_what_a_sibling_backed, NULL), 0);
}

static int inherit_twice(void *unused)
{
	(void)unused;
	if (rf_segment_inherit(&seg, 0, 32 * MIB) != 0 || !is_dumped(14 * MIB))
		return 1;
	if (run_child(back_around_a_hole, NULL) != 0 ||
		rf_segment_unback(&seg, 30 * MIB, 4 * MIB) != 0)
		return 2;
	madvise(seg.base + 30 * MIB, 2 * MIB, MADV_DODUMP);
	if (rf_segment_inherit(&seg, 0, 32 * MIB) != 0)
		return 3;
	if (!is_dumped(9 * MIB) || is_dumped(14 * MIB))
		return 4;
	return is_dumped(31 * MIB) ? 5 : 0;
}

static void what_another_gave_back_leaves_the_core_dump(void **state)
{
	the_kind(state);
	seg.core_include = true;
	assert_int_equal(rf_segment_back(&seg, 0, 32 * MIB), 0);
	assert_int_equal(run_child(inherit_twice, NULL), 0);
}

/* ---- other settings ---- */

static void huge_pages_are_advised_for_all_of_it(void **state)
{
	struct rf_segment other = fresh(the_kind(state), "-huge");

	other.huge_advise = true;
	assert_int_equal(rf_segment_create(&other), 0);
	assert_int_equal(rf_segment_map(&other, 0), 0);
	assert_true(has_vm_flag(other.base, " hg"));
	assert_true(has_vm_flag(other.base + other.max_bytes - 1, " hg"));
	rf_segment_unlink(&other);
	rf_segment_close(&other);
}

static void required_huge_pages_are_had(void **state)
{
	the_kind(state);
	assert_int_equal(seg.page_bytes, 2 * MIB);
	assert_true(has_vm_flag(seg.base, " ht"));
}

static void locked_memory_is_locked_while_it_is_backed(void **state)
{
	the_kind(state);
	seg.lock_memory = true;
	if (rf_segment_back(&seg, 0, 4 * MIB) != 0)
		skip(); /* RLIMIT_MEMLOCK */
	assert_true(has_vm_flag(seg.base, " lo"));
	assert_false(has_vm_flag(seg.base + 4 * MIB, " lo"));
	assert_int_equal(rf_segment_unback(&seg, 0, 2 * MIB), 0);
	assert_false(has_vm_flag(seg.base, " lo"));
	assert_true(has_vm_flag(seg.base + 2 * MIB, " lo"));
}

static int reopen(void *unused)
{
	(void)unused;
	return rf_segment_protect(&seg, true) == 0 && seg.base[0] == 9 ? 0 : 1;
}

static int touch(void *unused)
{
	(void)unused;
	return *(volatile uint8_t *)seg.base;
}

static void protected_memory_is_closed_until_a_child_opens_it(void **state)
{
	the_kind(state);
	assert_int_equal(rf_segment_back(&seg, 0, MIB), 0);
	seg.base[0] = 9;
	assert_int_equal(rf_segment_protect(&seg, false), 0);
	assert_int_equal(signal_of(run_child(touch, NULL)), SIGSEGV);
	assert_int_equal(run_child(reopen, NULL), 0);
	assert_int_equal(signal_of(run_child(touch, NULL)), SIGSEGV);
	assert_int_equal(rf_segment_protect(&seg, true), 0);
	assert_int_equal(exit_of(run_child(touch, NULL)), 9);
}

static void memory_can_be_backed_and_read_while_access_is_forbidden(
	void **state)
{
	char text[12];
	size_t before;

	the_kind(state);
	assert_int_equal(rf_segment_back(&seg, 0, 2 * MIB), 0);
	memcpy(seg.base + 4090, "across them", 12);
	assert_int_equal(rf_segment_protect(&seg, false), 0);
	assert_int_equal(rf_segment_back(&seg, 8 * MIB, 2 * MIB), 0);
	assert_true(taken_bytes(&seg) >= 4 * MIB);
	assert_int_equal(rf_segment_read(&seg, 4090, text, 12), 0);
	assert_string_equal(text, "across them");
	assert_int_equal(rf_segment_read(&seg, 9 * MIB, text, 12), 0);
	assert_true(is_filled((uint8_t *)text, 12, 0));
	before = taken_bytes(&seg);
	if (!seg.huge_require) /* the kernel does not tell holes */
		assert_int_equal(
			rf_segment_read(&seg, 20 * MIB - 5, text, 12), 0);
	assert_int_equal(taken_bytes(&seg), before); /* a read fills nothing */
	assert_int_equal(
		rf_segment_read(&seg, seg.max_bytes - 11, text, 12), -EINVAL);
	assert_int_equal(rf_segment_unback(&seg, 8 * MIB, 2 * MIB), 0);
}

/* ---- ends and errors ---- */

static size_t open_descriptors(void)
{
	size_t count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static size_t mappings(void)
{
	FILE *in = fopen("/proc/self/maps", "re");
	size_t count = 0;
	int byte;

	while (in != NULL && (byte = getc(in)) != EOF)
		count += byte == '\n';
	if (in != NULL)
		fclose(in);
	return count;
}

static void closing_leaves_nothing_open(void **state)
{
	const struct kind *kind = the_kind(state);
	size_t descriptors = open_descriptors(), before = mappings();

	for (int round = 0; round < 20; round++) {
		struct rf_segment other = fresh(kind, "-other");

		assert_int_equal(rf_segment_create(&other), 0);
		assert_int_equal(rf_segment_map(&other, 0), 0);
		other.core_include = true;
		rf_segment_back(&other, 8 * MIB, MIB); /* divides it */
		assert_int_equal(rf_segment_unlink(&other), 0);
		rf_segment_close(&other);
		assert_null(other.base);
		rf_segment_close(&other); /* may be repeated */
	}
	assert_int_equal(open_descriptors(), descriptors);
	assert_true(mappings() <= before + 2); /* malloc's own */
}

static void a_size_that_cannot_be_is_an_error_and_leaves_nothing(void **state)
{
	const struct kind *kind = the_kind(state);
	size_t before = open_descriptors();
	struct rf_segment other = fresh(kind, "-long");

	other.max_bytes = (size_t)INT64_MAX + 1; /* a negative off_t */
	assert_true(rf_segment_create(&other) < 0);
	assert_int_equal(open_descriptors(), before);
	other.max_bytes = 2 * MIB; /* and no name is left behind */
	assert_int_equal(rf_segment_create(&other), 0);
	rf_segment_unlink(&other);
	rf_segment_close(&other);
}

static void huge_pages_are_refused_where_there_are_none(void **state)
{
	struct rf_segment other = fresh(the_kind(state), "-huge");

	other.huge_require = true;
	assert_int_equal(rf_segment_create(&other), -EINVAL);
}

static int back_beyond_the_end(void *unused)
{
	(void)unused;
	return rf_segment_back(&seg, seg.max_bytes - 4096, 8192);
}

static void backing_beyond_the_end_is_a_broken_caller(void **state)
{
	the_kind(state);
	assert_int_equal(
		signal_of(run_child(back_beyond_the_end, NULL)), SIGABRT);
}

static void nobody_can_change_the_size_of_a_memfd(void **state)
{
	the_kind(state);
	assert_int_equal(ftruncate(seg.fd, (off_t)(2 * MIB)), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(seg.fd, (off_t)(2 * STAGE_BYTES)), -1);
	assert_int_equal(errno, EPERM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EVERY(backed_memory_is_zero_and_the_rest_takes_none),
		EVERY(odd_ranges_are_backed_to_whole_pages),
		EVERY(memory_given_back_is_gone_and_comes_back_zeroed),
		EVERY(all_is_taken_at_once_when_reserved_and_none_given_back),
		EVERY(growth_is_seen_by_a_child_forked_before_it),
		EVERY(growth_by_a_child_is_seen_by_its_parent),
		EVERY(a_taken_address_is_refused),
		EVERY(it_maps_at_the_arena_base),
		EVERY(only_what_is_backed_goes_into_core_dumps),
		EVERY(nothing_goes_into_core_dumps_unless_asked_for),
		EVERY(a_child_inherits_settings_for_what_another_backed),
		EVERY_SMALL(what_another_gave_back_leaves_the_core_dump),
		EVERY_SMALL(huge_pages_are_advised_for_all_of_it),
		EACH(required_huge_pages_are_had, memfd_huge),
		EACH(required_huge_pages_are_had, sysv_huge),
		EVERY_SMALL(locked_memory_is_locked_while_it_is_backed),
		EVERY(protected_memory_is_closed_until_a_child_opens_it),
		EVERY(memory_can_be_backed_and_read_while_access_is_forbidden),
		EVERY(closing_leaves_nothing_open),
		EVERY(a_size_that_cannot_be_is_an_error_and_leaves_nothing),
		EACH(huge_pages_are_refused_where_there_are_none, posix),
		EACH(huge_pages_are_refused_where_there_are_none, file),
		EVERY(backing_beyond_the_end_is_a_broken_caller),
		EACH(nobody_can_change_the_size_of_a_memfd, memfd),
		EACH(nobody_can_change_the_size_of_a_memfd, memfd_huge),
	};

	return cmocka_run_group_tests(tests, stage_open, stage_close);
}
