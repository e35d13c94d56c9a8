/* SPDX-License-Identifier: MIT */
/* crash_heap.c -- death in the allocator: take, give, split, join, grow. */
#include "script.h"
#include <errno.h>

#define PAGE 4096

/* The heap begins with GROW_PAGES of pages.c and may grow by a few more. All
 * but its two ends is to be one large block. */
static const struct geometry near_end = {
	.page_max = 1024 + 40,
	.heap = {{0, 24}, {1016, 48}},
};
/* Room for more free pages than are kept. */
static const struct geometry roomy = {
	.page_max = 4096,
	.heap = {{0, 24}, {2020, 24}},
};
#define MANY 2000
#define MUCH (64 << 20)
#define A_FREE_RANGE                                                           \
	TAKE(0, 1, MANY *PAGE), TAKE(1, 1, 3 * PAGE), COMMIT, GIVE(0, 1), COMMIT

#define MIDDLE TAKE(299, 1, 1002 * PAGE)

/* 18 of the 96 pages of the default geometry hold the script's root. */
#define REST_PAGES 78

static const struct scenario scenarios[] = {
	SCRIPT("a_block_of_a_run_with_room_is_taken_or_not", 1,
		BEFORE(TAKE(0, 3, 40), COMMIT), ACT(TAKE(3, 1, 40), COMMIT)),
	SCRIPT("the_first_block_of_a_run_is_taken_or_not", 1, BEFORE(COMMIT),
		ACT(TAKE(0, 1, 600), COMMIT)),
	SCRIPT("the_last_block_of_a_run_is_taken_or_not", 1,
		BEFORE(TAKE(0, 255, 16), COMMIT),
		ACT(TAKE(255, 2, 16), COMMIT)),
	SCRIPT("the_block_given_back_last_is_taken_again_or_not", 1,
		BEFORE(TAKE(0, 200, 40), COMMIT, GIVE(70, 1), COMMIT),
		ACT(TAKE(70, 1, 40), COMMIT)),
	SCRIPT("the_last_free_block_is_given_back_and_taken_again_or_not", 2,
		BEFORE(TAKE(0, 256, 16), COMMIT),
		ACT(GIVE(70, 1), COMMIT, TAKE(70, 1, 16), COMMIT)),
	SCRIPT("a_large_block_is_taken_or_not", 1, BEFORE(COMMIT),
		ACT(TAKE(0, 1, 3 * PAGE), COMMIT)),
	SCRIPT("a_large_block_of_just_that_length_is_taken_or_not", 1,
		BEFORE(TAKE(0, 2, 3 * PAGE), COMMIT, GIVE(0, 1), COMMIT),
		ACT(TAKE(2, 1, 3 * PAGE), COMMIT)),
	SCRIPT_IN(&near_end, "the_heap_grows_or_not", 1, BEFORE(MIDDLE, COMMIT),
		ACT(TAKE(1, 1, 10 * PAGE), COMMIT)),
	SCRIPT_IN(&near_end, "a_growth_that_is_aborted_is_none", 0,
		BEFORE(MIDDLE, COMMIT), ACT(TAKE(1, 1, 10 * PAGE), ABORT)),
	SCRIPT_IN(&near_end, "blocks_beyond_the_old_end_are_given_or_not", 1,
		BEFORE(MIDDLE, TAKE(1, 2, 10 * PAGE), COMMIT),
		ACT(GIVE(1, 2), COMMIT)),
	SCRIPT("an_arena_that_is_full_changes_nothing", 0, BEFORE(COMMIT),
		ACT(TAKE(0, 1, 600), TAKE(1, 1, REST_PAGES *PAGE),
			COMMIT_FAILS(-ENOMEM))),
	SCRIPT("after_asking_for_too_much_the_rest_is_done_or_not", 1,
		BEFORE(COMMIT),
		ACT(TRY((REST_PAGES + 1) * PAGE), TAKE(0, 1, 50), COMMIT)),
	SCRIPT("pages_of_an_empty_run_serve_a_large_block_or_not", 1,
		BEFORE(TAKE(0, 1, 80), COMMIT, GIVE(0, 1), COMMIT,
			TAKE(1, 1, (REST_PAGES - 5) * PAGE), COMMIT),
		ACT(TAKE(2, 1, 3 * PAGE), COMMIT)),
	SCRIPT("pages_of_an_empty_run_serve_another_class_or_not", 1,
		BEFORE(TAKE(0, 1, 80), COMMIT, GIVE(0, 1), COMMIT,
			TAKE(1, 1, (REST_PAGES - 5) * PAGE), COMMIT),
		ACT(TAKE(2, 1, 40), COMMIT)),
	/* The empty run, with three free pages before it. */
	SCRIPT("pages_around_an_empty_run_serve_another_class_or_not", 1,
		BEFORE(TAKE(0, 1, 3 * PAGE), TAKE(1, 1, 80),
			TAKE(2, 1, (REST_PAGES - 8) * PAGE), COMMIT, GIVE(0, 2),
			COMMIT),
		ACT(TAKE(3, 3, 56), COMMIT)),
	SCRIPT("pages_around_an_empty_run_serve_a_large_block_or_not", 1,
		BEFORE(TAKE(0, 1, 3 * PAGE), TAKE(1, 1, 80),
			TAKE(2, 1, (REST_PAGES - 8) * PAGE), COMMIT, GIVE(0, 2),
			COMMIT),
		ACT(TAKE(3, 1, 4 * PAGE), COMMIT)),

	SCRIPT("a_small_block_is_given_or_not", 1,
		BEFORE(TAKE(0, 3, 40), COMMIT), ACT(GIVE(1, 1), COMMIT)),
	SCRIPT("a_block_of_a_full_run_is_given_or_not", 1,
		BEFORE(TAKE(0, 256, 16), COMMIT), ACT(GIVE(7, 1), COMMIT)),
	SCRIPT("the_last_block_of_a_lone_run_is_given_or_not", 1,
		BEFORE(TAKE(0, 1, 600), COMMIT), ACT(GIVE(0, 1), COMMIT)),
	SCRIPT("the_empty_run_that_is_kept_is_used_again_or_not", 1,
		BEFORE(TAKE(0, 1, 600), COMMIT, GIVE(0, 1), COMMIT),
		ACT(TAKE(1, 1, 600), COMMIT)),
	SCRIPT("an_empty_run_is_given_back_or_not", 1,
		BEFORE(TAKE(0, 257, 16), COMMIT, GIVE(0, 1), COMMIT),
		ACT(GIVE(256, 1), COMMIT)),
	SCRIPT("a_large_block_between_others_is_given_or_not", 1,
		BEFORE(TAKE(0, 5, 3 * PAGE), COMMIT), ACT(GIVE(2, 1), COMMIT)),
	SCRIPT("a_large_block_joins_the_free_run_before_it_or_not", 1,
		BEFORE(TAKE(0, 5, 3 * PAGE), COMMIT, GIVE(1, 1), COMMIT),
		ACT(GIVE(2, 1), COMMIT)),
	SCRIPT("a_large_block_joins_the_free_run_after_it_or_not", 1,
		BEFORE(TAKE(0, 5, 3 * PAGE), COMMIT, GIVE(3, 1), COMMIT),
		ACT(GIVE(2, 1), COMMIT)),
	SCRIPT("a_large_block_joins_both_its_neighbours_or_not", 1,
		BEFORE(TAKE(0, 5, 3 * PAGE), COMMIT, GIVE(1, 1), GIVE(3, 1),
			COMMIT),
		ACT(GIVE(2, 1), COMMIT)),
	SCRIPT("a_free_run_hangs_before_one_of_its_length_or_not", 1,
		BEFORE(TAKE(0, 5, 3 * PAGE), COMMIT, GIVE(1, 1), COMMIT),
		ACT(GIVE(3, 1), COMMIT)),
	SCRIPT("free_runs_leave_the_middle_of_their_bin_or_not", 1,
		BEFORE(TAKE(0, 8, 3 * PAGE), COMMIT, GIVE(1, 1), GIVE(3, 1),
			GIVE(5, 1), COMMIT),
		ACT(GIVE(2, 1), COMMIT)),

	/* Eight blocks to a run. */
	SCRIPT("a_run_is_linked_before_another_or_not", 1,
		BEFORE(TAKE(0, 24, 8192), COMMIT, GIVE(0, 1), COMMIT),
		ACT(GIVE(8, 1), COMMIT)),
	SCRIPT("a_full_run_leaves_the_list_to_another_or_not", 1,
		BEFORE(TAKE(0, 24, 8192), COMMIT, GIVE(0, 1), GIVE(8, 1),
			COMMIT),
		ACT(TAKE(8, 1, 8192), COMMIT)),
	SCRIPT("an_empty_run_leaves_the_middle_of_the_list_or_not", 1,
		BEFORE(TAKE(0, 24, 8192), COMMIT, GIVE(0, 1), GIVE(8, 7),
			GIVE(16, 1), COMMIT),
		ACT(GIVE(15, 1), COMMIT)),
	SCRIPT("many_blocks_are_given_in_one_commit_or_none", 1,
		BEFORE(TAKE(0, 60, 24), TAKE(60, 5, 700), TAKE(65, 4, 9000),
			COMMIT),
		ACT(GIVE(0, 69), COMMIT)),

	SCRIPT("a_block_is_longer_in_place_or_not", 1,
		BEFORE(TAKE(0, 3, 3 * PAGE), COMMIT, GIVE(1, 1), COMMIT),
		ACT(RESIZE(0, 5 * PAGE), COMMIT)),
	SCRIPT("a_block_takes_all_of_the_free_run_behind_it_or_not", 1,
		BEFORE(TAKE(0, 3, 3 * PAGE), COMMIT, GIVE(1, 1), COMMIT),
		ACT(RESIZE(0, 6 * PAGE), COMMIT)),
	SCRIPT("a_longer_block_that_is_aborted_is_as_it_was", 0,
		BEFORE(TAKE(0, 3, 3 * PAGE), COMMIT, GIVE(1, 1), COMMIT),
		ACT(RESIZE(0, 5 * PAGE), ABORT)),
	SCRIPT("a_block_is_shorter_or_not", 1,
		BEFORE(TAKE(0, 3, 8 * PAGE), COMMIT),
		ACT(RESIZE(1, 3 * PAGE), COMMIT)),
	SCRIPT("the_tail_of_a_block_joins_what_is_free_behind_it_or_not", 1,
		BEFORE(TAKE(0, 3, 8 * PAGE), COMMIT, GIVE(1, 1), COMMIT),
		ACT(RESIZE(0, 3 * PAGE), COMMIT)),
	SCRIPT("a_shorter_block_that_is_aborted_is_as_it_was", 0,
		BEFORE(TAKE(0, 3, 8 * PAGE), COMMIT),
		ACT(RESIZE(1, 3 * PAGE), ABORT)),
	SCRIPT("a_block_made_shorter_is_given_or_not", 1,
		BEFORE(TAKE(0, 3, 8 * PAGE), COMMIT),
		ACT(RESIZE(1, 3 * PAGE), GIVE(1, 1), COMMIT)),
	SCRIPT("a_block_moves_or_not", 1, BEFORE(TAKE(0, 3, 40), COMMIT),
		ACT(RESIZE(1, 3 * PAGE), RESIZE(2, 200), COMMIT)),
	SCRIPT("an_aligned_block_is_taken_or_not", 1, BEFORE(COMMIT),
		ACT(ALIGN(0, 4 * PAGE, 2 * PAGE + 1), ALIGN(1, 64, 40),
			COMMIT)),

	SCRIPT_IN(&roomy, "free_pages_go_back_or_not", 1, BEFORE(A_FREE_RANGE),
		ACT(TRIM(MUCH))),
	SCRIPT_IN(&roomy, "more_free_pages_join_a_hole_or_not", 1,
		BEFORE(A_FREE_RANGE, TRIM(1 << 20)), ACT(TRIM(1 << 20))),
	SCRIPT_IN(&roomy, "the_heap_ends_before_what_goes_back_or_not", 1,
		BEFORE(TAKE(0, 1, MANY *PAGE), COMMIT, GIVE(0, 1), COMMIT),
		ACT(TRIM(MUCH))),
	SCRIPT_IN(&roomy, "a_hole_is_filled_or_not", 1,
		BEFORE(A_FREE_RANGE, TRIM(MUCH), TAKE(2, 1, 1000 * PAGE),
			COMMIT),
		ACT(TAKE(3, 1, 300 * PAGE), COMMIT)),
	SCRIPT_IN(&roomy, "a_hole_whose_filling_is_aborted_is_one", 0,
		BEFORE(A_FREE_RANGE, TRIM(MUCH), TAKE(2, 1, 1000 * PAGE),
			COMMIT),
		ACT(TAKE(3, 1, 300 * PAGE), ABORT)),
	SCRIPT_IN(&roomy, "a_hole_and_the_free_run_beside_it_serve_or_not", 1,
		BEFORE(A_FREE_RANGE, TRIM(MUCH), TAKE(4, 1, 1500 * PAGE),
			COMMIT),
		ACT(TAKE(3, 1, MANY *PAGE), COMMIT)),

	SCRIPT("takes_and_gives_that_are_aborted_are_none", 0,
		BEFORE(TAKE(0, 3, 40), COMMIT),
		ACT(TAKE(3, 2, 40), TAKE(5, 1, 9000), GIVE(0, 2), ABORT)),
	SCRIPT("a_block_taken_and_given_at_once_is_none", 0,
		BEFORE(TAKE(0, 3, 40), COMMIT),
		ACT(TAKE(3, 1, 40), GIVE(3, 1), COMMIT)),
	SCRIPT("blocks_change_places_or_not", 1,
		BEFORE(TAKE(0, 3, 40), TAKE(3, 2, 9000), COMMIT),
		ACT(GIVE(1, 1), TAKE(1, 1, 9000), GIVE(3, 1), TAKE(3, 1, 40),
			COMMIT)),
	SCRIPT("transactions_in_a_row_come_one_after_the_other", 3,
		BEFORE(TAKE(0, 3, 40), COMMIT),
		ACT(GIVE(1, 1), COMMIT, TAKE(3, 1, 9000), COMMIT,
			TAKE(4, 1, 40), ABORT, GIVE(3, 1), COMMIT)),
};

int main(int argc, char **argv)
{
	(void)argc;
	return sweep_main(
		argv, scenarios, sizeof scenarios / sizeof *scenarios);
}
