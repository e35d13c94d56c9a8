/* SPDX-License-Identifier: MIT */
/* crash_containers.c -- death in packs, strings, maps, sets, timers and
 * histories. (Dicts, lists and sorted indexes have programs of their own.)
 *
 * All stand in one root. The limits of the compact forms are small, so that a
 * few members cross them.
 */
#include "forget.h"
#include "sweep.h"
#include <refork/heap.h>
#include <refork/history.h>
#include <refork/slot.h>
#include <refork/timers.h>
#include <refork/tx.h>
#include <string.h>

#define TIMERS 24u
#define NOW_MS INT64_C(1000000)

struct root {
	struct rf_pack *pack, *rest;
	struct rf_string *string;
	struct rf_map map;
	struct rf_set set;
	struct rf_timers timers;
	struct rf_history history;
	struct rf_timer *timer[TIMERS];
};

struct move {
	void (*verb)(const struct move *move);
	unsigned from, count, bytes;
};

struct play {
	const struct move *before, *act;
};

static struct root *root(void)
{
	return RF_SUPER->slots[0].root;
}

static char text[20000];

/* A number when `bytes` is 0. */
static size_t text_of(unsigned i, size_t bytes)
{
	memset(text, 'a' + (int)i % 26, bytes);
	return bytes > 0 ? bytes
			 : (size_t)snprintf(text, sizeof text, "%u", i * 77);
}

static void commit(const struct move *move)
{
	(void)move;
	if (rf_tx_commit() != 0)
		condemn("the commit fails");
	rf_tx_begin();
}

static void give_up(const struct move *move)
{
	(void)move;
	rf_tx_abort();
	rf_tx_begin();
}

/* ---- packs: `count` items from the place `from` on ---- */

static void pack_insert(const struct move *move)
{
	struct rf_pack *pack = root()->pack;

	if (pack == NULL)
		pack = rf_pack_create(0);
	for (unsigned i = 0; i < move->count; i++) {
		uint32_t at = rf_pack_at(pack, move->from + i);
		size_t bytes = text_of(move->from + i, move->bytes);

		pack = rf_pack_insert(pack, at, text, bytes);
	}
	RF_SET(root()->pack, pack);
}

static void pack_push(const struct move *move)
{
	struct rf_pack *pack = root()->pack;

	for (unsigned i = 0; i < move->count; i++)
		pack = rf_pack_insert(pack, rf_pack_first(pack), text,
			text_of(i, move->bytes));
	RF_SET(root()->pack, pack);
}

static void pack_replace(const struct move *move)
{
	uint32_t at = rf_pack_at(root()->pack, move->from);

	RF_SET(root()->pack, rf_pack_replace(root()->pack, at, text,
				     text_of(25, move->bytes)));
}

static void pack_erase(const struct move *move)
{
	uint32_t at = rf_pack_at(root()->pack, move->from);

	RF_SET(root()->pack, rf_pack_erase(root()->pack, at, move->count));
}

static void pack_split(const struct move *move)
{
	uint32_t at = rf_pack_at(root()->pack, move->from);

	RF_SET(root()->rest, rf_pack_split(root()->pack, at));
}

/* ---- strings ---- */

static void string_set(const struct move *move)
{
	size_t bytes = text_of(move->from, move->bytes);

	RF_SET(root()->string, rf_string_set(root()->string, text, bytes));
}

static void string_write(const struct move *move)
{
	size_t bytes = text_of(25, move->bytes);

	RF_SET(root()->string,
		rf_string_write(root()->string, move->from, text, bytes));
}

static void string_cut(const struct move *move)
{
	RF_SET(root()->string, rf_string_cut(root()->string, move->bytes));
}

/* ---- maps and sets: members by number ---- */

static size_t name_of(unsigned i, char *name)
{
	return (size_t)snprintf(name, 16, "field%u", i);
}

static void map_put(const struct move *move)
{
	char name[16];

	for (unsigned i = move->from; i < move->from + move->count; i++) {
		size_t bytes = text_of(i + move->bytes, move->bytes);

		rf_map_put(&root()->map, name, name_of(i, name), text, bytes);
	}
}

static void map_remove(const struct move *move)
{
	char name[16];

	for (unsigned i = move->from; i < move->from + move->count; i++)
		rf_map_remove(&root()->map, name, name_of(i, name));
}

static void map_clear(const struct move *move)
{
	rf_map_clear_step(&root()->map, move->count);
}

static size_t member_of(unsigned i, unsigned scale)
{
	return (size_t)snprintf(text, sizeof text, "%u", i * 2 * scale);
}

static void set_add(const struct move *move)
{
	for (unsigned i = move->from; i < move->from + move->count; i++)
		rf_set_add(&root()->set, text, member_of(i, move->bytes));
}

static void set_add_word(const struct move *move)
{
	(void)move;
	rf_set_add(&root()->set, "word", 4);
}

static void set_remove(const struct move *move)
{
	for (unsigned i = move->from; i < move->from + move->count; i++)
		rf_set_remove(&root()->set, text, member_of(i, move->bytes));
}

static void set_clear(const struct move *move)
{
	rf_set_clear_step(&root()->set, move->count);
}

/* ---- timers: `bytes` milliseconds from now on ---- */

static void arm(const struct move *move)
{
	for (unsigned i = move->from; i < move->from + move->count; i++) {
		if (root()->timer[i] == NULL)
			RF_SET(root()->timer[i],
				rf_alloc(sizeof(struct rf_timer)));
		rf_timers_arm(&root()->timers, root()->timer[i],
			NOW_MS + (int64_t)i * move->bytes, NOW_MS);
	}
}

static void disarm(const struct move *move)
{
	for (unsigned i = move->from; i < move->from + move->count; i++)
		rf_timers_disarm(&root()->timers, root()->timer[i]);
}

static void move_timer(const struct move *move)
{
	struct rf_timer *timer = rf_alloc(sizeof *timer);

	*timer = *root()->timer[move->from];
	rf_free(root()->timer[move->from]);
	RF_SET(root()->timer[move->from], timer);
	rf_timers_moved(timer);
}

static void on_due(struct rf_timer *timer, void *context)
{
	(void)context;
	for (unsigned i = 0; i < TIMERS; i++)
		if (root()->timer[i] == timer)
			RF_SET(root()->timer[i], NULL);
	rf_free(timer);
}

static void run(const struct move *move)
{
	rf_timers_run(&root()->timers, NOW_MS + move->bytes, move->count,
		on_due, NULL);
}

static void reset(const struct move *move)
{
	(void)move;
	rf_timers_reset(&root()->timers);
	for (unsigned i = 0; i < TIMERS; i++)
		if (root()->timer[i] != NULL)
			RF_SET(root()->timer[i]->link, NULL);
}

/* ---- histories ---- */

static void keep(const struct move *move)
{
	rf_history_resize(&root()->history, move->count);
}

static void add(const struct move *move)
{
	for (unsigned i = 0; i < move->count; i++)
		rf_history_add(&root()->history, text, text_of(i, move->bytes));
}

static void forget_all(const struct move *move)
{
	(void)move;
	rf_history_clear(&root()->history);
}

/* ---- the hooks ---- */

static void play(const struct move *move)
{
	for (; move->verb != NULL; move++)
		move->verb(move);
}

static void prepare(const struct scenario *self)
{
	const struct play *what = self->arg;
	void *at;

	rf_map_limits(6, 40);
	rf_set_limit(8);
	rf_tx_begin();
	if (rf_slot_open("root", "test", 1, sizeof(struct root), &at, NULL) !=
		0)
		condemn("there is no root");
	play(what->before);
	commit(NULL);
}

static void act(const struct scenario *self)
{
	const struct play *what = self->arg;

	play(what->act);
}

static bool is_timer(const struct rf_timer *timer)
{
	return rf_is_block(timer, sizeof *timer);
}

static int check(const struct scenario *self)
{
	const struct root *at = root();
	int error = 0;

	if (at->pack != NULL)
		error |= rf_pack_check(at->pack, "pack");
	if (at->rest != NULL)
		error |= rf_pack_check(at->rest, "rest");
	if (at->string != NULL)
		error |= rf_string_check(at->string, "string");
	(void)self;
	return error | rf_map_check(&at->map, "map") |
	       rf_set_check(&at->set, "set") |
	       rf_timers_check(&at->timers, is_timer, "timers") |
	       rf_history_check(&at->history, "history");
}

static void forget(const struct scenario *self, struct image *image)
{
	const struct root *at = root();

	(void)self;
	forget_pack(image, at->pack);
	forget_pack(image, at->rest);
	if (at->string != NULL)
		forget_string(image, at->string);
	forget_map(image, &at->map);
	forget_set(image, &at->set);
}

static const struct geometry roomy = {
	.page_max = 224,
	.heap = {{0, 224}},
};

#define MOVES(...)                                                             \
	((const struct move[]){__VA_ARGS__, {commit, 0, 0, 0}, {NULL, 0, 0, 0}})
#define PLAY(name, before, act) PLAY_OF(name, 1, before, act)
#define PLAY_OF(the_name, the_changes, the_before, the_act)                    \
	{                                                                      \
		.name = the_name, .geometry = &roomy, .prepare = prepare,      \
		.act = act, .changes = the_changes, .check = check,            \
		.forget = forget, .arg = &(const struct play)                  \
		{                                                              \
			the_before, the_act                                    \
		}                                                              \
	}
#define NOTHING	   MOVES({commit, 0, 0, 0})
#define ITEMS	   MOVES({pack_insert, 0, 12, 9})
#define FIELDS	   MOVES({map_put, 0, 5, 12})
#define TABLE	   MOVES({map_put, 0, 9, 30})
#define NUMBERS	   MOVES({set_add, 0, 6, 1})
#define ARMED	   MOVES({arm, 0, 20, 90})
#define REMEMBERED MOVES({keep, 0, 4, 0}, {add, 0, 6, 20})

static const struct scenario scenarios[] = {
	PLAY("the_first_item_is_put_in_a_pack_or_not", NOTHING,
		MOVES({pack_insert, 0, 1, 9})),
	PLAY("items_are_appended_or_none", ITEMS,
		MOVES({pack_insert, 12, 3, 0}, {pack_insert, 15, 2, 70})),
	PLAY("items_are_pushed_at_the_front_or_none", ITEMS,
		MOVES({pack_push, 0, 9, 9})),
	PLAY("an_item_is_inserted_near_the_end_or_not", ITEMS,
		MOVES({pack_insert, 10, 1, 2})),
	PLAY("items_are_inserted_near_the_front_or_none",
		MOVES({pack_insert, 0, 12, 9}, {commit, 0, 0, 0},
			{pack_erase, 0, 2, 0}),
		MOVES({pack_insert, 1, 1, 9}, {pack_insert, 3, 2, 300})),
	PLAY("an_item_is_replaced_by_one_of_its_length_or_not", ITEMS,
		MOVES({pack_replace, 4, 1, 9})),
	PLAY("items_are_replaced_by_others_or_none", ITEMS,
		MOVES({pack_replace, 4, 1, 3}, {pack_replace, 9, 1, 12},
			{pack_replace, 0, 1, 0})),
	PLAY("items_leave_the_ends_and_others_come_or_not", ITEMS,
		MOVES({pack_erase, 11, 1, 0}, {pack_insert, 11, 1, 5},
			{pack_erase, 0, 2, 0}, {pack_push, 0, 2, 5})),
	PLAY("items_leave_the_middle_or_not", ITEMS,
		MOVES({pack_erase, 3, 2, 0}, {pack_erase, 6, 2, 0})),
	PLAY("a_pack_shrinks_or_not", ITEMS, MOVES({pack_erase, 1, 9, 0})),
	PLAY("a_pack_is_split_and_grows_again_or_not", ITEMS,
		MOVES({pack_split, 7, 0, 0}, {pack_insert, 7, 2, 11})),
	PLAY("what_is_done_to_a_pack_of_pages_is_done_or_not",
		MOVES({pack_insert, 0, 2, 15000}),
		MOVES({pack_insert, 1, 1, 50}, {pack_replace, 2, 1, 9000})),
	PLAY_OF("a_pack_after_an_abort_is_what_it_was", 0, ITEMS,
		MOVES({pack_erase, 9, 3, 0}, {pack_insert, 9, 3, 9},
			{pack_push, 0, 1, 40}, {pack_replace, 2, 1, 2},
			{give_up, 0, 0, 0})),

	PLAY("a_string_is_made_or_not", NOTHING, MOVES({string_set, 0, 0, 20})),
	PLAY("a_string_is_set_in_place_or_not", MOVES({string_set, 0, 0, 40}),
		MOVES({string_set, 1, 0, 30}, {string_set, 2, 0, 40})),
	PLAY("a_string_moves_or_not", MOVES({string_set, 0, 0, 40}),
		MOVES({string_set, 1, 0, 200}, {string_set, 2, 0, 20000})),
	PLAY("a_string_is_written_within_and_behind_or_not",
		MOVES({string_set, 0, 0, 40}, {string_write, 40, 0, 1}),
		MOVES({string_write, 10, 0, 5}, {string_write, 50, 0, 5},
			{string_write, 300, 0, 1})),
	PLAY("a_string_is_cut_and_grows_or_not", MOVES({string_set, 0, 0, 40}),
		MOVES({string_cut, 0, 0, 30}, {string_write, 30, 0, 8},
			{string_write, 33, 0, 2})),
	PLAY("a_long_string_is_cut_or_not", MOVES({string_set, 0, 0, 20000}),
		MOVES({string_cut, 0, 0, 15000}, {string_cut, 0, 0, 9})),

	PLAY("the_first_field_is_put_or_not", NOTHING,
		MOVES({map_put, 0, 1, 0})),
	PLAY("a_field_is_put_or_not", FIELDS, MOVES({map_put, 5, 1, 12})),
	PLAY("values_are_put_or_none", FIELDS,
		MOVES({map_put, 1, 1, 12}, {map_put, 3, 1, 2},
			{map_put, 0, 1, 40})),
	PLAY("fields_are_removed_or_none", FIELDS,
		MOVES({map_remove, 4, 1, 0}, {map_remove, 1, 1, 0})),
	PLAY("the_last_field_is_removed_or_not", MOVES({map_put, 0, 1, 0}),
		MOVES({map_remove, 0, 1, 0})),
	PLAY("a_map_becomes_a_table_or_not", FIELDS, MOVES({map_put, 5, 2, 0})),
	PLAY("a_long_value_makes_a_table_or_not", FIELDS,
		MOVES({map_put, 2, 1, 300})),
	PLAY("values_of_a_table_are_put_or_none", TABLE,
		MOVES({map_put, 0, 1, 30}, {map_put, 1, 1, 3},
			{map_put, 2, 1, 0}, {map_put, 3, 1, 25},
			{map_put, 4, 1, 400}, {map_put, 4, 1, 390},
			{map_put, 9, 1, 30})),
	PLAY("fields_of_a_table_are_removed_or_none", TABLE,
		MOVES({map_remove, 0, 2, 0}, {map_remove, 7, 1, 0})),
	PLAY("a_table_goes_with_its_last_field_or_not",
		MOVES({map_put, 0, 1, 300}), MOVES({map_remove, 0, 1, 0})),
	PLAY_OF("a_map_is_cleared_step_by_step", 2, TABLE,
		MOVES({map_clear, 0, 12, 0}, {commit, 0, 0, 0},
			{map_clear, 0, 100, 0})),
	PLAY_OF("a_map_after_an_abort_is_what_it_was", 0, FIELDS,
		MOVES({map_remove, 1, 3, 0}, {map_put, 1, 1, 9},
			{map_put, 5, 5, 50}, {map_remove, 0, 2, 0},
			{give_up, 0, 0, 0})),

	PLAY("the_first_number_is_added_or_not", NOTHING,
		MOVES({set_add, 0, 1, 1})),
	PLAY("numbers_are_added_or_none", NUMBERS,
		MOVES({set_add, 9, 1, 1}, {set_add, 1, 1, 3})),
	PLAY("wider_numbers_are_added_or_none", NUMBERS,
		MOVES({set_add, 9, 1, 100000})),
	PLAY("numbers_are_removed_and_others_come_or_not", NUMBERS,
		MOVES({set_remove, 5, 1, 1}, {set_add, 9, 1, 1},
			{set_remove, 0, 1, 1}, {set_add, 0, 1, 1})),
	PLAY("the_last_number_is_removed_or_not", MOVES({set_add, 0, 1, 1}),
		MOVES({set_remove, 0, 1, 1})),
	PLAY("too_many_numbers_make_a_table_or_not", NUMBERS,
		MOVES({set_add, 6, 4, 1})),
	PLAY("a_word_makes_a_table_or_not", NUMBERS,
		MOVES({set_add_word, 0, 0, 0}, {set_remove, 2, 2, 1})),
	PLAY_OF("a_set_is_cleared_step_by_step", 2, MOVES({set_add, 0, 12, 1}),
		MOVES({set_clear, 0, 14, 0}, {commit, 0, 0, 0},
			{set_clear, 0, 100, 0})),

	PLAY("the_first_timer_is_armed_or_not", NOTHING,
		MOVES({arm, 1, 1, 90})),
	PLAY("timers_are_armed_or_none", ARMED,
		MOVES({arm, 20, 4, 90}, {arm, 3, 2, 80000})),
	PLAY("timers_of_one_list_are_disarmed_or_none", MOVES({arm, 0, 5, 0}),
		MOVES({disarm, 4, 1, 0}, {disarm, 1, 2, 0})),
	PLAY("timers_are_disarmed_or_none", ARMED,
		MOVES({disarm, 0, 2, 0}, {disarm, 9, 3, 0})),
	PLAY("a_timer_moves_or_not", ARMED, MOVES({move_timer, 4, 0, 0})),
	PLAY("timers_are_handed_out_or_none", ARMED,
		MOVES({run, 0, 1000, 400})),
	PLAY_OF("timers_are_handed_out_step_by_step", 3, ARMED,
		MOVES({run, 0, 6, 1500}, {commit, 0, 0, 0}, {run, 0, 7, 1500},
			{commit, 0, 0, 0}, {run, 0, 100, 1500})),
	PLAY("far_timers_come_near_or_not", MOVES({arm, 0, 20, 10000000}),
		MOVES({run, 0, 100, 45000000})),
	PLAY("all_timers_are_forgotten_or_none", ARMED,
		MOVES({reset, 0, 0, 0})),
	PLAY_OF("timers_after_an_abort_are_what_they_were", 0, ARMED,
		MOVES({run, 0, 9, 700}, {arm, 3, 9, 5}, {disarm, 15, 2, 0},
			{give_up, 0, 0, 0})),

	PLAY("a_history_begins_or_not", NOTHING,
		MOVES({keep, 0, 4, 0}, {add, 0, 2, 20})),
	PLAY("entries_are_added_or_none", REMEMBERED, MOVES({add, 0, 2, 9})),
	PLAY("a_history_grows_or_not", REMEMBERED,
		MOVES({keep, 0, 7, 0}, {add, 0, 2, 9})),
	PLAY("a_history_shrinks_or_not", REMEMBERED, MOVES({keep, 0, 2, 0})),
	PLAY("a_history_is_cleared_or_not", REMEMBERED,
		MOVES({forget_all, 0, 0, 0})),
	PLAY_OF("a_history_after_an_abort_is_what_it_was", 0, REMEMBERED,
		MOVES({add, 0, 3, 9}, {keep, 0, 2, 0}, {forget_all, 0, 0, 0},
			{give_up, 0, 0, 0})),
};

int main(int argc, char **argv)
{
	(void)argc;
	return sweep_main(
		argv, scenarios, sizeof scenarios / sizeof *scenarios);
}
