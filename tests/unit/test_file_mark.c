/* SPDX-License-Identifier: MIT */
/* test_file_mark.c -- a file is taken over when it is whole, and only then. */
#include "call_deaths.h"
#include "file_mark_stage.h"

/* ---- taken, and refused ---- */

static void a_file_closed_whole_is_taken_in_another_run(void **state)
{
	(void)state;
	for (int run = 0; run < 3; run++) {
		in_another_run();
		assert_int_equal(find(), 0);
		assert_int_equal(adopt(), 0);
		assert_true(root_is("first"));
		rf_lease_give();
		assert_int_equal(rf_segment_protect(&seg, false), 0);
		assert_int_equal(rf_arena_close_whole(&seg), 0);
		leave();
	}
}

static void a_file_left_open_is_taken_in_the_same_run(void **state)
{
	(void)state;
	for (int run = 0; run < 3; run++) {
		assert_int_equal(find(), 0);
		assert_int_equal(adopt(), 0);
		assert_true(root_is("first"));
		leave();
	}
}

static void a_file_left_open_is_torn_in_another_run(void **state)
{
	(void)state;
	assert_int_equal(find(), 0);
	assert_int_equal(adopt(), 0);
	leave();
	in_another_run();
	assert_int_equal(find(), 0);
	assert_int_equal(adopt(), -EBADMSG);
	assert_non_null(strstr(reason, "torn: the machine went down"));
	leave();
	/* A refusal does not make it whole, and changes nothing. */
	assert_int_equal(find(), 0);
	assert_int_equal(adopt(), -EBADMSG);
}

/* What stands at the name is another file, with the same bytes. */
static void become_a_copy(void)
{
	struct rf_segment copy = named("copy");
	size_t bytes = copy.max_bytes;
	char *content = malloc(bytes);

	assert_non_null(content);
	seg = named("arena");
	assert_int_equal(rf_segment_open(&seg, 0), 0);
	assert_int_equal(rf_segment_read(&seg, 0, content, bytes), 0);
	assert_int_equal(rf_segment_create(&copy), 0);
	assert_int_equal(pwrite(copy.fd, content, bytes, 0), bytes);
	assert_int_equal(rename(copy.path, seg.path), 0);
	rf_segment_close(&copy);
	rf_segment_close(&seg);
	free(content);
}

static void a_copy_of_a_file_left_open_is_refused(void **state)
{
	(void)state;
	assert_int_equal(find(), 0);
	assert_int_equal(adopt(), 0);
	leave();
	become_a_copy();
	for (int i = 0; i < 2; i++) { /* a refusal changes nothing */
		assert_int_equal(find(), 0);
		assert_int_equal(adopt(), -EBADMSG);
		assert_non_null(strstr(reason, "it is a copy of a file"));
		leave();
	}
}

static void a_copy_of_a_closed_file_is_taken(void **state)
{
	(void)state;
	become_a_copy();
	for (int i = 0; i < 2; i++) { /* then it is a file of its own */
		assert_int_equal(find(), 0);
		assert_int_equal(adopt(), 0);
		assert_true(root_is("first"));
		leave();
	}
}

static void a_file_that_was_cut_is_refused(void **state)
{
	const size_t whole = rf_arena_segment_bytes(&conf);
	const size_t sizes[] = {whole - 4096, whole + 4096, RF_SUPER_BYTES};

	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		assert_int_equal(
			truncate(named("arena").path, (off_t)sizes[i]), 0);
		assert_int_equal(find(), 0);
		assert_int_equal(adopt(), -ESTALE);
		assert_non_null(strstr(reason, "cut or made longer"));
		leave();
	}
	assert_int_equal(truncate(named("arena").path, 100), 0);
	seg = named("arena");
	assert_int_equal(rf_segment_open(&seg, 0), 0);
	assert_int_equal(rf_segment_map(&seg, RF_ARENA_BASE), 0);
	assert_int_equal(adopt(), -ESTALE);
}

static void any_flipped_bit_of_the_superblock_is_refused(void **state)
{
	const size_t boot_off = MARK_OFF + offsetof(struct rf_mark, boot);

	(void)state;
	in_another_run();
	seg = named("arena");
	assert_int_equal(rf_segment_open(&seg, 0), 0);
	for (int trial = 0; trial < 10000; trial++) {
		size_t off = (size_t)trial / 8; /* all of the beginning */
		uint8_t byte, flipped;
		int judged;

		if (off > 512)
			off = random_below(RF_SUPER_BYTES);
		assert_int_equal(rf_segment_read(&seg, off, &byte, 1), 0);
		flipped = (uint8_t)(byte ^ 1u << trial % 8);
		assert_int_equal(pwrite(seg.fd, &flipped, 1, (off_t)off), 1);
		judged = rf_mark_judge(&seg, reason, sizeof reason);
		assert_int_equal(pwrite(seg.fd, &byte, 1, (off_t)off), 1);
		/* Which run closed it does not matter, nor as which file. */
		if (off - boot_off < 32)
			assert_int_equal(judged, 0);
		else
			assert_int_equal(judged, -EBADMSG);
	}
	assert_int_equal(rf_mark_judge(&seg, reason, sizeof reason), 0);
}

static void a_refused_arena_is_closed_again(void **state)
{
	(void)state;
	assert_int_equal(find(), 0);
	RF_SUPER->heap.used_bytes += 16;
	assert_int_equal(rf_mark_close(&seg), 0);
	assert_int_equal(adopt(), -EBADMSG);
	assert_non_null(strstr(reason, "heap is damaged"));
	leave();
	in_another_run();
	assert_int_equal(find(), 0);
	assert_int_equal(adopt(), -EBADMSG);
	assert_non_null(strstr(reason, "heap is damaged")); /* not torn */
}

static void other_backends_have_no_mark(void **state)
{
	struct rf_segment memory = {.backend = RF_BACKEND_MEMFD,
		.name = "refork-unit-mark",
		.max_bytes = RF_SUPER_BYTES};

	(void)state;
	assert_int_equal(rf_segment_create(&memory), 0);
	assert_int_equal(rf_mark_judge(&memory, reason, sizeof reason), 0);
	assert_int_equal(rf_mark_open(&memory), 0);
	assert_int_equal(rf_arena_close_whole(&memory), 0);
	rf_segment_close(&memory);
}

/* ---- deaths ---- */

static int serve_and_close(void *unused)
{
	(void)unused;
	being_stepped();
	if (find() != 0 || adopt() != 0 || write_root("second") != 0)
		return 1;
	rf_lease_give();
	if (rf_arena_close_whole(&seg) != 0)
		return 2;
	rf_segment_close(&seg);
	return 0;
}

static void a_daemon_killed_at_any_step_leaves_what_is_taken(void **state)
{
	int stop = 0;

	(void)state;
	while (die_at_call(serve_and_close, ++stop)) {
		assert_int_equal(find(), 0);
		assert_int_equal(adopt(), 0);
		assert_true(root_is("first") || root_is("second"));
		assert_int_equal(write_root("first"), 0);
		rf_lease_give();
		assert_int_equal(rf_arena_close_whole(&seg), 0);
		leave();
	}
	assert_true(stop > 20);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_file_closed_whole_is_taken_in_another_run),
		TEST(a_file_left_open_is_taken_in_the_same_run),
		TEST(a_file_left_open_is_torn_in_another_run),
		TEST(a_copy_of_a_file_left_open_is_refused),
		TEST(a_copy_of_a_closed_file_is_taken),
		TEST(a_file_that_was_cut_is_refused),
		TEST(any_flipped_bit_of_the_superblock_is_refused),
		TEST(a_refused_arena_is_closed_again),
		TEST(other_backends_have_no_mark),
		TEST(a_daemon_killed_at_any_step_leaves_what_is_taken),
	};

	return cmocka_run_group_tests(tests, open_dir, close_dir);
}
