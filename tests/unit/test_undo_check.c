/* SPDX-License-Identifier: MIT */
/* test_undo_check.c -- what is changed in a transaction and not logged first
 * is found before it commits; what may be changed is not.
 *
 * Each check runs in a child, with the handler of business children.
 */
#include "scratch_arena.h"
#include "suite.h"
#include <guard.h>
#include <pthread.h>
#include <refork/guard.h>
#include <refork/log.h>
#include <refork/slot.h>
#include <scene.h>
#include <super.h>
#include <undo_check.h>
#include <verify/spot.h>

#define LARGE_BYTES ((size_t)100000)

struct thing { /* the root of a slot */
	uint64_t word, other;
	struct thing *next; /* a block of its own */
	uint8_t *large;
};

static struct thing *thing;
static struct rf_crash_scene *scene; /* shared with the child */
static char *said;		     /* its standard error */

static void build(void)
{
	void *root;

	assert_int_equal(
		rf_slot_open("things", "thing", 1, sizeof *thing, &root, NULL),
		0);
	thing = root;
	RF_SET(thing->next, rf_alloc(sizeof *thing));
	RF_SET(thing->large, rf_alloc(LARGE_BYTES));
}

static int set_up(void **state)
{
	(void)state;
	scene = shared_memory(sizeof *scene);
	said = shared_memory(4096);
	if (scratch_arena_create((uint64_t)16 << 20) != 0)
		return -1;
	rf_tx_begin();
	build();
	return rf_tx_commit();
}

static int tear_down(void **state)
{
	(void)state;
	scratch_arena_destroy();
	munmap(scene, sizeof *scene);
	munmap(said, 4096);
	return 0;
}

static void add_found(struct rf_crash_scene *to)
{
	to->stray = *rf_undo_check_found();
}

static void begin(void)
{
	FILE *to = fmemopen(said, 4095, "w");

	setvbuf(to, NULL, _IONBF, 0);
	stderr = to;
	rf_log_set_level(RF_LOG_ERROR);
	if (rf_scene_arm(scene, add_found, -1) != 0)
		_exit(1);
	rf_scene_ask_first(rf_undo_check_fault);
	rf_guard_arm(&scratch_segment); /* both, where there are keys */
	if (rf_lease_recover() != 0 || rf_undo_check_arm(&scratch_segment) != 0)
		_exit(CHILD_CANNOT);
}

static int end_of(int (*body)(void *))
{
	int status = run_child(body, NULL);

	if (exit_of(status) == CHILD_CANNOT)
		skip();
	return WIFSIGNALED(status) ? 128 + signal_of(status) : exit_of(status);
}

#define FOUND (128 + SIGABRT)

/* ---- what must be found ---- */

static __attribute__((noinline)) void forget_to_log(struct thing *of)
{
	of->word = 0x1122;
}

static int change_root(void *unused)
{
	begin();
	rf_tx_begin();
	RF_SET(thing->other, 5);
	forget_to_log(thing);
	rf_tx_commit();
	return unused != NULL;
}

static void an_unlogged_change_aborts_before_it_commits(void **state)
{
	const struct rf_crash_stray *stray = &scene->stray;

	(void)state;
	assert_int_equal(end_of(change_root), FOUND);
	assert_int_equal(stray->kind, RF_STRAY_UNLOGGED);
	assert_int_equal(stray->spot, RF_SPOT_BLOCK);
	assert_int_equal(stray->address, (uint64_t)&thing->word);
	assert_int_equal(stray->block, (uint64_t)thing);
	assert_int_equal(stray->block_bytes, sizeof *thing);
	assert_string_equal(stray->slot, "things");
	assert_int_equal(stray->is_root, 1);
	assert_int_equal(stray->bytes, 2);
	assert_memory_equal(stray->after, "\x22\x11", 2);
	assert_memory_equal(stray->before, "\0\0", 2);
	assert_true(stray->frame_count >= 2);
	assert_true(RF_SUPER->log_tail > 0); /* it has not committed */
	rf_tx_recover();
	assert_int_equal(thing->other, 0);
	assert_int_equal(thing->word, 0); /* put back by hand */
}

static int change_next(void *unused)
{
	begin();
	rf_tx_begin();
	thing->next->other++;
	rf_tx_commit();
	return unused != NULL;
}

static void a_block_is_named_by_the_slot_that_leads_to_it(void **state)
{
	(void)state;
	assert_int_equal(end_of(change_next), FOUND);
	assert_int_equal(scene->stray.block, (uint64_t)thing->next);
	assert_int_equal(scene->stray.address - scene->stray.block, 8);
	assert_string_equal(scene->stray.slot, "things");
	assert_int_equal(scene->stray.is_root, 0);
}

static int change_behind_the_log(void *unused)
{
	begin();
	rf_tx_begin();
	rf_tx_log(thing->large + 5000, 100);
	memset(thing->large + 5000, 1, 101);
	rf_tx_commit();
	return unused != NULL;
}

static void one_byte_behind_what_was_logged_is_found(void **state)
{
	(void)state;
	assert_int_equal(end_of(change_behind_the_log), FOUND);
	assert_int_equal(scene->stray.address, (uint64_t)(thing->large + 5100));
	assert_int_equal(scene->stray.bytes, 1);
	assert_int_equal(scene->stray.block, (uint64_t)thing->large);
}

static int change_and_free(void *unused)
{
	begin();
	rf_tx_begin();
	thing->next->word = 9;
	rf_free(thing->next);
	RF_SET(thing->next, NULL);
	rf_tx_commit();
	return unused != NULL;
}

static void a_block_that_is_freed_must_still_be_logged(void **state)
{
	(void)state;
	assert_int_equal(end_of(change_and_free), FOUND);
	rf_tx_recover();
	assert_int_equal(scene->stray.address, (uint64_t)&thing->next->word);
}

static int change_slot(void *unused)
{
	begin();
	rf_tx_begin();
	RF_SUPER->slots[0].version++;
	rf_tx_commit();
	return unused != NULL;
}

static void a_change_of_the_slots_is_found(void **state)
{
	(void)state;
	assert_int_equal(end_of(change_slot), FOUND);
	assert_int_equal(scene->stray.spot, RF_SPOT_SLOTS);
}

static int change_outside(void *unused)
{
	begin();
	thing->word = 1;
	return unused != NULL;
}

static void outside_of_a_transaction_it_is_a_crash_without_any_key(void **state)
{
	(void)state;
	assert_int_equal(end_of(change_outside), 128 + SIGSEGV);
	assert_int_equal(thing->word, 0);
}

static int change_in_the_second(void *unused)
{
	begin();
	for (int i = 0; i < 3; i++) {
		rf_tx_begin();
		RF_SET(thing->word, (uint64_t)i + 1);
		if (i == 0)
			RF_SET(thing->other, 6);
		if (i == 2)
			thing->other = 7;
		if (rf_tx_commit() != 0)
			return 1;
	}
	return unused != NULL;
}

static void each_transaction_is_compared_anew(void **state)
{
	(void)state;
	assert_int_equal(end_of(change_in_the_second), FOUND);
	assert_int_equal(scene->stray.address, (uint64_t)&thing->other);
	rf_tx_recover();
	assert_int_equal(thing->word, 2);
}

/* ---- what must not ---- */

static void change_some(void **blocks)
{
	size_t at = random_below(64), bytes = 1 + random_below(9000);

	rf_free(blocks[at]);
	blocks[at] = rf_alloc_uninit(bytes);
	random_fill(blocks[at], bytes); /* T4: new */
	at = random_below(64);
	if (blocks[at] == NULL || rf_usable(blocks[at]) < 24)
		return;
	rf_tx_log((uint8_t *)blocks[at] + 7, 16);
	random_fill((uint8_t *)blocks[at] + 7, 16);
}

static int change_a_lot(void *unused)
{
	static void *blocks[64], *next[64];

	begin();
	for (int i = 0; i < 20000; i++) {
		memcpy(next, blocks, sizeof next);
		rf_tx_begin();
		change_some(next);
		if (i % 7 == 0) {
			rf_tx_abort();
			continue;
		}
		if (rf_tx_commit() != 0)
			return 1;
		memcpy(blocks, next, sizeof blocks);
	}
	return unused != NULL;
}

static int change_and_abort(void *unused)
{
	begin();
	rf_tx_begin();
	thing->word = 1;
	rf_tx_abort();
	rf_tx_begin();
	return rf_tx_commit() == 0 && unused == NULL ? 0 : 1;
}

static int change_to_the_same(void *unused)
{
	uint64_t was = thing->word;

	begin();
	rf_tx_begin();
	*(volatile uint64_t *)&thing->word = was;
	return rf_tx_commit() == 0 && unused == NULL ? 0 : 1;
}

static int log_late_but_whole(void *unused)
{
	begin();
	rf_tx_begin();
	RF_SET(thing->word, 1);
	RF_SET(thing->word, 2);
	rf_tx_log(thing, sizeof *thing);
	memset(thing, 3, sizeof *thing);
	return rf_tx_commit() == 0 && unused == NULL ? 0 : 1;
}

static void what_is_logged_or_new_or_aborted_is_left_alone(void **state)
{
	(void)state;
	assert_int_equal(end_of(change_a_lot), 0);
	assert_int_equal(end_of(change_and_abort), 0);
	assert_int_equal(end_of(change_to_the_same), 0);
	assert_int_equal(end_of(log_late_but_whole), 0);
}

static int grow_the_log(void *unused)
{
	begin();
	rf_tx_begin();
	for (int i = 0; i < 40; i++)
		rf_tx_write(rf_alloc(LARGE_BYTES), "x", 1);
	for (size_t at = 0; at < LARGE_BYTES; at++)
		RF_SET(thing->large[at], 5);
	return rf_tx_commit() == 0 && unused == NULL ? 0 : 1;
}

static void the_log_and_the_heap_grow_as_always(void **state)
{
	(void)state;
	assert_int_equal(end_of(grow_the_log), 0);
}

static void *write_unguarded(void *at)
{
	rf_unguarded_begin();
	*(uint64_t *)at += 1;
	rf_unguarded_end();
	return NULL;
}

static int share_with_a_thread(void *unused)
{
	pthread_t thread;
	void *own = thing->large + 8192;

	begin();
	for (int i = 0; i < 3; i++) {
		rf_tx_begin();
		pthread_create(&thread, NULL, write_unguarded, own);
		pthread_join(thread, NULL);
		RF_SET(thing->word, 1);
		if (rf_tx_commit() != 0)
			return 1;
		write_unguarded(own);
	}
	return unused != NULL;
}

static void what_threads_write_unguarded_is_not_looked_at(void **state)
{
	(void)state;
	assert_int_equal(end_of(share_with_a_thread), 0);
}

/* ---- what stands where ---- */

static void any_address_inside_a_block_finds_it(void **state)
{
	uint64_t block, bytes;

	(void)state;
	for (size_t at = 0; at < LARGE_BYTES; at += 999) {
		assert_true(rf_spot_block(
			(uint64_t)thing->large + at, &block, &bytes));
		assert_int_equal(block, (uint64_t)thing->large);
	}
	for (size_t at = 0; at < sizeof *thing; at++) {
		assert_true(rf_spot_block(
			(uint64_t)thing->next + at, &block, &bytes));
		assert_int_equal(block, (uint64_t)thing->next);
	}
	assert_false(rf_spot_block(RF_ARENA_BASE, &block, &bytes));
	assert_false(rf_spot_block(
		(uint64_t)thing->next + sizeof *thing, &block, &bytes));
}

static enum rf_spot spot_of(const void *at)
{
	struct rf_crash_stray stray = {.address = (uint64_t)at};

	rf_spot_describe(&stray);
	return (enum rf_spot)stray.spot;
}

static void each_part_of_the_arena_has_a_name(void **state)
{
	const uint8_t *base = (const uint8_t *)RF_ARENA_BASE;

	(void)state;
	assert_int_equal(spot_of(state), RF_SPOT_NONE);
	assert_int_equal(spot_of(&RF_SUPER->attempt), RF_SPOT_SUPER);
	assert_int_equal(spot_of(&RF_SUPER->slots[3]), RF_SPOT_SLOTS);
	assert_int_equal(spot_of(&RF_SUPER->heap), RF_SPOT_HEAP);
	assert_int_equal(spot_of(base + RF_SUPER->log_off), RF_SPOT_LOG);
	assert_int_equal(spot_of(base + RF_SUPER->map_off), RF_SPOT_HEAP);
	assert_int_equal(spot_of(thing), RF_SPOT_BLOCK);
	assert_int_equal(spot_of(thing->next + 1), RF_SPOT_FREE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_unlogged_change_aborts_before_it_commits),
		TEST(a_block_is_named_by_the_slot_that_leads_to_it),
		TEST(one_byte_behind_what_was_logged_is_found),
		TEST(a_block_that_is_freed_must_still_be_logged),
		TEST(a_change_of_the_slots_is_found),
		TEST(outside_of_a_transaction_it_is_a_crash_without_any_key),
		TEST(each_transaction_is_compared_anew),
		TEST(what_is_logged_or_new_or_aborted_is_left_alone),
		TEST(the_log_and_the_heap_grow_as_always),
		TEST(what_threads_write_unguarded_is_not_looked_at),
		TEST(any_address_inside_a_block_finds_it),
		TEST(each_part_of_the_arena_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
