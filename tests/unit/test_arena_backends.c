/* SPDX-License-Identifier: MIT */
/* test_arena_backends.c -- an arena is the same whatever holds its memory. */
#include "segment_stage.h"
#include <arena.h>
#include <refork/heap.h>
#include <refork/slot.h>
#include <refork/tx.h>
#include <super.h>

#define BLOCK 65536

static const struct rf_arena_conf conf = {.size_bytes = 4 * MIB,
	.max_bytes = 16 * MIB,
	.worker_name = "test",
	.state_version = 1};
static char reason[256];

static struct rf_segment planned(const struct kind *kind)
{
	struct rf_segment made = fresh(kind, "-arena");

	made.max_bytes = rf_arena_segment_bytes(&conf);
	return made;
}

/* Published, with a root; the lease is held. */
static int make_arena(void **state)
{
	const struct kind *kind = *state;
	void *root;
	int error;

	seg = planned(kind);
	if (kind->huge && pool_fd < 0)
		return 0;
	error = rf_segment_create(&seg);
	if (error == 0)
		error = rf_segment_map(&seg, RF_ARENA_BASE);
	if (error == 0)
		error = rf_arena_format(&seg, &conf);
	if (error != 0)
		return error;
	rf_tx_begin();
	rf_slot_open("root", "text", 1, 4096, &root, NULL);
	strcpy(root, "still here");
	error = rf_tx_commit();
	rf_arena_publish();
	return error;
}

static bool root_is(const char *text)
{
	void *root;

	rf_tx_begin();
	rf_slot_open("root", "text", 1, 4096, &root, NULL);
	return rf_tx_commit() == 0 && strcmp(root, text) == 0;
}

static int leave_arena(void **state)
{
	if (seg.base != NULL && rf_lease_holder() == getpid())
		rf_lease_give();
	return unmake(state);
}

/* Until there is no more. */
static size_t fill(uint8_t *blocks[], size_t max)
{
	for (size_t n = 0; n < max; n++) {
		rf_tx_begin();
		blocks[n] = rf_alloc(BLOCK);
		if (blocks[n] != NULL)
			memset(blocks[n], (int)n, BLOCK);
		if (rf_tx_commit() != 0)
			return n;
	}
	return max;
}

static void it_grows_to_its_limit_and_shrinks(void **state)
{
	static uint8_t *blocks[16 * MIB / BLOCK + 1];
	size_t n;

	the_kind(state);
	for (int round = 0; round < 2; round++) {
		n = fill(blocks, sizeof blocks / sizeof *blocks);
		assert_in_range(n * BLOCK, 14 * MIB, 16 * MIB);
		for (size_t i = 0; i < n; i++)
			assert_true(is_filled(blocks[i], BLOCK, (uint8_t)i));
		assert_int_equal(rf_arena_check(), 0);
		for (size_t i = 0; i < n; i++) {
			rf_tx_begin();
			rf_free(blocks[i]);
			assert_int_equal(rf_tx_commit(), 0);
		}
		assert_int_equal(rf_arena_check(), 0);
	}
}

static void a_large_transaction_is_undone_and_its_log_given_back(void **state)
{
	uint8_t *block;

	the_kind(state);
	rf_tx_begin();
	block = rf_alloc(8 * MIB);
	assert_int_equal(rf_tx_commit(), 0);
	memset(block, 1, 8 * MIB);
	rf_tx_begin(); /* more than the fixed part of the log */
	for (size_t i = 0; i < 8 * MIB; i += 4096)
		assert_int_equal(rf_tx_log(block + i, 4096), 0);
	memset(block, 2, 8 * MIB);
	rf_tx_abort();
	assert_true(is_filled(block, 8 * MIB, 1));
	assert_int_equal(RF_SUPER->log_ready_bytes, RF_SUPER->log_fixed_bytes);
	assert_int_equal(rf_arena_check(), 0);
}

static int die_in_a_transaction(void *unused)
{
	void *root;

	(void)unused;
	if (rf_lease_take(0, false) < 0)
		return 1;
	rf_tx_begin();
	rf_slot_open("root", "text", 1, 4096, &root, NULL);
	rf_tx_write(root, "half made", 10);
	rf_alloc(8 * MIB);
	kill(getpid(), SIGKILL);
	return 2;
}

static void what_a_child_left_by_half_is_rolled_back(void **state)
{
	the_kind(state);
	rf_lease_give();
	for (int round = 0; round < 3; round++) {
		assert_int_equal(
			signal_of(run_child(die_in_a_transaction, NULL)),
			SIGKILL);
		assert_int_equal(rf_lease_take(0, false), RF_LEASE_OWNER_DIED);
		assert_true(root_is("still here"));
		assert_int_equal(rf_arena_check(), 0);
		rf_lease_give();
	}
}

static void the_next_daemon_finds_the_state_of_the_last(void **state)
{
	const struct kind *kind = the_kind(state);
	uint32_t version;

	rf_lease_give();
	for (int run = 0; run < 3; run++) {
		if (run < 2)
			assert_int_equal(signal_of(run_child(
						 die_in_a_transaction, NULL)),
				SIGKILL);
		else /* on purpose */
			assert_int_equal(rf_arena_close_whole(&seg), 0);
		rf_segment_close(&seg);
		seg = planned(kind);
		assert_int_equal(rf_segment_open(&seg, 1000), 0);
		assert_int_equal(rf_segment_map(&seg, RF_ARENA_BASE), 0);
		assert_int_equal(rf_arena_adopt(&seg, &conf, reason,
					 sizeof reason, &version),
			0);
		assert_true(root_is("still here"));
		rf_lease_give();
	}
}

#undef EACH
#define EACH(test, kind)                                                       \
	{                                                                      \
#kind "_" #test, test, make_arena, leave_arena, &kind          \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EVERY(it_grows_to_its_limit_and_shrinks),
		EVERY(a_large_transaction_is_undone_and_its_log_given_back),
		EVERY(what_a_child_left_by_half_is_rolled_back),
		EVERY_NAMED(the_next_daemon_finds_the_state_of_the_last),
	};

	return cmocka_run_group_tests(tests, stage_open, stage_close);
}
