/* SPDX-License-Identifier: MIT */
/* bench_containers.c -- what one call costs, by the number of elements.
 *
 * A line is a subject and something done to it again and again at random
 * places, each time in a transaction of its own; the subject has as many
 * elements afterwards as before. Elements are texts of 12 bytes, or timers.
 */
#include "measure.h"
#include <refork/dict.h>
#include <refork/heap.h>
#include <refork/list.h>
#include <refork/map.h>
#include <refork/set.h>
#include <refork/sorted.h>
#include <refork/string.h>
#include <refork/timers.h>
#include <refork/tx.h>

#define COUNT_MAX 1000000

static const size_t counts[] = {100, 1000, 100000, COUNT_MAX};
#define COLUMNS (sizeof counts / sizeof *counts)

#define TEXT_BYTES 12

static char (*texts)[TEXT_BYTES];
static size_t count; /* now */

static struct roots {
	struct rf_dict dict;
	struct rf_map map;
	struct rf_set set;
	struct rf_list list;
	struct rf_sorted sorted;
	struct rf_string *string;
	struct rf_timers timers;
} * roots;

/* Shaken well: neither order nor place can be told from the number. */
static void make_texts(void)
{
	texts = malloc(COUNT_MAX * sizeof *texts);
	if (texts == NULL)
		give_up("make texts", -12);
	for (uint64_t i = 0; i < COUNT_MAX; i++) {
		char text[TEXT_BYTES + 1];

		snprintf(text, sizeof text, "m:%010u",
			(unsigned)(i * 2654435761u));
		memcpy(texts[i], text, TEXT_BYTES);
	}
}

static double score_of(uint64_t chance)
{
	return (double)(chance >> 20 & 0xffffff);
}

static uint64_t spent; /* of results, so that they are made */

/* ---- dict ---- */

static void dict_add(size_t i)
{
	rf_dict_put(&roots->dict, texts[i], TEXT_BYTES, NULL);
}

static struct rf_dict_entry *dict_entry(uint64_t chance)
{
	return rf_dict_find(&roots->dict, texts[chance % count], TEXT_BYTES);
}

static void dict_find(uint64_t chance)
{
	spent += dict_entry(chance)->word;
}

static void dict_exchange(uint64_t chance)
{
	rf_dict_remove(&roots->dict, dict_entry(chance));
	dict_add(chance % count);
}

static bool dict_clear(void)
{
	return rf_dict_clear_step(&roots->dict, 1000, NULL);
}

/* ---- map ---- */

static void map_put(size_t field, size_t value)
{
	rf_map_put(&roots->map, texts[field], TEXT_BYTES, texts[value],
		TEXT_BYTES);
}

static void map_add(size_t i)
{
	map_put(i, i);
}

static void map_get(uint64_t chance)
{
	struct rf_item value;

	rf_map_get(&roots->map, texts[chance % count], TEXT_BYTES, &value);
	spent += value.text.bytes;
}

static void map_change(uint64_t chance)
{
	map_put(chance % count, chance / 3 % count);
}

static void map_exchange(uint64_t chance)
{
	rf_map_remove(&roots->map, texts[chance % count], TEXT_BYTES);
	map_add(chance % count);
}

static bool map_clear(void)
{
	return rf_map_clear_step(&roots->map, 1000);
}

/* ---- set ---- */

static void set_add(size_t i)
{
	rf_set_add(&roots->set, texts[i], TEXT_BYTES);
}

static void set_has(uint64_t chance)
{
	spent += rf_set_has(&roots->set, texts[chance % count], TEXT_BYTES);
}

static void set_exchange(uint64_t chance)
{
	rf_set_remove(&roots->set, texts[chance % count], TEXT_BYTES);
	set_add(chance % count);
}

static void set_random(uint64_t chance)
{
	struct rf_item member;

	rf_set_random(&roots->set, chance, &member);
	spent += member.text.bytes;
}

static bool set_clear(void)
{
	return rf_set_clear_step(&roots->set, 1000);
}

/* ---- list ---- */

static void list_add(size_t i)
{
	rf_list_push(&roots->list, RF_TAIL, texts[i], TEXT_BYTES);
}

static void list_rotate(uint64_t chance)
{
	rf_list_push(&roots->list, RF_TAIL, texts[chance % count], TEXT_BYTES);
	rf_list_remove(&roots->list, 0, 1);
}

static void list_rotate_back(uint64_t chance)
{
	rf_list_push(&roots->list, RF_HEAD, texts[chance % count], TEXT_BYTES);
	rf_list_remove(&roots->list, count, 1);
}

static void list_index(uint64_t chance)
{
	struct rf_item item;

	rf_list_get(&roots->list, chance % count, &item);
	spent += item.text.bytes;
}

static void list_walk(uint64_t chance)
{
	struct rf_list_at at;
	struct rf_item item;

	rf_list_seek(&roots->list, chance % count, &at);
	for (unsigned i = 0; i < 100 && rf_list_next(&at, &item); i++)
		spent += item.text.bytes;
}

static void list_set(uint64_t chance)
{
	rf_list_set(&roots->list, chance % count, texts[chance / 3 % count],
		TEXT_BYTES);
}

static void list_within(uint64_t chance)
{
	rf_list_insert(&roots->list, chance % count, texts[chance / 3 % count],
		TEXT_BYTES);
	rf_list_remove(&roots->list, chance / 7 % count, 1);
}

static bool list_clear(void)
{
	return rf_list_clear_step(&roots->list, 1000);
}

/* ---- sorted ---- */

static void sorted_add(size_t i)
{
	rf_sorted_put(
		&roots->sorted, texts[i], TEXT_BYTES, score_of(random_word()));
}

static void sorted_score(uint64_t chance)
{
	double score;

	rf_sorted_score(
		&roots->sorted, texts[chance % count], TEXT_BYTES, &score);
	spent += (uint64_t)score;
}

static void sorted_move(uint64_t chance)
{
	rf_sorted_put(&roots->sorted, texts[chance % count], TEXT_BYTES,
		score_of(chance));
}

static void sorted_exchange(uint64_t chance)
{
	rf_sorted_remove(&roots->sorted, texts[chance % count], TEXT_BYTES);
	rf_sorted_put(&roots->sorted, texts[chance % count], TEXT_BYTES,
		score_of(chance));
}

static void sorted_rank(uint64_t chance)
{
	uint64_t rank;

	rf_sorted_rank(
		&roots->sorted, texts[chance % count], TEXT_BYTES, &rank);
	spent += rank;
}

static void sorted_walk(uint64_t chance)
{
	struct rf_sorted_at at;
	struct rf_item item;
	double score;

	rf_sorted_seek_rank(&roots->sorted, chance % count, &at);
	for (unsigned i = 0; i < 100 && rf_sorted_next(&at, &item, &score); i++)
		spent += (uint64_t)*item.text.at;
}

static void sorted_by_score(uint64_t chance)
{
	struct rf_sorted_at at;

	rf_sorted_seek_score(&roots->sorted, score_of(chance), false, &at);
	spent += at.rank;
}

static bool sorted_clear(void)
{
	return rf_sorted_clear_step(&roots->sorted, 1000);
}

/* ---- string ---- */

static void string_write(size_t off, size_t text)
{
	struct rf_string *string =
		rf_string_write(roots->string, off, texts[text], TEXT_BYTES);

	if (string != roots->string)
		RF_SET(roots->string, string);
}

static void string_add(size_t i)
{
	string_write(i * TEXT_BYTES, i);
}

static void string_change(uint64_t chance)
{
	string_write(chance % count * TEXT_BYTES, chance / 3 % count);
}

static void string_cut(uint64_t chance)
{
	size_t keep = (count - 1) * TEXT_BYTES;
	struct rf_string *string = rf_string_cut(roots->string, keep);

	if (string != roots->string)
		RF_SET(roots->string, string);
	string_write(keep, chance % count);
}

static bool string_clear(void)
{
	rf_free(roots->string);
	RF_SET(roots->string, NULL);
	return true;
}

/* ---- timers ---- */

#define BEGAN_MS INT64_C(1800000000000)
#define DAY_MS	 INT64_C(86400000)

static struct rf_timer *timers[COUNT_MAX];

static void timer_arm(size_t i)
{
	rf_timers_arm(&roots->timers, timers[i],
		BEGAN_MS + (int64_t)(random_word() % DAY_MS), BEGAN_MS);
}

static void timer_add(size_t i)
{
	timers[i] = rf_alloc(sizeof *timers[i]);
	if (timers[i] != NULL)
		timer_arm(i);
}

static void timer_change(uint64_t chance)
{
	timer_arm(chance % count);
}

static void timer_exchange(uint64_t chance)
{
	rf_timers_disarm(&roots->timers, timers[chance % count]);
	timer_arm(chance % count);
}

static void timer_end(struct rf_timer *timer, void *context)
{
	(void)context;
	rf_free(timer);
}

static bool timers_clear(void)
{
	if (rf_timers_run(
		    &roots->timers, BEGAN_MS + DAY_MS, 1000, timer_end, NULL))
		return false;
	rf_timers_reset(&roots->timers);
	return true;
}

/* ---- the table ---- */

static const struct subject {
	const char *name;
	void (*add)(size_t i);
	bool (*clear)(void);
	struct doing {
		const char *name;
		void (*step)(uint64_t chance);
		unsigned calls; /* in a step */
	} doings[8];
} subjects[] = {
	{"dict", dict_add, dict_clear,
		{{"find", dict_find, 1},
			{"remove and insert, each", dict_exchange, 2}}},
	{"map", map_add, map_clear,
		{{"get", map_get, 1}, {"another value", map_change, 1},
			{"remove and insert, each", map_exchange, 2}}},
	{"set", set_add, set_clear,
		{{"has", set_has, 1}, {"random member", set_random, 1},
			{"remove and insert, each", set_exchange, 2}}},
	{"list", list_add, list_clear,
		{{"push at the tail or pop at the head", list_rotate, 2},
			{"push at the head or pop at the tail",
				list_rotate_back, 2},
			{"get by index", list_index, 1},
			{"set by index", list_set, 1},
			{"insert or remove by index", list_within, 2},
			{"step, of 100 from an index on", list_walk, 100}}},
	{"sorted", sorted_add, sorted_clear,
		{{"score", sorted_score, 1}, {"rank", sorted_rank, 1},
			{"another score", sorted_move, 1},
			{"remove and insert, each", sorted_exchange, 2},
			{"seek by score", sorted_by_score, 1},
			{"step, of 100 from a rank on", sorted_walk, 100}}},
	{"string", string_add, string_clear,
		{{"overwrite 12 bytes", string_change, 1},
			{"cut or append 12 bytes", string_cut, 2}}},
	{"timers", timer_add, timers_clear,
		{{"another time", timer_change, 1},
			{"disarm or arm", timer_exchange, 2}}},
};
#define SUBJECTS (sizeof subjects / sizeof *subjects)
#define DOINGS	 (sizeof subjects->doings / sizeof *subjects->doings)

static double ns[SUBJECTS][DOINGS][COLUMNS];
static double add_ns[SUBJECTS][COLUMNS], bytes[SUBJECTS][COLUMNS];

static void commit(void)
{
	int error = rf_tx_commit();

	if (error != 0)
		give_up("commit", error);
}

static double measure(const struct doing *doing, size_t steps)
{
	double rounds[3];

	for (int round = 0; round < 3; round++) {
		double from = now_ns();

		for (size_t i = 0; i < steps; i++) {
			uint64_t chance = random_word() >> 1;

			rf_tx_begin();
			doing->step(chance);
			commit();
		}
		rounds[round] =
			(now_ns() - from) / (double)(steps * doing->calls);
	}
	return median(rounds, 3);
}

static void measure_subject(size_t s, size_t column)
{
	const struct subject *subject = &subjects[s];
	size_t before = rf_heap_used();
	size_t steps = is_quick() ? 1000 : 300000;
	double from = now_ns();
	bool done = false;

	count = counts[column];
	for (size_t i = 0; i < count; i++) {
		rf_tx_begin();
		subject->add(i);
		commit();
	}
	add_ns[s][column] = (now_ns() - from) / (double)count;
	bytes[s][column] = (double)(rf_heap_used() - before) / (double)count;
	for (size_t i = 0; i < DOINGS && subject->doings[i].name != NULL; i++)
		ns[s][i][column] = measure(&subject->doings[i],
			steps / (subject->doings[i].calls > 2 ? 10 : 1));
	while (!done) {
		rf_tx_begin();
		done = subject->clear();
		commit();
	}
}

static void print_row(const char *subject, const char *what, const double *row,
	size_t columns)
{
	printf("| %s: %s |", subject, what);
	for (size_t c = 0; c < columns; c++)
		printf(" %.*f |", row[c] < 10 ? 1 : 0, row[c]);
	printf("\n");
}

int main(int argc, char **argv)
{
	const char *only = argc > 1 ? argv[1] : NULL;
	size_t columns = is_quick() ? COLUMNS - 1 : COLUMNS;

	make_texts();
	make_arena((uint64_t)1 << 30);
	rf_tx_begin();
	roots = rf_alloc(sizeof *roots);
	commit();
	printf("| ns a call, each a transaction |");
	for (size_t c = 0; c < columns; c++)
		printf(" %zu elements |", counts[c]);
	printf("\n|---|%.*s\n", (int)columns * 4, "---|---|---|---|");
	for (size_t s = 0; s < SUBJECTS; s++) {
		const struct subject *subject = &subjects[s];

		if (only != NULL && strcmp(only, subject->name) != 0)
			continue;
		for (size_t c = 0; c < columns; c++)
			measure_subject(s, c);
		print_row(
			subject->name, "add, from nothing", add_ns[s], columns);
		for (size_t i = 0;
			i < DOINGS && subject->doings[i].name != NULL; i++)
			print_row(subject->name, subject->doings[i].name,
				ns[s][i], columns);
		print_row(subject->name, "bytes an element", bytes[s], columns);
	}
	return spent == 1;
}
