/* SPDX-License-Identifier: MIT */
/* test_verify_arena.c -- the verifier finds what has leaked, what is reached
 * twice and what leads nowhere, and says where.
 *
 * A worker with one slot: a list of its own, a dict and a container of each
 * kind. Damage that a walker might follow for ever is planted; the alarm ends a
 * process that does.
 */
#include "scratch_arena.h"
#include "suite.h"
#include <containers/list_form.h>
#include <refork/dict.h>
#include <refork/history.h>
#include <refork/map.h>
#include <refork/set.h>
#include <refork/slot.h>
#include <refork/sorted.h>
#include <refork/string.h>
#include <refork/walk.h>
#include <super.h>
#include <verify/verify.h>

#define SECONDS 30
#define VERSION 7

struct node {
	struct node *next;
	char text[24];
};

struct root {
	struct node *nodes;
	struct rf_dict dict;
	struct rf_list list;
	struct rf_map map;
	struct rf_set set;
	struct rf_sorted sorted;
	struct rf_history history;
	struct rf_string *string;
};

static struct root *root;

/* ---- the worker ---- */

static void walk_string(
	struct rf_walk *walk, const struct rf_dict_entry *entry, void *context)
{
	struct rf_walk_scope scope;

	(void)context;
	rf_walk_enter(walk, &scope, "key", entry->key, entry->key_bytes);
	rf_walk_string(walk, entry->value);
	rf_walk_leave(walk);
}

static void walk(struct rf_walk *walk)
{
	const struct root *at = rf_walk_slot(
		walk, "root", "root", VERSION, sizeof(struct root));

	if (at == NULL)
		return;
	for (const struct node *node = at->nodes; node != NULL;
		node = node->next)
		if (!rf_walk_block(walk, node, sizeof *node, "node"))
			break;
	rf_walk_thing(walk, &at->dict, "dict", rf_dict_count(&at->dict));
	rf_walk_dict(walk, &at->dict, walk_string, NULL);
	rf_walk_list(walk, &at->list);
	rf_walk_map(walk, &at->map);
	rf_walk_set(walk, &at->set);
	rf_walk_sorted(walk, &at->sorted);
	rf_walk_history(walk, &at->history);
	if (at->string != NULL)
		rf_walk_string(walk, at->string);
}

static int verified;

static int verify_by_itself(void)
{
	return verified++, -EBADMSG;
}

static const struct rf_worker worker = {.state_version = 1, .walk = walk};

/* ---- what the verifier says ---- */

static struct {
	struct rf_verify_result out;
	char first[400]; /* problem */
	const void *at;
	char slot[40];
	char thing[300], found[300];
} said;

static void on_problem(void *context, const struct rf_verify_problem *problem)
{
	assert_ptr_equal(context, &said);
	if (said.first[0] != '\0')
		return;
	snprintf(said.first, sizeof said.first, "%s", problem->text);
	snprintf(said.slot, sizeof said.slot, "%s", problem->slot);
	said.at = problem->at;
}

static void on_thing(void *context, const void *at, const char *path,
	const char *kind, uint64_t items)
{
	(void)context;
	(void)at;
	snprintf(said.thing, sizeof said.thing, "%s: %s, %llu", path, kind,
		(unsigned long long)items);
}

static void on_found(void *context, const void *block, size_t bytes,
	const char *path, const char *what)
{
	(void)context;
	(void)block;
	snprintf(said.found, sizeof said.found, "%s: %s, %zu", path, what,
		bytes);
}

static int verify_as(const struct rf_worker *as, const void *wanted)
{
	struct rf_verify_conf conf = {
		.worker = as,
		.problem = on_problem,
		.thing = on_thing,
		.wanted = wanted,
		.found = wanted != NULL ? on_found : NULL,
		.context = &said,
	};

	memset(&said, 0, sizeof said);
	return rf_verify(&conf, &said.out);
}

static int verify(void)
{
	return verify_as(&worker, NULL);
}

static void expect_problem(const char *part)
{
	assert_int_equal(verify(), -EBADMSG);
	assert_true(said.out.problems > 0);
	if (strstr(said.first, part) == NULL)
		fail_msg("said '%s', expected '%s'", said.first, part);
}

#define PLANT(lvalue, fault, part)                                             \
	do {                                                                   \
		__typeof__(lvalue) sound = (lvalue);                           \
		(lvalue) = (fault);                                            \
		expect_problem(part);                                          \
		(lvalue) = sound;                                              \
		assert_int_equal(verify(), 0);                                 \
	} while (0)

/* ---- the stage ---- */

static void add_nodes(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct node *node = rf_alloc(sizeof *node);

		node->next = root->nodes;
		RF_SET(root->nodes, node);
	}
}

static void fill(unsigned count)
{
	char text[32];

	for (unsigned i = 0; i < count; i++) {
		size_t bytes = (size_t)snprintf(text, sizeof text, "it:%u", i);
		struct rf_dict_entry *entry =
			rf_dict_put(&root->dict, text, bytes, NULL);

		RF_SET(entry->value, rf_string_set(NULL, text, bytes));
		rf_list_push(&root->list, RF_TAIL, text, bytes);
		rf_map_put(&root->map, text, bytes, text, bytes);
		rf_set_add(&root->set, text, bytes);
		rf_sorted_put(&root->sorted, text, bytes, i);
		rf_history_add(&root->history, text, bytes);
	}
}

static int set_up(void **state)
{
	void *at;

	(void)state;
	alarm(SECONDS);
	if (scratch_arena_create((uint64_t)64 << 20) != 0)
		return -1;
	rf_list_limit(200);
	rf_tx_begin();
	rf_arena_set_state_version(1);
	if (rf_slot_open("root", "root", VERSION, sizeof *root, &at, NULL) != 0)
		return -1;
	root = at;
	rf_history_resize(&root->history, 10);
	add_nodes(5);
	fill(2000);
	RF_SET(root->string, rf_string_set(NULL, "text", 4));
	if (rf_tx_commit() != 0)
		return -1;
	return verify();
}

static int tear_down(void **state)
{
	(void)state;
	scratch_arena_destroy();
	alarm(0);
	return 0;
}

/* ---- tests ---- */

static void a_sound_arena_has_no_problem_and_no_leak(void **state)
{
	(void)state;
	assert_int_equal(verify(), 0);
	assert_int_equal(said.out.problems, 0);
	assert_true(said.out.leaks_known);
	assert_int_equal(said.out.leaks, 0);
	assert_int_equal(said.out.blocks, said.out.reached);
	assert_int_equal(said.out.block_bytes, rf_heap_used());
	assert_string_equal(said.thing, "root: dict, 2000");
}

static void blocks_are_counted_by_what_they_are(void **state)
{
	uint64_t blocks = 0, bytes = 0;

	(void)state;
	assert_int_equal(verify(), 0);
	for (uint32_t i = 0; i < said.out.tally_count; i++) {
		const struct rf_verify_tally *tally = &said.out.tallies[i];

		blocks += tally->blocks;
		bytes += tally->bytes;
		assert_string_equal(tally->slot, "root");
		if (strcmp(tally->what, "node") == 0)
			assert_int_equal(tally->blocks, 5);
	}
	assert_int_equal(blocks, said.out.blocks);
	assert_int_equal(bytes, said.out.block_bytes);
}

static void the_owner_of_an_address_is_told(void **state)
{
	const struct rf_dict_entry *entry =
		rf_dict_find(&root->dict, "it:77", 5);

	(void)state;
	assert_int_equal(verify_as(&worker, (const char *)entry->value + 3), 0);
	assert_string_equal(said.found, "root: key 'it:77': string, 16");
	assert_int_equal(verify_as(&worker, &root->list), 0);
	assert_string_equal(said.found, "root: slot root, 112");
}

static void a_leak_is_told_with_its_address(void **state)
{
	void *lost;

	(void)state;
	rf_tx_begin();
	lost = rf_alloc(100);
	assert_int_equal(rf_tx_commit(), 0);
	expect_problem("leaked");
	assert_ptr_equal(said.at, lost);
	assert_int_equal(said.out.leaks, 1);
	assert_int_equal(said.out.leak_bytes, rf_usable(lost));
	assert_int_equal(said.out.problems, 1);
	rf_tx_begin();
	rf_free(lost);
	assert_int_equal(rf_tx_commit(), 0);
	assert_int_equal(verify(), 0);
}

static void a_large_leak_is_one_block(void **state)
{
	(void)state;
	rf_tx_begin();
	rf_alloc_uninit(300000);
	assert_int_equal(rf_tx_commit(), 0);
	expect_problem("leaked");
	assert_int_equal(said.out.leaks, 1);
	assert_true(said.out.leak_bytes >= 300000);
}

static void without_a_walk_nobody_knows_what_leaks(void **state)
{
	struct rf_worker older = {
		.state_version = 1, .verify = verify_by_itself};
	struct rf_verify_conf conf = {.worker = &older, .has_built = true};

	(void)state;
	verified = 0;
	assert_int_equal(verify_as(&older, NULL), 0);
	assert_false(said.out.leaks_known);
	assert_int_equal(verified, 0); /* its build has not run here */
	assert_int_equal(rf_verify(&conf, &said.out), -EBADMSG);
	assert_int_equal(verified, 1);
	assert_int_equal(verify_as(NULL, NULL), 0);
}

static void what_is_reached_twice_is_told_with_both(void **state)
{
	struct node *last = root->nodes->next->next->next->next;

	(void)state;
	assert_null(last->next);
	PLANT(last->next, root->nodes, "reached a second time");
	PLANT(last->next, last, "reached a second time");
	PLANT(root->string, rf_dict_find(&root->dict, "it:7", 4)->value,
		"reached a second time");
	last->next = root->nodes;
	expect_problem("root: node of 32 bytes");
	assert_string_equal(said.slot, "root");
	assert_ptr_equal(said.at, root->nodes);
}

static void pointers_to_nowhere_are_told(void **state)
{
	struct node *second = root->nodes->next;
	void *const wild[] = {(void *)16, (void *)UINT64_C(0x7ffffffff000),
		(void *)(UINT64_MAX - 15), (char *)second + 8,
		(void *)RF_ARENA_BASE, (char *)second + 1};

	(void)state;
	for (size_t i = 0; i < sizeof wild / sizeof *wild; i++) {
		PLANT(root->nodes, wild[i], "node of 32 bytes");
		PLANT(root->string, wild[i], "string of 8 bytes");
		PLANT(root->dict.segments, wild[i], "dict");
		PLANT(root->list.word, (uint64_t)wild[i] | LIST_BIG, "list");
		PLANT(root->map.word, (uint64_t)wild[i] | 1, "map");
		PLANT(root->set.word, (uint64_t)wild[i] | 1, "set");
		PLANT(root->sorted.word, (uint64_t)wild[i] | 1, "sorted");
		PLANT(root->history.ring, wild[i], "history");
	}
}

static void every_problem_is_told_not_just_the_first(void **state)
{
	(void)state;
	root->string = (void *)16;
	root->history.ring = (void *)16;
	root->map.word = 17;
	RF_SUPER->slots[5].bytes = 1;
	RF_SUPER->desk.conns[3] = (void *)16;
	assert_int_equal(verify(), -EBADMSG);
	assert_true(said.out.problems - said.out.leaks == 6);
	assert_true(said.out.leaks > 10);
}

static void a_slot_of_another_shape_is_told(void **state)
{
	struct rf_slot *slot = RF_SUPER->slots;

	(void)state;
	PLANT(slot->version, 8, "version 8");
	PLANT(slot->bytes, 96, "of 96");
	PLANT(slot->type[0], 'x', "'xoot'");
	PLANT(slot->reserved, 1, "not used");
	PLANT(slot->root, (char *)slot->root + 8, "slot root");
	PLANT(RF_SUPER->state_version, 2, "version 2");
}

static void branches_that_have_grown_together_end(void **state)
{
	struct rf_tree_node *top = list_big(&root->list)->tree.root;

	(void)state;
	assert_true(top->level > 0 && top->used > 2);
	/* All children are one; and nobody counts the nodes. */
	list_big(&root->list)->tree.node_count = UINT32_MAX;
	for (uint32_t i = 1; i < top->used; i++)
		top->slots[i].to = top->slots[0].to;
	expect_problem("reached a second time");
	assert_int_equal(rf_list_check(&root->list, "list"), -EBADMSG);
}

static struct rf_run *run_of(const void *block)
{
	uint64_t off = (uint64_t)block - RF_ARENA_BASE - RF_SUPER->heap_off;
	const uint32_t *map =
		(const uint32_t *)(RF_ARENA_BASE + RF_SUPER->map_off);

	return (struct rf_run *)(RF_ARENA_BASE + RF_SUPER->runs_off) +
	       map[off >> RF_PAGE_SHIFT];
}

static void a_run_that_lies_takes_no_other_with_it(void **state)
{
	struct rf_run *run = run_of(root->nodes);

	(void)state;
	PLANT(run->pages, UINT32_MAX, "");
	assert_true(said.out.blocks > 4000);
	PLANT(run->kind, 77, "");
	PLANT(run->klass, 255, "");
	PLANT(run->first, run->first + 1, "");
	PLANT(run->first, UINT32_MAX, "");
	PLANT(RF_SUPER->heap.run_count, UINT32_MAX, "");
	PLANT(RF_SUPER->heap.run_count, 1, "");
	PLANT(RF_SUPER->heap.page_count, UINT32_MAX, "");
	PLANT(RF_SUPER->heap.page_count, 3, "");
	run->pages = 0;
	assert_int_equal(verify(), -EBADMSG);
	assert_false(said.out.leaks_known);
}

static void what_is_half_done_is_told(void **state)
{
	(void)state;
	rf_tx_begin();
	add_nodes(1);
	expect_problem("rolled back first");
	rf_tx_abort();
	assert_int_equal(verify(), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_sound_arena_has_no_problem_and_no_leak),
		TEST(blocks_are_counted_by_what_they_are),
		TEST(the_owner_of_an_address_is_told),
		TEST(a_leak_is_told_with_its_address),
		TEST(a_large_leak_is_one_block),
		TEST(without_a_walk_nobody_knows_what_leaks),
		TEST(what_is_reached_twice_is_told_with_both),
		TEST(pointers_to_nowhere_are_told),
		TEST(every_problem_is_told_not_just_the_first),
		TEST(a_slot_of_another_shape_is_told),
		TEST(branches_that_have_grown_together_end),
		TEST(a_run_that_lies_takes_no_other_with_it),
		TEST(what_is_half_done_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
