/* SPDX-License-Identifier: MIT */
/* crash_list.c -- death in the list: at its ends and within, where a pack
 * becomes a tree, is split, joins another, goes.
 *
 * Packs are kept small (the limit of each scenario), so that few elements make
 * a tree of several nodes.
 */
#include "forget.h"
#include "sweep.h"
#include <refork/list.h>
#include <refork/slot.h>
#include <refork/tx.h>

enum verb { END, COMMIT, ABORT, PUSH, INSERT, SET, REMOVE, CLEAR };

/* At `index` (PUSH: enum rf_end), `count` times or elements, of `bytes`. */
struct move {
	enum verb verb;
	unsigned index, count, bytes;
};

struct play {
	int64_t limit;
	const struct move *before, *act;
};

static struct rf_list *list(void)
{
	return RF_SUPER->slots[0].root;
}

static void move(const struct move *move, unsigned i)
{
	char text[1000];

	memset(text, 'a' + (int)(move->index + i) % 26, sizeof text);
	if (move->bytes == 0) /* a number */
		snprintf(text, sizeof text, "%u", i * 1000);
	switch (move->verb) {
	case PUSH:
		rf_list_push(list(), (enum rf_end)move->index, text,
			move->bytes > 0 ? move->bytes : strlen(text));
		break;
	case INSERT:
		rf_list_insert(list(), move->index, text, move->bytes);
		break;
	default:
		rf_list_set(list(), move->index + i, text, move->bytes);
		break;
	}
}

static void play(const struct move *at)
{
	for (; at->verb != END; at++) {
		switch (at->verb) {
		case COMMIT:
			if (rf_tx_commit() != 0)
				condemn("the commit fails");
			rf_tx_begin();
			break;
		case ABORT:
			rf_tx_abort();
			rf_tx_begin();
			break;
		case REMOVE:
			rf_list_remove(list(), at->index, at->count);
			break;
		case CLEAR:
			rf_list_clear_step(list(), at->count);
			break;
		default:
			for (unsigned i = 0; i < at->count; i++)
				move(at, i);
			break;
		}
	}
}

static void prepare(const struct scenario *self)
{
	const struct play *what = self->arg;
	void *root;

	rf_list_limit(what->limit);
	rf_tx_begin();
	if (rf_slot_open("list", "list", 1, sizeof(struct rf_list), &root,
		    NULL) != 0)
		condemn("there is no root");
	play(what->before);
	play((const struct move[]){{COMMIT, 0, 0, 0}, {END, 0, 0, 0}});
}

static void act(const struct scenario *self)
{
	const struct play *what = self->arg;

	play(what->act);
}

static int check(const struct scenario *self)
{
	(void)self;
	return rf_list_check(list(), "list");
}

static void forget(const struct scenario *self, struct image *image)
{
	(void)self;
	forget_list(image, list());
}

static const struct geometry roomy = {
	.page_max = 224,
	.heap = {{0, 224}},
};

#define MOVES(...)                                                             \
	((const struct move[]){__VA_ARGS__, {COMMIT, 0, 0, 0}, {END, 0, 0, 0}})
#define LIST(the_name, the_limit, the_before, the_act)                         \
	LIST_OF(the_name, 1, the_limit, the_before, the_act)
#define LIST_OF(the_name, the_changes, the_limit, the_before, the_act)         \
	{                                                                      \
		.name = the_name, .geometry = &roomy, .prepare = prepare,      \
		.act = act, .changes = the_changes, .check = check,            \
		.forget = forget, .arg = &(const struct play)                  \
		{                                                              \
			the_limit, the_before, the_act                         \
		}                                                              \
	}

#define FEW                                                                    \
	{                                                                      \
		PUSH, RF_TAIL, 5, 20                                           \
	}
#define MANY                                                                   \
	{                                                                      \
		PUSH, RF_TAIL, 40, 20                                          \
	}
/* Packs of 4 at the limit of 100: 34 leaf slots and more. */
#define DEEP                                                                   \
	{                                                                      \
		PUSH, RF_TAIL, 140, 20                                         \
	}

static const struct scenario scenarios[] = {
	LIST("the_first_element_is_pushed_or_not", 8192,
		MOVES({COMMIT, 0, 0, 0}), MOVES({PUSH, RF_TAIL, 1, 20})),
	LIST("an_element_is_pushed_at_the_tail_or_not", 8192, MOVES(FEW),
		MOVES({PUSH, RF_TAIL, 1, 20})),
	LIST("an_element_is_pushed_at_the_head_or_not", 8192, MOVES(FEW),
		MOVES({PUSH, RF_HEAD, 1, 20})),
	LIST("elements_are_pushed_at_both_ends_or_none", 8192, MOVES(FEW),
		MOVES({PUSH, RF_HEAD, 4, 0}, {PUSH, RF_TAIL, 9, 7})),
	LIST("an_element_is_popped_or_not", 8192, MOVES(FEW),
		MOVES({REMOVE, 4, 1, 0})),
	LIST("the_last_element_is_popped_or_not", 8192,
		MOVES({PUSH, RF_TAIL, 1, 20}), MOVES({REMOVE, 0, 1, 0})),
	LIST("an_element_is_inserted_or_not", 8192, MOVES(FEW),
		MOVES({INSERT, 2, 1, 9})),
	LIST("elements_are_set_or_none", 8192, MOVES(FEW),
		MOVES({SET, 1, 3, 20}, {SET, 4, 1, 500})),

	LIST("it_becomes_a_tree_or_not", 100, MOVES({PUSH, RF_TAIL, 4, 20}),
		MOVES({PUSH, RF_TAIL, 1, 20})),
	LIST("a_pack_is_added_at_the_head_or_not", 100, MOVES(MANY),
		MOVES({PUSH, RF_HEAD, 1, 20})),
	LIST("a_pack_is_split_or_not", 100, MOVES(MANY),
		MOVES({INSERT, 6, 1, 20})),
	LIST("a_pack_is_split_around_a_long_element_or_not", 100, MOVES(MANY),
		MOVES({INSERT, 6, 1, 300})),
	LIST("an_element_is_pushed_in_a_tree_or_not", 200, MOVES(MANY),
		MOVES({PUSH, RF_TAIL, 1, 20})),
	LIST("the_last_leaf_is_split_or_not", 100,
		MOVES({PUSH, RF_TAIL, 124, 20}), MOVES({PUSH, RF_TAIL, 1, 20})),
	LIST("the_first_leaf_is_split_or_not", 100,
		MOVES({PUSH, RF_HEAD, 124, 20}), MOVES({PUSH, RF_HEAD, 1, 20})),
	LIST("a_leaf_is_split_in_the_middle_or_not", 100,
		MOVES({PUSH, RF_TAIL, 124, 20}), MOVES({INSERT, 62, 1, 20})),
	LIST("an_element_becomes_longer_than_its_pack_or_not", 100, MOVES(MANY),
		MOVES({SET, 10, 1, 90})),

	LIST("an_element_is_popped_from_a_tree_or_not", 100, MOVES(MANY),
		MOVES({REMOVE, 39, 1, 0})),
	LIST("a_pack_goes_or_not", 100, MOVES(MANY), MOVES({REMOVE, 4, 4, 0})),
	LIST("packs_are_joined_or_not", 200,
		MOVES({PUSH, RF_TAIL, 24, 20}, {REMOVE, 9, 4, 0}),
		MOVES({REMOVE, 0, 6, 0})),
	LIST("elements_of_many_packs_are_removed_or_none", 100, MOVES(DEEP),
		MOVES({REMOVE, 10, 100, 0})),
	LIST("a_leaf_goes_and_the_root_with_it_or_not", 100, MOVES(DEEP),
		MOVES({REMOVE, 120, 20, 0})),
	LIST("it_becomes_one_pack_again_or_not", 200,
		MOVES({PUSH, RF_TAIL, 11, 20}, {REMOVE, 0, 6, 0}),
		MOVES({REMOVE, 0, 2, 0})),
	LIST("a_tree_goes_or_not", 100, MOVES(MANY), MOVES({REMOVE, 0, 40, 0})),

	LIST("a_list_is_cleared_or_not", 8192, MOVES(FEW),
		MOVES({CLEAR, 0, 100, 0})),
	LIST_OF("a_tree_is_cleared_step_by_step", 4, 100, MOVES(MANY),
		MOVES({CLEAR, 0, 9, 0}, {COMMIT, 0, 0, 0}, {CLEAR, 0, 9, 0},
			{COMMIT, 0, 0, 0}, {PUSH, RF_HEAD, 1, 9},
			{COMMIT, 0, 0, 0}, {CLEAR, 0, 100, 0})),
	LIST_OF("what_is_aborted_has_never_been", 0, 100, MOVES(MANY),
		MOVES({PUSH, RF_TAIL, 9, 20}, {INSERT, 11, 3, 20},
			{REMOVE, 3, 20, 0}, {ABORT, 0, 0, 0})),
};

int main(int argc, char **argv)
{
	(void)argc;
	return sweep_main(
		argv, scenarios, sizeof scenarios / sizeof *scenarios);
}
