/* SPDX-License-Identifier: MIT */
/* crash_sorted.c -- death in the ordered index: insert, move, remove; where a
 * pack becomes dict and tree, where leaves are split, joined, gone. */
#include "forget.h"
#include "sweep.h"
#include <refork/slot.h>
#include <refork/sorted.h>
#include <refork/tx.h>

enum verb { END, COMMIT, ABORT, PUT, REMOVE, RANKS, CLEAR };

/* Members first .. first + count - 1; PUT: with `score` and on by `step`. */
struct move {
	enum verb verb;
	unsigned first, count;
	double score, step;
};

struct play {
	uint32_t members; /* of a compact one */
	const struct move *before, *act;
};

static struct rf_sorted *sorted(void)
{
	return RF_SUPER->slots[0].root;
}

static void move(const struct move *move, unsigned i)
{
	char member[40];
	unsigned number = move->first + i;
	size_t bytes = (size_t)snprintf(
		member, sizeof member, number % 2 ? "member%u" : "%u", number);

	if (move->verb == PUT)
		rf_sorted_put(
			sorted(), member, bytes, move->score + i * move->step);
	else if (!rf_sorted_remove(sorted(), member, bytes))
		condemn("there is no %s", member);
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
		case RANKS:
			rf_sorted_remove_ranks(sorted(), at->first, at->count);
			break;
		case CLEAR:
			rf_sorted_clear_step(sorted(), at->count);
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

	rf_sorted_limits(what->members, 64);
	rf_tx_begin();
	if (rf_slot_open("sorted", "sorted", 1, sizeof(struct rf_sorted), &root,
		    NULL) != 0)
		condemn("there is no root");
	play(what->before);
	play((const struct move[]){{COMMIT, 0, 0, 0, 0}, {END, 0, 0, 0, 0}});
}

static void act(const struct scenario *self)
{
	const struct play *what = self->arg;

	play(what->act);
}

static int check(const struct scenario *self)
{
	(void)self;
	return rf_sorted_check(sorted(), "sorted");
}

static void forget(const struct scenario *self, struct image *image)
{
	(void)self;
	forget_sorted(image, sorted());
}

static const struct geometry roomy = {
	.page_max = 224,
	.heap = {{0, 224}},
};

#define MOVES(...)                                                             \
	((const struct move[]){                                                \
		__VA_ARGS__, {COMMIT, 0, 0, 0, 0}, {END, 0, 0, 0, 0}})
#define SORTED(the_name, the_limit, the_before, the_act)                       \
	SORTED_OF(the_name, 1, the_limit, the_before, the_act)
#define SORTED_OF(the_name, the_changes, the_limit, the_before, the_act)       \
	{                                                                      \
		.name = the_name, .geometry = &roomy, .prepare = prepare,      \
		.act = act, .changes = the_changes, .check = check,            \
		.forget = forget, .arg = &(const struct play)                  \
		{                                                              \
			the_limit, the_before, the_act                         \
		}                                                              \
	}

#define NOTHING                                                                \
	{                                                                      \
		COMMIT, 0, 0, 0, 0                                             \
	}
#define FEW                                                                    \
	{                                                                      \
		PUT, 0, 8, 1, 1.5                                              \
	}
/* One full leaf; leaves beside each other, with room for one more, but that the
 * last has more. */
#define LEAF                                                                   \
	{                                                                      \
		PUT, 0, 31, 1, 1                                               \
	}
#define LEAVES                                                                 \
	{                                                                      \
		PUT, 0, 100, 1, 1                                              \
	}
/* A full branch of such leaves. */
#define BRANCH                                                                 \
	{                                                                      \
		PUT, 0, 451, 1, 1                                              \
	}

static const struct scenario scenarios[] = {
	SORTED("the_first_member_is_put_or_not", 128, MOVES(NOTHING),
		MOVES({PUT, 0, 1, 1.25, 0})),
	SORTED("a_member_is_put_or_not", 128, MOVES(FEW),
		MOVES({PUT, 8, 1, 4, 0})),
	SORTED("a_score_changes_in_place_or_not", 128, MOVES(FEW),
		MOVES({PUT, 3, 1, 1 / 3.0 + 5, 0})),
	SORTED("a_member_moves_or_not", 128, MOVES(FEW),
		MOVES({PUT, 3, 1, 100, 0})),
	SORTED("a_member_is_removed_or_not", 128, MOVES(FEW),
		MOVES({REMOVE, 3, 1, 0, 0})),
	SORTED("the_last_member_is_removed_or_not", 128,
		MOVES({PUT, 0, 1, 1, 0}), MOVES({REMOVE, 0, 1, 0, 0})),
	SORTED("members_are_removed_by_rank_or_none", 128, MOVES(FEW),
		MOVES({RANKS, 2, 4, 0, 0})),

	SORTED("it_becomes_big_or_not", 8, MOVES(FEW),
		MOVES({PUT, 8, 1, 4, 0})),
	SORTED("it_begins_big_or_not", 0, MOVES(NOTHING),
		MOVES({PUT, 0, 2, 4, 0})),
	SORTED("a_member_is_put_in_a_tree_or_not", 0, MOVES(FEW),
		MOVES({PUT, 8, 1, 4, 0})),
	SORTED("a_score_changes_in_its_slot_or_not", 0, MOVES(FEW),
		MOVES({PUT, 3, 1, 5.6, 0})),
	SORTED("a_member_becomes_the_first_of_all_or_not", 0, MOVES(LEAVES),
		MOVES({PUT, 77, 1, -1, 0})),
	SORTED("the_only_member_moves_or_not", 0, MOVES({PUT, 0, 1, 1, 0}),
		MOVES({PUT, 0, 1, 2, 0})),
	SORTED("the_last_leaf_is_split_or_not", 0, MOVES(LEAF),
		MOVES({PUT, 31, 1, 99, 0})),
	SORTED("the_first_leaf_is_split_or_not", 0, MOVES(LEAF),
		MOVES({PUT, 31, 1, 0, 0})),
	SORTED("a_leaf_is_split_in_the_middle_or_not", 0, MOVES(LEAVES),
		MOVES({PUT, 100, 2, 7.5, 0})),
	SORTED("a_branch_is_split_or_not", 0, MOVES(BRANCH),
		MOVES({PUT, 451, 2, 7.5, 0})),

	SORTED("a_member_is_removed_from_a_tree_or_not", 0, MOVES(LEAVES),
		MOVES({REMOVE, 50, 1, 0, 0})),
	SORTED("the_first_of_a_leaf_is_removed_or_not", 0, MOVES(LEAVES),
		MOVES({RANKS, 30, 1, 0, 0})),
	SORTED("leaves_are_joined_or_not", 0,
		MOVES(LEAF, {PUT, 31, 1, 16.5, 0}, {RANKS, 16, 3, 0, 0}),
		MOVES({RANKS, 0, 9, 0, 0})),
	SORTED("leaves_go_and_the_root_with_them_or_not", 0, MOVES(LEAVES),
		MOVES({RANKS, 10, 85, 0, 0})),
	SORTED("the_last_member_of_a_tree_is_removed_or_not", 0,
		MOVES({PUT, 0, 1, 1, 0}), MOVES({REMOVE, 0, 1, 0, 0})),
	SORTED("a_tree_goes_or_not", 0, MOVES(FEW), MOVES({RANKS, 0, 8, 0, 0})),

	SORTED("an_index_is_cleared_or_not", 128, MOVES(FEW),
		MOVES({CLEAR, 0, 100, 0, 0})),
	SORTED_OF("a_tree_is_cleared_step_by_step", 4, 0, MOVES(LEAF),
		MOVES({CLEAR, 0, 9, 0, 0}, NOTHING, {CLEAR, 0, 9, 0, 0},
			NOTHING, {PUT, 40, 1, 5, 0}, NOTHING,
			{CLEAR, 0, 100, 0, 0})),
	SORTED_OF("what_is_aborted_has_never_been", 0, 8, MOVES(FEW),
		MOVES({PUT, 8, 9, 4, 1}, {RANKS, 3, 5, 0, 0},
			{ABORT, 0, 0, 0, 0})),
};

int main(int argc, char **argv)
{
	(void)argc;
	return sweep_main(
		argv, scenarios, sizeof scenarios / sizeof *scenarios);
}
