/* SPDX-License-Identifier: MIT */
/* test_pack.c -- packs against an array of texts, aborts included. */
#include "tight_log.h"
#include <refork/pack.h>

#define ITEMS_MAX 4096

/* The naive model: texts in an array. */
struct model {
	size_t count;
	struct text {
		char *at;
		size_t bytes;
	} texts[ITEMS_MAX];
};

static struct model model, before;
static struct rf_pack **root;

static void model_open(struct model *into, size_t at, size_t old, size_t fresh)
{
	for (size_t i = at; i < at + old; i++)
		free(into->texts[i].at);
	memmove(into->texts + at + fresh, into->texts + at + old,
		(into->count - at - old) * sizeof *into->texts);
	into->count += fresh - old;
}

static void model_put(
	struct model *into, size_t at, const void *from, size_t bytes)
{
	char *copy = malloc(bytes + 1);

	assert_non_null(copy);
	memcpy(copy, from, bytes);
	into->texts[at] = (struct text){copy, bytes};
}

static void model_copy(struct model *into, const struct model *from)
{
	model_open(into, 0, into->count, 0);
	into->count = from->count;
	for (size_t i = 0; i < from->count; i++)
		model_put(into, i, from->texts[i].at, from->texts[i].bytes);
}

static int set_up(void **state)
{
	(void)state;
	if (scratch_arena_create((uint64_t)512 << 20) != 0)
		return -1;
	rf_tx_begin();
	root = rf_alloc(sizeof *root);
	RF_SET(*root, rf_pack_create(60));
	return rf_tx_commit();
}

static int tear_down(void **state)
{
	(void)state;
	model_open(&model, 0, model.count, 0);
	model_open(&before, 0, before.count, 0);
	scratch_arena_destroy();
	return 0;
}

/* ---- texts of all forms ---- */

static size_t near_a_power(char *text, size_t room)
{
	static const int shifts[] = {0, 4, 7, 8, 15, 16, 31, 32, 47, 62, 63};
	uint64_t number =
		UINT64_C(1)
		<< shifts[random_below(sizeof shifts / sizeof *shifts)];
	const char *sign = random_below(2) ? "-" : "";

	number += random_below(5) - 2;
	return (size_t)snprintf(
		text, room, "%s%llu", sign, (unsigned long long)number);
}

static size_t near_a_number(char *text, size_t room)
{
	static const char *const texts[] = {"", "-", "+1", "01", "-0", "0",
		" 1", "1 ", "1.0", "9223372036854775808",
		"-9223372036854775809", "18446744073709551616", "00", "-01",
		"99999999999999999999"};
	const char *from = texts[random_below(sizeof texts / sizeof *texts)];

	return (size_t)snprintf(text, room, "%s", from);
}

static size_t some_text(char *text, size_t room, size_t most)
{
	static const size_t edges[] = {
		0, 1, 62, 63, 64, 65, 254, 255, 256, 257};
	size_t bytes = random_below(most + 1);

	switch (random_below(6)) {
	case 0:
	case 1:
		return near_a_power(text, room);
	case 2:
		return near_a_number(text, room);
	case 3:
		bytes = edges[random_below(sizeof edges / sizeof *edges)];
	}
	random_fill(text, bytes);
	return bytes;
}

/* ---- what must be true of a pack and its model ---- */

static void check_item(uint32_t at, size_t index)
{
	struct rf_item item;

	rf_pack_get(*root, at, &item);
	assert_int_equal(item.text.bytes, model.texts[index].bytes);
	assert_memory_equal(
		item.text.at, model.texts[index].at, item.text.bytes);
}

static void check_all(void)
{
	uint32_t at = rf_pack_first(*root);

	assert_int_equal(rf_pack_check(*root, "test"), 0);
	assert_int_equal(rf_pack_count(*root), model.count);
	for (size_t i = 0; i < model.count; i++) {
		check_item(at, i);
		at = rf_pack_next(*root, at);
	}
	assert_int_equal(at, rf_pack_end(*root));
	for (size_t i = model.count; i-- > 0;) {
		at = rf_pack_prev(*root, at);
		check_item(at, i);
	}
	assert_int_equal(rf_pack_prev(*root, at), rf_pack_end(*root));
}

static void check_index(void)
{
	int64_t count = (int64_t)model.count;
	int64_t index = (int64_t)random_below(model.count + 3) - 1;
	uint32_t at = rf_pack_at(*root, index);

	if (index < 0)
		index += count;
	if (index >= 0 && index < count) {
		check_item(at, (size_t)index);
		assert_int_equal(rf_pack_at(*root, index - count), at);
	} else {
		assert_int_equal(at, rf_pack_end(*root));
	}
}

static void check_find(void)
{
	static char text[70000];
	size_t bytes = some_text(text, sizeof text, 3);
	uint32_t step = 1 + (uint32_t)random_below(3);
	size_t from = random_below(model.count + 1);
	uint32_t at = rf_pack_at(*root, (int64_t)from);

	if (random_below(2) && model.count > 0) {
		const struct text *known =
			&model.texts[random_below(model.count)];

		memcpy(text, known->at, bytes = known->bytes);
	}
	at = rf_pack_find(*root, at, text, bytes, step);
	for (; from < model.count; from += step)
		if (model.texts[from].bytes == bytes &&
			memcmp(model.texts[from].at, text, bytes) == 0)
			break;
	assert_int_equal(at, from < model.count
				     ? rf_pack_at(*root, (int64_t)from)
				     : rf_pack_end(*root));
}

/* ---- changes ---- */

static size_t some_place(void)
{
	switch (random_below(3)) {
	case 0:
		return 0;
	case 1:
		return model.count;
	}
	return random_below(model.count + 1);
}

static void insert(size_t most)
{
	static char text[1 << 17];
	size_t bytes = some_text(text, sizeof text, most);
	size_t index = some_place();
	struct rf_item item = {.text = {text, bytes}};

	if (model.count == ITEMS_MAX)
		return;
	if (random_below(8) == 0 && model.count > 0) /* one of its own */
		rf_pack_get(*root,
			rf_pack_at(*root, (int64_t)random_below(model.count)),
			&item);
	memcpy(text, item.text.at, bytes = item.text.bytes);
	RF_SET(*root, rf_pack_insert(*root, rf_pack_at(*root, (int64_t)index),
			      item.text.at, bytes));
	model_open(&model, index, 0, 1);
	model_put(&model, index, text, bytes);
}

static void replace(size_t most)
{
	static char text[1 << 17];
	size_t bytes = some_text(text, sizeof text, most);
	size_t index;

	if (model.count == 0)
		return;
	index = random_below(model.count);
	if (random_below(3) == 0 && model.texts[index].bytes <= most)
		random_fill(text, bytes = model.texts[index].bytes);
	RF_SET(*root, rf_pack_replace(*root, rf_pack_at(*root, (int64_t)index),
			      text, bytes));
	model_open(&model, index, 1, 1);
	model_put(&model, index, text, bytes);
}

static void erase(void)
{
	size_t index = some_place();
	size_t count = random_below(4);

	if (count > model.count - index)
		count = model.count - index;
	RF_SET(*root, rf_pack_erase(*root, rf_pack_at(*root, (int64_t)index),
			      (uint32_t)count));
	model_open(&model, index, count, 0);
}

/* The first part, or the second one, is dropped. */
static void split(void)
{
	size_t index = some_place();
	struct rf_pack *fresh =
		rf_pack_split(*root, rf_pack_at(*root, (int64_t)index));

	assert_int_equal(rf_pack_check(fresh, "split"), 0);
	assert_int_equal(rf_pack_count(fresh), model.count - index);
	if (random_below(2)) {
		rf_free(fresh);
		model_open(&model, index, model.count - index, 0);
	} else {
		rf_free(*root);
		RF_SET(*root, fresh);
		model_open(&model, 0, index, 0);
	}
}

static void change(size_t most, bool grow)
{
	size_t dice = random_below(16);

	if (dice < (grow ? 9u : 5u))
		insert(most);
	else if (dice < 12)
		replace(most);
	else if (dice < 15 || random_below(40) > 0)
		erase();
	else
		split();
}

static void play(int rounds, size_t most, bool check_often)
{
	size_t used = rf_heap_used() - rf_usable(*root);

	for (int round = 0; round < rounds; round++) {
		bool aborts = random_below(4) == 0;

		if (aborts)
			model_copy(&before, &model);
		rf_tx_begin();
		for (size_t n = random_below(8); n > 0; n--)
			change(most, round / 200 % 2 == 0);
		if (aborts) {
			rf_tx_abort();
			model_copy(&model, &before);
		} else {
			assert_int_equal(rf_tx_commit(), 0);
		}
		check_find();
		check_index();
		if (check_often || round % 64 == 0)
			check_all();
	}
	check_all();
	assert_int_equal(rf_heap_used() - rf_usable(*root), used);
	assert_int_equal(rf_heap_check(), 0);
}

static void a_small_pack_is_what_its_model_is(void **unused)
{
	(void)unused;
	play(8000, 12, true);
}

static void a_pack_of_some_pages_is_what_its_model_is(void **unused)
{
	(void)unused;
	play(4000, 300, false);
}

static void a_pack_of_long_items_is_what_its_model_is(void **unused)
{
	(void)unused;
	play(1500, 70000, false);
}

/* ---- costs ---- */

static void push(bool front)
{
	RF_SET(*root, rf_pack_insert(*root,
			      front ? rf_pack_first(*root) : rf_pack_end(*root),
			      "text", 4));
}

static void pop(bool front)
{
	uint32_t at = front ? rf_pack_first(*root) : rf_pack_at(*root, -1);

	RF_SET(*root, rf_pack_erase(*root, at, 1));
}

/* Ways to use a pack: at the tail, at the head, both in turn, and as a queue
 * either way. */
enum way { TAIL, HEAD, BOTH, QUEUE, QUEUE_BACK, WAYS };

static void use(enum way way, unsigned i)
{
	push(way == HEAD || way == QUEUE_BACK || (way == BOTH && i % 2));
	if (way >= QUEUE)
		pop(way == QUEUE);
}

static void a_push_logs_its_item_and_not_the_pack(void **unused)
{
	(void)unused;
	for (enum way way = TAIL; way < WAYS; way++) {
		size_t log = 0;

		rf_tx_begin();
		for (unsigned i = 0; i < 700; i++)
			push(i % 3 == 0);
		assert_int_equal(rf_tx_commit(), 0);
		for (unsigned i = 0; i < 700; i++) {
			rf_tx_begin();
			use(way, i);
			log += RF_SUPER->log_tail;
			assert_int_equal(rf_tx_commit(), 0);
		}
		/* 24 for the pack, 16 for an item that leaves; the heap's own
		 * when a block is taken. */
		assert_in_range(log / 700, 24, 128);
		rf_tx_begin();
		RF_SET(*root, rf_pack_erase(*root, rf_pack_first(*root),
				      rf_pack_count(*root)));
		assert_int_equal(rf_tx_commit(), 0);
	}
}

/* Blocks taken are few: each byte is moved a few times. */
static void pushing_takes_few_blocks(void **unused)
{
	(void)unused;
	for (enum way way = TAIL; way < WAYS; way++) {
		unsigned moved = 0;

		rf_tx_begin();
		for (unsigned i = 0; i < 600; i++)
			push(false);
		assert_int_equal(rf_tx_commit(), 0);
		for (unsigned i = 0; i < 3000; i++) {
			struct rf_pack *old = *root;

			rf_tx_begin();
			use(way, i);
			if (rf_pack_count(*root) > 900)
				pop(way == TAIL);
			moved += *root != old;
			assert_int_equal(rf_tx_commit(), 0);
		}
		assert_true(moved < 120);
		rf_tx_begin();
		rf_free(*root);
		RF_SET(*root, rf_pack_create(0));
		assert_int_equal(rf_tx_commit(), 0);
	}
}

/* ---- what cannot be done ---- */

static void what_is_too_long_is_refused(void **unused)
{
	(void)unused;
	rf_tx_begin();
	assert_null(rf_pack_create(RF_PACK_BYTES_MAX + 1));
	assert_int_equal(rf_tx_commit(), -EMSGSIZE);
	rf_tx_begin();
	assert_null(rf_pack_insert(
		*root, rf_pack_first(*root), "", (size_t)1 << 33));
	assert_int_equal(rf_tx_commit(), -EMSGSIZE);
	check_all();
}

static void change_much(void)
{
	for (unsigned i = 0; i < 40 && rf_tx_error() == 0; i++) {
		size_t index = random_below(rf_pack_count(*root) + 1);
		uint32_t at = rf_pack_at(*root, (int64_t)index);
		struct rf_pack *to;

		if (i % 3 == 2 && at != rf_pack_end(*root))
			to = rf_pack_erase(*root, at, 1);
		else
			to = rf_pack_insert(*root, at, "new item", 8);
		if (to != NULL)
			RF_SET(*root, to);
	}
}

static void a_log_that_fills_anywhere_undoes_everything(void **unused)
{
	(void)unused;
	play(300, 40, true);
	assert_true(under_every_log_limit(change_much, check_all) > 100);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_small_pack_is_what_its_model_is),
		TEST(a_pack_of_some_pages_is_what_its_model_is),
		TEST(a_pack_of_long_items_is_what_its_model_is),
		TEST(a_push_logs_its_item_and_not_the_pack),
		TEST(pushing_takes_few_blocks),
		TEST(what_is_too_long_is_refused),
		TEST(a_log_that_fills_anywhere_undoes_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
