/* SPDX-License-Identifier: MIT */
/* test_slot.c -- named roots: found or created, never mistaken. */
#include "scratch_arena.h"
#include "suite.h"
#include <refork/slot.h>

static int set_up(void **state)
{
	(void)state;
	return scratch_arena_create((uint64_t)16 << 20);
}

static int tear_down(void **state)
{
	(void)state;
	scratch_arena_destroy();
	return 0;
}

static void *open_players(bool expect_created)
{
	void *root = NULL;
	bool created = !expect_created;

	rf_tx_begin();
	assert_int_equal(
		rf_slot_open("players", "list", 3, 100, &root, &created), 0);
	assert_int_equal(rf_tx_commit(), 0);
	assert_int_equal(created, expect_created);
	assert_non_null(root);
	return root;
}

static void a_root_is_zeroed_once_and_found_ever_after(void **state)
{
	uint8_t *root = open_players(true);

	(void)state;
	assert_true(is_filled(root, 100, 0));
	memset(root, 7, 100);
	for (int i = 0; i < 3; i++) {
		assert_ptr_equal(open_players(false), root);
		assert_true(is_filled(root, 100, 7));
	}
}

static void an_aborted_root_was_never_there(void **state)
{
	void *root;
	uint32_t version;

	(void)state;
	rf_tx_begin();
	assert_int_equal(
		rf_slot_open("players", "list", 3, 100, &root, NULL), 0);
	rf_tx_abort();
	assert_int_equal(rf_slot_version("players", &version), -ENOENT);
	assert_int_equal(rf_heap_used(), 0);
	open_players(true);
}

static void what_does_not_fit_is_told_apart(void **state)
{
	const struct {
		const char *name, *type;
		uint32_t version;
		size_t bytes;
		int expect;
	} cases[] = {
		{"players", "list", 3, 100, 0},
		{"players", "dict", 3, 100, -EPROTOTYPE},
		{"players", "lis", 3, 100, -EPROTOTYPE},
		{"players", "list", 4, 100, -ESTALE},
		{"players", "list", 2, 100, -ESTALE},
		{"players", "list", 3, 99, -EPROTOTYPE},
		{"players", "dict", 4, 99, -EPROTOTYPE},
		{"", "list", 3, 100, -ENAMETOOLONG},
		{"a name of thirty-two characters.", "list", 3, 100,
			-ENAMETOOLONG},
		{"players", "sixteen-letters-", 3, 100, -ENAMETOOLONG},
	};
	uint8_t *root = open_players(true);

	(void)state;
	memset(root, 7, 100);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		void *found = NULL;

		rf_tx_begin();
		assert_int_equal(
			rf_slot_open(cases[i].name, cases[i].type,
				cases[i].version, cases[i].bytes, &found, NULL),
			cases[i].expect);
		assert_int_equal(rf_tx_commit(), 0);
		assert_ptr_equal(found, cases[i].expect == 0 ? root : NULL);
		assert_true(is_filled(root, 100, 7));
	}
}

static void names_of_the_longest_length_are_whole(void **state)
{
	void *one, *other;

	(void)state;
	rf_tx_begin();
	assert_int_equal(rf_slot_open("a name of thirty-one characters", "t", 1,
				 8, &one, NULL),
		0);
	assert_int_equal(rf_slot_open("a name of thirty-one characterz",
				 "fifteen-letters", 1, 8, &other, NULL),
		0);
	assert_int_equal(rf_tx_commit(), 0);
	assert_ptr_not_equal(one, other);
}

static void every_slot_can_be_taken_and_no_more(void **state)
{
	void *roots[RF_SLOT_COUNT], *root;
	char name[16];

	(void)state;
	rf_tx_begin();
	for (unsigned i = 0; i < RF_SLOT_COUNT; i++) {
		snprintf(name, sizeof name, "slot %u", i);
		assert_int_equal(
			rf_slot_open(name, "t", 1, 8, &roots[i], NULL), 0);
	}
	assert_int_equal(
		rf_slot_open("one more", "t", 1, 8, &root, NULL), -ENOSPC);
	assert_int_equal(rf_tx_commit(), 0);
	rf_tx_begin();
	for (unsigned i = 0; i < RF_SLOT_COUNT; i++) {
		snprintf(name, sizeof name, "slot %u", i);
		assert_int_equal(rf_slot_open(name, "t", 1, 8, &root, NULL), 0);
		assert_ptr_equal(root, roots[i]);
	}
	assert_int_equal(rf_tx_commit(), 0);
}

static void a_root_that_has_no_room_takes_no_slot(void **state)
{
	void *root;
	uint32_t version;

	(void)state;
	rf_tx_begin();
	assert_int_equal(
		rf_slot_open("vast", "t", 1, (size_t)1 << 30, &root, NULL),
		-ENOMEM);
	assert_int_equal(rf_tx_commit(), -ENOMEM);
	assert_int_equal(rf_slot_version("vast", &version), -ENOENT);
}

static void a_migration_is_all_or_nothing(void **state)
{
	void *old = open_players(true);
	uint32_t version = 0;
	void *root;

	(void)state;
	for (int commit = 0; commit < 2; commit++) {
		rf_tx_begin();
		root = rf_alloc(200);
		assert_int_equal(rf_slot_migrate("players", 4, root, 200), 0);
		rf_free(old);
		if (commit)
			assert_int_equal(rf_tx_commit(), 0);
		else
			rf_tx_abort();
		assert_int_equal(rf_slot_version("players", &version), 0);
		assert_int_equal(version, commit ? 4 : 3);
		if (!commit)
			assert_ptr_equal(open_players(false), old);
	}
	rf_tx_begin();
	assert_int_equal(
		rf_slot_open("players", "list", 4, 200, &old, NULL), 0);
	assert_ptr_equal(old, root);
	/* The version alone. */
	assert_int_equal(rf_slot_migrate("players", 5, NULL, 0), 0);
	assert_int_equal(
		rf_slot_open("players", "list", 5, 200, &old, NULL), 0);
	assert_ptr_equal(old, root);
	assert_int_equal(rf_slot_migrate("nobody", 5, NULL, 0), -ENOENT);
	assert_int_equal(rf_slot_migrate("", 5, NULL, 0), -ENOENT);
	assert_int_equal(rf_slot_version("", &version), -ENOENT);
	assert_int_equal(rf_tx_commit(), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_root_is_zeroed_once_and_found_ever_after),
		TEST(an_aborted_root_was_never_there),
		TEST(what_does_not_fit_is_told_apart),
		TEST(names_of_the_longest_length_are_whole),
		TEST(every_slot_can_be_taken_and_no_more),
		TEST(a_root_that_has_no_room_takes_no_slot),
		TEST(a_migration_is_all_or_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
