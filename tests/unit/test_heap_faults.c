/* SPDX-License-Identifier: MIT */
/* test_heap_faults.c -- the heap where something goes wrong.
 *
 * Its user is killed at any moment, frees what is not his, or has damaged what
 * the walker walks. The model of its normal life is in test_heap.c.
 */
#include "scratch_arena.h"
#include "suite.h"
#include <heap/pages.h>

static int set_up(void **state)
{
	(void)state;
	return scratch_arena_create((uint64_t)64 << 20);
}

static int tear_down(void **state)
{
	(void)state;
	scratch_arena_destroy();
	return 0;
}

/* ---- deaths ---- */

/* A list of blocks, each a random size, that sums to a number in the root. */
struct node {
	struct node *next;
	size_t bytes;
	uint8_t fill[];
};

struct root {
	struct node *first;
	size_t nodes;
	size_t bytes;
};

static struct root *root;

static void push_node(void)
{
	size_t bytes = random_below(20000) + 1;
	struct node *node = rf_try_alloc(sizeof *node + bytes);

	if (node == NULL)
		return;
	node->bytes = bytes;
	node->next = root->first;
	memset(node->fill, (int)bytes, bytes);
	RF_SET(root->first, node);
	RF_SET(root->nodes, root->nodes + 1);
	RF_SET(root->bytes, root->bytes + bytes);
}

static void pop_node(void)
{
	struct node *node = root->first;

	if (node == NULL)
		return;
	RF_SET(root->first, node->next);
	RF_SET(root->nodes, root->nodes - 1);
	RF_SET(root->bytes, root->bytes - node->bytes);
	rf_free(node);
}

static int change_the_list_for_ever(void *unused)
{
	(void)unused;
	if (rf_lease_take(1000, false) < 0)
		return 1;
	for (uint64_t round = 0;; round++) {
		size_t steps = random_below(10);

		rf_tx_begin();
		while (steps-- > 0)
			if (random_below(8) < (round / 64 % 2 == 0 ? 5u : 3u))
				push_node();
			else
				pop_node();
		if (random_below(4) == 0)
			rf_tx_abort();
		else
			rf_tx_commit();
	}
}

static void check_the_list(void)
{
	size_t nodes = 0, bytes = 0;

	for (struct node *node = root->first; node != NULL; node = node->next) {
		nodes++;
		bytes += node->bytes;
		assert_true(is_filled(
			node->fill, node->bytes, (uint8_t)node->bytes));
	}
	assert_int_equal(nodes, root->nodes);
	assert_int_equal(bytes, root->bytes);
}

static void a_kill_at_any_moment_leaves_a_whole_heap(void **state)
{
	unsigned undone = 0;

	(void)state;
	rf_tx_begin();
	root = rf_alloc(sizeof *root);
	assert_int_equal(rf_tx_commit(), 0);
	for (int i = 0; i < 300; i++) {
		pid_t child;

		rf_lease_give();
		child = fork_child(change_the_list_for_ever, NULL);
		nap_us((unsigned)random_below(4000));
		kill_child(child);
		undone += RF_SUPER->log_tail != 0;
		assert_true(rf_lease_take(0, false) >= 0);
		assert_int_equal(rf_heap_check(), 0);
		check_the_list();
	}
	assert_true(undone > 0);
	while (root->nodes > 0) {
		rf_tx_begin();
		pop_node();
		assert_int_equal(rf_tx_commit(), 0);
	}
	assert_int_equal(rf_heap_used(), rf_usable(root));
}

/* ---- broken callers ---- */

/* Small and large blocks in a row, so that each has neighbours. */
static uint8_t *small[4], *large[4];

static int double_free(void *block)
{
	rf_tx_begin();
	rf_free(block);
	rf_free(block);
	rf_tx_commit();
	return 0;
}

static int free_again_later(void *block)
{
	rf_tx_begin();
	rf_free(block);
	rf_tx_commit();
	rf_tx_begin();
	rf_free(block);
	rf_tx_commit();
	return 0;
}

/* The block before it is free: the run it was becomes part of another. */
static int double_free_behind_a_free_run(void *unused)
{
	(void)unused;
	rf_tx_begin();
	rf_free(large[1]);
	rf_tx_commit();
	return double_free(large[2]);
}

static int free_again_behind_a_free_run(void *unused)
{
	(void)unused;
	rf_tx_begin();
	rf_free(large[1]);
	rf_tx_commit();
	return free_again_later(large[2]);
}

/* A block starts where, in the middle of an older one, one started before. */
static int free_inside_a_later_block(void *unused)
{
	uint8_t *over;

	(void)unused;
	rf_tx_begin();
	rf_free(large[1]);
	rf_free(large[2]);
	rf_tx_commit();
	rf_tx_begin();
	over = rf_alloc(2 * rf_usable(large[0]));
	if (over != large[1])
		return 1;
	rf_free(large[2]);
	rf_tx_commit();
	return 0;
}

static int free_this(void *at)
{
	rf_tx_begin();
	rf_free(at);
	rf_tx_commit();
	return 0;
}

static int free_without_begin(void *block)
{
	rf_free(block);
	return 0;
}

static int take_nothing(void *unused)
{
	(void)unused;
	rf_tx_begin();
	rf_alloc(0);
	return 0;
}

/* In an arena of its own: the same addresses every time. */
static void make_neighbours(void)
{
	tear_down(NULL);
	assert_int_equal(set_up(NULL), 0);
	rf_tx_begin();
	for (int i = 0; i < 4; i++)
		small[i] = rf_alloc(100);
	for (int i = 0; i < 4; i++)
		large[i] = rf_alloc(20000);
	assert_int_equal(rf_tx_commit(), 0);
}

static void misuse_ends_the_process_before_it_does_harm(void **state)
{
	uint8_t on_stack[64];

	make_neighbours();
	const struct {
		const char *what;
		int (*body)(void *);
		void *arg;
	} misuses[] = {
		{"small twice", double_free, small[1]},
		{"small again", free_again_later, small[1]},
		{"large twice", double_free, large[1]},
		{"large again", free_again_later, large[1]},
		{"twice behind free", double_free_behind_a_free_run, NULL},
		{"again behind free", free_again_behind_a_free_run, NULL},
		{"old start", free_inside_a_later_block, NULL},
		{"inside small", free_this, small[1] + 16},
		{"inside large", free_this, large[1] + 16},
		{"page in large", free_this, large[1] + 4096},
		{"never taken", free_this, small[3] + 112},
		{"free page", free_this, large[3] + 8 * 4096},
		{"superblock", free_this, RF_SUPER},
		{"stack", free_this, on_stack},
		{"no transaction", free_without_begin, small[1]},
		{"no bytes", take_nothing, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof misuses / sizeof *misuses; i++) {
		int status;

		make_neighbours();
		status = run_child(misuses[i].body, misuses[i].arg);
		rf_tx_recover();
		if (signal_of(status) != SIGABRT || rf_heap_check() != 0)
			fail_msg("%s: status %#x", misuses[i].what, status);
	}
}

static void the_walker_reports_each_planted_fault(void **state)
{
	struct rf_heap_shm *heap = &RF_SUPER->heap;
	struct rf_run *run, saved;
	uint32_t page;

	(void)state;
	make_neighbours();
	page = (uint32_t)((size_t)(small[0] - rf_page_at(0)) / RF_PAGE_BYTES);
	run = rf_page_run(page);
	saved = *run;

#define PLANTED(change, undo)                                                  \
	do {                                                                   \
		change;                                                        \
		assert_int_equal(rf_heap_check(), -EBADMSG);                   \
		undo;                                                          \
		assert_int_equal(rf_heap_check(), 0);                          \
	} while (0)
	PLANTED(run->first++, *run = saved);
	PLANTED(run->bitmap[0] ^= 4, *run = saved);
	PLANTED(run->bitmap[4] = 0, *run = saved);
	PLANTED(run->linked = 0, *run = saved);
	PLANTED(run->klass++, *run = saved);
	PLANTED(run->pages++, *run = saved);
	PLANTED(run->kind = RF_RUN_FREE, *run = saved);
	PLANTED(run->prev = 5, *run = saved);
	PLANTED(heap->used_bytes++, heap->used_bytes--);
	PLANTED(heap->bin_map[0][0] ^= 2, heap->bin_map[0][0] ^= 2);
	PLANTED(heap->bin_map[1][0] ^= 2, heap->bin_map[1][0] ^= 2);
	PLANTED(heap->page_count--, heap->page_count++);
	PLANTED(heap->run_count++, heap->run_count--);
	PLANTED(heap->free_pages[0]++, heap->free_pages[0]--);
	PLANTED(heap->free_pages[1]++, heap->free_pages[1]--);
	PLANTED(heap->spares[3] = *rf_page_map(page),
		heap->spares[3] = RF_RUN_NONE);
	PLANTED(*rf_page_map(page) ^= 1, *rf_page_map(page) ^= 1);
#undef PLANTED
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_kill_at_any_moment_leaves_a_whole_heap),
		TEST(misuse_ends_the_process_before_it_does_harm),
		TEST(the_walker_reports_each_planted_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
