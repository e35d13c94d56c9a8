/* SPDX-License-Identifier: MIT */
/* crash_dict.c -- death in the hash map: insert, split, overwrite, remove,
 * merge, clear. */
#include "script.h"

static const struct geometry roomy = {
	.page_max = 224,
	.heap = {{0, 224}},
};

static const struct scenario scenarios[] = {
	SCRIPT("the_first_key_is_inserted_or_not", 1, BEFORE(COMMIT),
		ACT(PUT(0, 1, 20), COMMIT)),
	SCRIPT("a_key_is_inserted_or_not", 1, BEFORE(PUT(0, 7, 20), COMMIT),
		ACT(PUT(7, 1, 20), COMMIT)),
	SCRIPT("a_bucket_is_split_or_not", 1, BEFORE(PUT(0, 20, 0), COMMIT),
		ACT(PUT(20, 1, 0), COMMIT)),
	SCRIPT("the_first_segment_doubles_or_not", 1,
		BEFORE(PUT(0, 16, 0), COMMIT), ACT(PUT(16, 1, 0), COMMIT)),
	SCRIPT_IN(&roomy, "a_segment_is_added_or_not", 1,
		BEFORE(PUT(0, 512, 0), COMMIT), ACT(PUT(512, 1, 0), COMMIT)),
	SCRIPT_IN(&roomy, "a_segment_is_added_where_there_is_room_or_not", 1,
		BEFORE(PUT(0, 1536, 0), COMMIT), ACT(PUT(1536, 1, 0), COMMIT)),
	SCRIPT("many_keys_are_inserted_at_once_or_none", 1,
		BEFORE(PUT(0, 10, 0), COMMIT), ACT(PUT(10, 25, 0), COMMIT)),
	SCRIPT("keys_that_are_aborted_have_never_been", 0,
		BEFORE(PUT(0, 14, 20), COMMIT),
		ACT(PUT(14, 5, 20), REMOVE(0, 3), ABORT)),

	SCRIPT("a_value_is_overwritten_in_place_or_not", 1,
		BEFORE(PUT(0, 7, 20), COMMIT), ACT(PUT(3, 1, 25), COMMIT)),
	SCRIPT("a_value_is_overwritten_by_a_longer_one_or_not", 1,
		BEFORE(PUT(0, 7, 20), COMMIT), ACT(PUT(3, 1, 300), COMMIT)),

	SCRIPT("a_key_is_removed_or_not", 1, BEFORE(PUT(0, 7, 20), COMMIT),
		ACT(REMOVE(3, 1), COMMIT)),
	SCRIPT("the_last_key_is_removed_or_not", 1,
		BEFORE(PUT(0, 1, 20), COMMIT), ACT(REMOVE(0, 1), COMMIT)),
	SCRIPT("four_buckets_are_merged_or_none", 1,
		BEFORE(PUT(0, 40, 0), COMMIT, REMOVE(0, 30), COMMIT),
		ACT(REMOVE(30, 1), COMMIT)),
	SCRIPT("the_first_segment_halves_or_not", 1,
		BEFORE(PUT(0, 33, 0), COMMIT, REMOVE(0, 24), COMMIT),
		ACT(REMOVE(24, 1), COMMIT)),
	SCRIPT_IN(&roomy, "a_segment_is_removed_or_not", 1,
		BEFORE(PUT(0, 513, 0), COMMIT, REMOVE(0, 384), COMMIT),
		ACT(REMOVE(384, 1), COMMIT)),

	SCRIPT("some_keys_are_cleared_or_none", 1,
		BEFORE(PUT(0, 20, 20), COMMIT), ACT(CLEAR(9), COMMIT)),
	SCRIPT("the_dict_is_cleared_or_not", 1, BEFORE(PUT(0, 9, 20), COMMIT),
		ACT(CLEAR(100), COMMIT)),
	SCRIPT("the_dict_is_cleared_step_by_step", 4,
		BEFORE(PUT(0, 9, 20), COMMIT),
		ACT(CLEAR(9), COMMIT, CLEAR(9), COMMIT, PUT(30, 1, 9), COMMIT,
			CLEAR(100), COMMIT)),
};

int main(int argc, char **argv)
{
	(void)argc;
	return sweep_main(
		argv, scenarios, sizeof scenarios / sizeof *scenarios);
}
