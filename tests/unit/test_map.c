/* SPDX-License-Identifier: MIT */
/* test_map.c -- maps in both forms against a table of values. */
#include "tight_log.h"
#include <refork/dict.h>
#include <refork/map.h>
#include <refork/pack.h>

#define FIELDS	   600u
#define VALUE_MAX  400u
#define FIELD_ROOM 96

/* The naive model: the value of each field. */
struct model {
	uint64_t count;
	struct value {
		bool there;
		uint16_t bytes;
		char at[VALUE_MAX];
	} values[FIELDS];
};

static struct model model, before;
static struct rf_map *map;
static unsigned seen[FIELDS];

static int set_up(void **state)
{
	(void)state;
	if (scratch_arena_create((uint64_t)64 << 20) != 0)
		return -1;
	memset(&model, 0, sizeof model);
	rf_map_limits(40, 60);
	rf_tx_begin();
	map = rf_alloc(sizeof *map);
	return rf_tx_commit();
}

static int tear_down(void **state)
{
	(void)state;
	scratch_arena_destroy();
	return 0;
}

/* Texts, numbers, and a few that are long; numbers can be read back. */
static size_t field_of(unsigned i, char *text)
{
	if (i % 3 == 0)
		return (size_t)snprintf(text, FIELD_ROOM, "%u", i);
	return (size_t)snprintf(text, FIELD_ROOM, "field:%u%.*s", i,
		i % 101 == 100 ? 60 : 0,
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
}

static unsigned field_number(struct rf_bytes text)
{
	char copy[FIELD_ROOM] = "";

	assert_in_range(text.bytes, 1, sizeof copy - 1);
	memcpy(copy, text.at, text.bytes);
	return (unsigned)atoi(strchr(copy, ':') ? strchr(copy, ':') + 1 : copy);
}

static void some_value(struct value *value)
{
	static const size_t edges[] = {0, 1, 6, 7, 8, 59, 60, 254, 255, 256};
	static const int shifts[] = {0, 15, 31, 59, 60, 61, 63};
	uint64_t number = UINT64_C(1) << shifts[random_below(7)];

	value->bytes = (uint16_t)random_below(40);
	if (random_below(8) == 0)
		value->bytes = (uint16_t)edges[random_below(10)];
	if (random_below(40) == 0)
		value->bytes = (uint16_t)random_below(VALUE_MAX);
	random_fill(value->at, value->bytes);
	if (random_below(3) == 0)
		value->bytes = (uint16_t)snprintf(value->at, VALUE_MAX, "%lld",
			(long long)(number + random_below(4) - 2));
	value->there = true;
}

static void assert_value(const struct rf_item *item, const struct value *value)
{
	assert_int_equal(item->text.bytes, value->bytes);
	assert_memory_equal(item->text.at, value->at, value->bytes);
}

/* ---- changes ---- */

static void put(unsigned i)
{
	struct value *value = &model.values[i];
	char field[FIELD_ROOM];
	bool is_new = !value->there;

	model.count += is_new;
	some_value(value);
	assert_int_equal(rf_map_put(map, field, field_of(i, field), value->at,
				 value->bytes),
		is_new);
}

static void take(unsigned i)
{
	struct value *value = &model.values[i];
	char field[FIELD_ROOM];

	model.count -= value->there;
	assert_int_equal(
		rf_map_remove(map, field, field_of(i, field)), value->there);
	value->there = false;
	if (model.count == 0)
		assert_int_equal(map->word, 0);
}

/* The field is an item of the map itself. */
static void take_any(void)
{
	struct rf_item field, value;
	unsigned i;

	if (!rf_map_random(map, random_word(), &field, &value)) {
		assert_int_equal(model.count, 0);
		return;
	}
	i = field_number(field.text);
	assert_true(model.values[i].there);
	assert_value(&value, &model.values[i]);
	assert_true(rf_map_remove(map, field.text.at, field.text.bytes));
	model.values[i].there = false;
	model.count--;
}

static void change(unsigned fields, bool grow)
{
	unsigned i = (unsigned)random_below(fields);

	if (random_below(8) < (grow ? 5u : 2u))
		put(i);
	else if (random_below(4) > 0)
		take(i);
	else
		take_any();
}

/* ---- what must be true ---- */

static void check_one(unsigned i)
{
	struct rf_item value;
	char field[FIELD_ROOM];

	assert_int_equal(rf_map_get(map, field, field_of(i, field), &value),
		model.values[i].there);
	if (model.values[i].there)
		assert_value(&value, &model.values[i]);
}

static void visit(
	const struct rf_item *field, const struct rf_item *value, void *context)
{
	unsigned i = field_number(field->text);

	assert_true(i < FIELDS && model.values[i].there);
	assert_value(value, &model.values[i]);
	seen[i]++;
	(void)context;
}

static void check_all(void)
{
	uint64_t cursor = 0;

	assert_int_equal(rf_map_check(map, "test"), 0);
	assert_int_equal(rf_map_count(map), model.count);
	memset(seen, 0, sizeof seen);
	do
		cursor = rf_map_scan(map, cursor, visit, NULL);
	while (cursor != 0);
	for (unsigned i = 0; i < FIELDS; i++) {
		assert_int_equal(seen[i], model.values[i].there);
		check_one(i);
	}
}

/* From an empty map on, and back. */
static void play(int rounds, unsigned fields)
{
	size_t used = rf_heap_used();

	for (int round = 0; round < rounds; round++) {
		bool aborts = random_below(4) == 0;

		if (aborts)
			before = model;
		rf_tx_begin();
		for (size_t n = random_below(8); n > 0; n--)
			change(fields, round / 500 % 2 == 0);
		if (aborts) {
			rf_tx_abort();
			model = before;
		} else {
			assert_int_equal(rf_tx_commit(), 0);
		}
		check_one((unsigned)random_below(FIELDS));
		if (round % 32 == 0)
			check_all();
	}
	check_all();
	rf_tx_begin();
	assert_true(rf_map_clear_step(map, SIZE_MAX));
	assert_int_equal(rf_tx_commit(), 0);
	assert_int_equal(rf_heap_used(), used);
	assert_int_equal(rf_heap_check(), 0);
}

static void a_small_map_is_what_its_model_is(void **unused)
{
	(void)unused;
	play(6000, 30);
}

static void a_map_that_grows_and_ends_is_what_its_model_is(void **unused)
{
	(void)unused;
	play(6000, 70);
}

static void a_large_map_is_what_its_model_is(void **unused)
{
	(void)unused;
	play(6000, FIELDS);
}

/* Few fields, whose values are put again and again. */
static void a_small_table_is_what_its_model_is(void **unused)
{
	(void)unused;
	rf_map_limits(0, 0);
	play(6000, 6);
}

static void a_map_is_compact_up_to_its_limits(void **unused)
{
	static const char text[61] = "";

	(void)unused;
	rf_tx_begin();
	for (char i = 0; i < 40; i++)
		assert_true(rf_map_put(map, &i, 1, text, 60));
	assert_true(rf_map_is_compact(map));
	assert_false(rf_map_put(map, "\0", 1, text, 60));
	assert_true(rf_map_is_compact(map));
	assert_true(rf_map_put(map, "x", 1, "", 0));
	assert_false(rf_map_is_compact(map));
	assert_true(rf_map_remove(map, "x", 1));
	assert_false(rf_map_is_compact(map));
	assert_true(rf_map_clear_step(map, 1000));
	assert_true(rf_map_is_compact(map));
	assert_true(rf_map_put(map, "x", 1, text, 61));
	assert_false(rf_map_is_compact(map));
	assert_true(rf_map_clear_step(map, 1000));
	assert_true(rf_map_put(map, text, 61, "", 0));
	assert_false(rf_map_is_compact(map));
	assert_int_equal(rf_tx_commit(), 0);
	assert_int_equal(rf_map_check(map, "test"), 0);
}

static void clearing_frees_everything_step_by_step(void **unused)
{
	size_t used = rf_heap_used();
	unsigned steps = 0;
	bool done;

	(void)unused;
	rf_tx_begin();
	for (unsigned i = 0; i < FIELDS; i++)
		put(i);
	assert_int_equal(rf_tx_commit(), 0);
	do {
		rf_tx_begin();
		done = rf_map_clear_step(map, 50);
		assert_int_equal(rf_tx_commit(), 0);
		assert_int_equal(rf_map_check(map, "test"), 0);
		steps++;
	} while (!done);
	assert_in_range(steps, FIELDS / 50, FIELDS / 10);
	assert_int_equal(map->word, 0);
	assert_int_equal(rf_heap_used(), used);
}

/* A random field is as likely as any other. */
static void random_fields_are_fair(void **unused)
{
	(void)unused;
	for (unsigned fields = 10; fields <= 100; fields += 90) {
		memset(seen, 0, sizeof seen);
		rf_tx_begin();
		for (unsigned i = 0; i < fields; i++)
			if (!model.values[i].there)
				put(i);
		assert_int_equal(rf_tx_commit(), 0);
		for (unsigned n = 0; n < fields * 1000; n++) {
			struct rf_item field;

			rf_map_random(map, random_word(), &field, NULL);
			seen[field_number(field.text)]++;
		}
		for (unsigned i = 0; i < fields; i++)
			assert_in_range(seen[i], 800, 1200);
	}
}

static void the_estimate_of_memory_is_near(void **unused)
{
	size_t used = rf_heap_used();
	char field[FIELD_ROOM], value[100] = "";

	(void)unused;
	assert_int_equal(rf_map_memory(map), 0);
	rf_tx_begin();
	for (unsigned i = 0; i < 20000; i++) {
		rf_map_put(map, field, (size_t)sprintf(field, "field:%u", i),
			value, 90);
		if (i == 30)
			assert_true(rf_map_memory(map) >= 31 * 92);
	}
	assert_int_equal(rf_tx_commit(), 0);
	used = rf_heap_used() - used;
	assert_in_range(rf_map_memory(map), used * 9 / 10, used * 11 / 10);
}

/* ---- faults ---- */

static void change_much(void)
{
	for (unsigned i = 0; i < 60 && rf_tx_error() == 0; i++) {
		struct value value;
		char field[FIELD_ROOM];

		some_value(&value);
		if (i % 3 < 2)
			rf_map_put(map, field, field_of(i, field), value.at,
				value.bytes);
		else
			rf_map_remove(map, field, field_of(i / 2, field));
	}
}

static void a_log_that_fills_anywhere_undoes_everything(void **unused)
{
	(void)unused;
	rf_tx_begin();
	for (unsigned i = 0; i < 25; i++)
		put(i);
	assert_int_equal(rf_tx_commit(), 0);
	assert_true(under_every_log_limit(change_much, check_all) > 100);
}

static void an_arena_that_is_full_undoes_everything(void **unused)
{
	static const char text[200] = "";
	int error;

	(void)unused;
	do {
		before = model;
		rf_tx_begin();
		for (unsigned i = 0; i < 300; i++)
			put((unsigned)random_below(FIELDS));
		for (unsigned i = 0; i < 20000; i++)
			rf_alloc_uninit(sizeof text);
		error = rf_tx_commit();
	} while (error == 0);
	assert_int_equal(error, -ENOMEM);
	model = before;
	check_all();
	assert_int_equal(rf_heap_check(), 0);
}

/* Every bit of a block: the walker may miss a changed value, never a broken
 * structure; and it never falls. */
static unsigned damage(uint8_t *block, size_t bytes)
{
	unsigned found = 0;

	for (size_t bit = 0; bit < bytes * 8; bit++) {
		block[bit / 8] ^= (uint8_t)(1 << bit % 8);
		found += rf_map_check(map, "damaged") != 0;
		block[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	return found;
}

static void the_check_sees_damage_and_survives_it(void **unused)
{
	(void)unused;
	rf_tx_begin();
	for (unsigned i = 1; i < 12; i++)
		put(i);
	assert_int_equal(rf_tx_commit(), 0);
	assert_true(damage((uint8_t *)map->word, 80) > 100);
	assert_int_equal(damage((uint8_t *)&map->word, 8), 64);
	rf_tx_begin();
	for (unsigned i = 0; i < 60; i++)
		put(i);
	assert_int_equal(rf_tx_commit(), 0);
	assert_int_equal(damage((uint8_t *)&map->word, 8), 64);
	/* Words of no kind, and to nowhere. */
	for (unsigned i = 0; i < 60; i++) {
		struct rf_dict *table = (struct rf_dict *)(map->word - 1);
		struct rf_dict_entry *entry;
		char field[FIELD_ROOM];
		uint64_t good;

		entry = rf_dict_find(table, field, field_of(i, field));
		good = entry->word;
		for (uint64_t tag = 0; tag < 16; tag++) {
			entry->word = UINT64_C(0x123456789a8) << 4 | tag;
			if (tag % 8 != 2) /* a number like any other */
				assert_int_not_equal(
					rf_map_check(map, "damaged"), 0);
		}
		entry->word = good;
	}
	check_all();
}

static void the_check_sees_a_pack_that_is_no_map(void **unused)
{
	(void)unused;
	rf_tx_begin();
	map->word = (uint64_t)rf_pack_create(40);
	assert_int_equal(rf_map_check(map, "empty"), -EBADMSG);
	map->word = (uint64_t)rf_pack_insert((void *)map->word, 0, "a", 1);
	assert_int_equal(rf_map_check(map, "half a pair"), -EBADMSG);
	map->word = (uint64_t)rf_pack_insert((void *)map->word, 0, "a", 1);
	assert_int_equal(rf_map_check(map, "a pair"), 0);
	map->word = 0;
	rf_tx_abort();
}

static void the_check_sees_a_field_twice(void **unused)
{
	char *block;

	(void)unused;
	rf_tx_begin();
	rf_map_put(map, "aaaa", 4, "bbbb", 4);
	rf_map_put(map, "cccc", 4, "dddd", 4);
	assert_int_equal(rf_tx_commit(), 0);
	block = memchr((char *)map->word, 'c', 60);
	assert_int_equal(rf_map_check(map, "test"), 0);
	memcpy(block, "aaaa", 4);
	assert_int_equal(rf_map_check(map, "test"), -EBADMSG);
	memcpy(block, "bbbb", 4); /* a value of the other */
	assert_int_equal(rf_map_check(map, "test"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_small_map_is_what_its_model_is),
		TEST(a_map_that_grows_and_ends_is_what_its_model_is),
		TEST(a_large_map_is_what_its_model_is),
		TEST(a_small_table_is_what_its_model_is),
		TEST(a_map_is_compact_up_to_its_limits),
		TEST(clearing_frees_everything_step_by_step),
		TEST(random_fields_are_fair),
		TEST(the_estimate_of_memory_is_near),
		TEST(a_log_that_fills_anywhere_undoes_everything),
		TEST(an_arena_that_is_full_undoes_everything),
		TEST(the_check_sees_damage_and_survives_it),
		TEST(the_check_sees_a_pack_that_is_no_map),
		TEST(the_check_sees_a_field_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
