/* SPDX-License-Identifier: MIT */
/* test_dict.c -- the recoverable hash map against a naive model.
 *
 * The model knows the value of KEYS keys; every key is in the dict with that
 * value, or absent. Transactions of random length end in a commit or in an
 * abort, after which dict and model must agree again.
 */
#include "scratch_arena.h"
#include "suite.h"
#include <refork/dict.h>
#include <siphash.h>

#define KEYS 20000

static struct rf_dict *dict;
static uint64_t model[KEYS], model_before[KEYS]; /* 0: absent */
static uint64_t model_count;

static size_t key_text(char *text, size_t bytes, unsigned number)
{
	/* Lengths 1 .. ~80, so that all tails of the hash occur. */
	return (size_t)snprintf(text, bytes, "%u:%.*s", number,
		(int)(number % 70),
		"xxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
}

static void put(unsigned number, uint64_t value)
{
	char key[128];
	size_t bytes = key_text(key, sizeof key, number);
	bool created;
	struct rf_dict_entry *entry = rf_dict_put(dict, key, bytes, &created);

	assert_non_null(entry);
	assert_int_equal(created, model[number] == 0);
	assert_int_equal(entry->word, model[number]);
	RF_SET(entry->word, value);
	model_count += created;
	model[number] = value;
}

static struct rf_dict_entry *find(unsigned number)
{
	char key[128];

	return rf_dict_find(dict, key, key_text(key, sizeof key, number));
}

static void take(unsigned number)
{
	struct rf_dict_entry *entry = find(number);

	assert_int_equal(entry != NULL, model[number] != 0);
	if (entry == NULL)
		return;
	rf_dict_remove(dict, entry);
	model[number] = 0;
	model_count--;
}

static void agree(void)
{
	assert_int_equal(rf_dict_check(dict, "test"), 0);
	assert_int_equal(rf_dict_count(dict), model_count);
	for (unsigned i = 0; i < KEYS; i++) {
		struct rf_dict_entry *entry = find(i);

		assert_int_equal(entry != NULL ? entry->word : 0, model[i]);
	}
}

static int set_up(void **state)
{
	(void)state;
	if (scratch_arena_create(256 << 20) != 0)
		return -1;
	rf_tx_begin();
	dict = rf_alloc(sizeof *dict);
	memset(model, 0, sizeof model);
	model_count = 0;
	return rf_tx_commit();
}

static int tear_down(void **state)
{
	(void)state;
	scratch_arena_destroy();
	return 0;
}

/* ---- */

static void the_hash_is_siphash_1_3(void **state)
{
	/* From the reference implementation: key 00..0f, input 00..0e. */
	uint8_t key[16], input[15];

	(void)state;
	for (uint8_t i = 0; i < 16; i++)
		key[i] = i;
	for (uint8_t i = 0; i < 15; i++)
		input[i] = i;
	assert_true(rf_siphash13(input, 0, key) == 0xabac0158050fc4dcu);
	assert_true(rf_siphash13(input, 8, key) == 0x369095118d299a8eu);
	assert_true(rf_siphash13(input, 15, key) == 0xd320d86d2a519956u);
}

static void an_empty_dict_has_nothing_and_owns_nothing(void **state)
{
	size_t used = rf_heap_used();

	(void)state;
	rf_tx_begin();
	rf_dict_init(dict);
	assert_null(rf_dict_find(dict, "", 0));
	assert_null(rf_dict_random(dict, 1));
	assert_int_equal(rf_dict_scan(dict, 0, NULL, NULL), 0);
	assert_true(rf_dict_clear_step(dict, 1, NULL));
	assert_int_equal(rf_tx_commit(), 0);
	assert_int_equal(rf_heap_used(), used);
	assert_int_equal(rf_dict_check(dict, "test"), 0);
}

static void the_empty_key_and_keys_with_zero_bytes_are_keys(void **state)
{
	bool created;

	(void)state;
	rf_tx_begin();
	rf_dict_put(dict, "", 0, &created);
	assert_true(created);
	rf_dict_put(dict, "\0", 1, &created);
	assert_true(created);
	rf_dict_put(dict, "\0", 1, &created);
	assert_false(created);
	assert_int_equal(rf_dict_count(dict), 2);
	assert_int_equal(rf_tx_commit(), 0);
}

/* Rises to `keys`, falls to a handful, rises again... */
static void random_transaction(unsigned round, unsigned keys)
{
	unsigned steps = (unsigned)(random_word() % 200) + 1;
	bool rising = round / 250 % 2 == 0;
	uint64_t count_before = model_count;

	memcpy(model_before, model, sizeof model);
	rf_tx_begin();
	for (unsigned i = 0; i < steps; i++) {
		unsigned number = (unsigned)(random_word() % keys);

		if (random_word() % 10 < (rising ? 8u : 1u))
			put(number, random_word() | 1);
		else
			take(number);
	}
	if (random_word() % 3 == 0) {
		rf_tx_abort();
		memcpy(model, model_before, sizeof model);
		model_count = count_before;
	} else {
		assert_int_equal(rf_tx_commit(), 0);
	}
}

static void it_agrees_with_a_naive_model_through_aborts(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 2000; round++) {
		random_transaction(round, round < 1000 ? 300 : KEYS);
		if (round % 50 == 0)
			agree();
	}
	agree();
	assert_int_equal(rf_heap_check(), 0);
}

static void an_abort_gives_all_memory_back(void **state)
{
	size_t used;

	(void)state;
	rf_tx_begin();
	for (unsigned i = 0; i < 700; i++)
		put(i, 1);
	assert_int_equal(rf_tx_commit(), 0);
	used = rf_heap_used();
	memcpy(model_before, model, sizeof model);
	rf_tx_begin();
	for (unsigned i = 0; i < KEYS; i++)
		put(i, 2);
	rf_tx_abort();
	memcpy(model, model_before, sizeof model);
	model_count = 700;
	agree();
	assert_int_equal(rf_heap_used(), used);
}

static void removing_the_keys_shrinks_the_table(void **state)
{
	size_t used;

	(void)state;
	rf_tx_begin();
	put(0, 1);
	assert_int_equal(rf_tx_commit(), 0);
	used = rf_heap_used();
	for (unsigned i = 1; i < KEYS; i++) {
		rf_tx_begin();
		put(i, 1);
		assert_int_equal(rf_tx_commit(), 0);
	}
	for (unsigned i = 1; i < KEYS; i++) {
		rf_tx_begin();
		take(i);
		assert_int_equal(rf_tx_commit(), 0);
		if (i % 1000 == 0)
			assert_int_equal(rf_dict_check(dict, "test"), 0);
	}
	agree();
	assert_int_equal(rf_heap_used(), used);
}

static unsigned dropped;

static void count_drop(struct rf_dict_entry *entry)
{
	(void)entry;
	dropped++;
}

static void clearing_in_steps_keeps_a_valid_dict_at_each(void **state)
{
	size_t used = rf_heap_used();
	bool done = false;
	unsigned steps = 0;

	(void)state;
	dropped = 0;
	for (unsigned i = 0; i < KEYS; i += 2) {
		rf_tx_begin();
		put(i, 1);
		put(i + 1, 1);
		assert_int_equal(rf_tx_commit(), 0);
	}
	while (!done) {
		rf_tx_begin();
		done = rf_dict_clear_step(dict, 100, count_drop);
		assert_int_equal(rf_tx_commit(), 0);
		assert_int_equal(rf_dict_check(dict, "test"), 0);
		assert_int_equal(rf_dict_count(dict), KEYS - dropped);
		steps++;
	}
	assert_int_equal(dropped, KEYS);
	assert_in_range(steps, KEYS / 100, KEYS / 100 * 4);
	assert_int_equal(rf_heap_used(), used);
}

/* ---- scan ---- */

static uint32_t visits[KEYS];

static void note(struct rf_dict_entry *entry, void *context)
{
	unsigned *count = context;
	unsigned number = (unsigned)strtoul(entry->key, NULL, 10);

	visits[number]++;
	(*count)++;
}

/* A scan from first to last call, the dict changing between the calls. Keys
 * below `keep` stay all the time. */
static void scan_while(unsigned keep, unsigned from, unsigned to, int step)
{
	uint64_t cursor = 0;
	unsigned count = 0, at = from;

	memset(visits, 0, sizeof visits);
	do {
		cursor = rf_dict_scan(dict, cursor, note, &count);
		rf_tx_begin();
		for (int i = 0; i < 5 && at != to; i++) {
			if (step > 0)
				put(at, 1);
			else
				take(at);
			at = (unsigned)((int)at + step);
		}
		assert_int_equal(rf_tx_commit(), 0);
	} while (cursor != 0);
	for (unsigned i = 0; i < keep; i++)
		assert_in_range(visits[i], 1, 200);
	if (from == to)
		assert_int_equal(count, model_count);
}

static void a_scan_sees_all_that_stays_while_the_table_grows(void **state)
{
	(void)state;
	for (unsigned keep = 1; keep < 3000; keep = keep * 3 + 1) {
		rf_tx_begin();
		for (unsigned i = 0; i < keep; i++)
			put(i, 1);
		assert_int_equal(rf_tx_commit(), 0);
		scan_while(keep, keep, KEYS, 1);
		rf_tx_begin();
		for (unsigned i = keep; i < KEYS; i++)
			take(i);
		assert_int_equal(rf_tx_commit(), 0);
	}
}

static void a_scan_sees_all_that_stays_while_the_table_shrinks(void **state)
{
	(void)state;
	for (unsigned keep = 1; keep < 3000; keep = keep * 3 + 1) {
		rf_tx_begin();
		for (unsigned i = 0; i < KEYS; i++)
			put(i, 1);
		assert_int_equal(rf_tx_commit(), 0);
		scan_while(keep, KEYS - 1, keep - 1, -1);
	}
}

static void a_scan_of_a_still_table_sees_each_key_once(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 5000; i++) {
		rf_tx_begin();
		put(i, 1);
		assert_int_equal(rf_tx_commit(), 0);
		if (i % 97 == 0)
			scan_while(i, 0, 0, 1);
	}
}

static void random_draws_every_key_equally_often(void **state)
{
	enum { FEW = 1000, DRAWS = 400 };
	unsigned count = 0;

	(void)state;
	rf_tx_begin();
	for (unsigned i = 0; i < FEW; i++)
		put(i, 1);
	assert_int_equal(rf_tx_commit(), 0);
	memset(visits, 0, sizeof visits);
	for (unsigned i = 0; i < FEW * DRAWS; i++)
		note(rf_dict_random(dict, random_word()), &count);
	for (unsigned i = 0; i < FEW; i++)
		assert_in_range(visits[i], DRAWS / 2, DRAWS * 2);
}

/* ---- what the walker and a full arena say ---- */

static void the_walker_reports_each_planted_fault(void **state)
{
	struct rf_dict saved;
	struct rf_dict_entry *entry;

	(void)state;
	rf_tx_begin();
	for (unsigned i = 0; i < 1000; i++)
		put(i, 1);
	assert_int_equal(rf_tx_commit(), 0);
	saved = *dict;
	entry = find(7);
	dict->count++;
	assert_int_equal(rf_dict_check(dict, "planted"), -EBADMSG);
	dict->count -= 2;
	assert_int_equal(rf_dict_check(dict, "planted"), -EBADMSG);
	*dict = saved;
	dict->mask = dict->mask * 2 + 1;
	assert_int_equal(rf_dict_check(dict, "planted"), -EBADMSG);
	*dict = saved;
	dict->bucket_count = 700;
	assert_int_equal(rf_dict_check(dict, "planted"), -EBADMSG);
	*dict = saved;
	entry->key[0] ^= 1;
	assert_int_equal(rf_dict_check(dict, "planted"), -EBADMSG);
	entry->key[0] ^= 1;
	entry->hash ^= 1;
	assert_int_equal(rf_dict_check(dict, "planted"), -EBADMSG);
	entry->hash ^= 1;
	assert_int_equal(rf_dict_check(dict, "sound"), 0);
}

static void a_full_arena_refuses_new_keys_and_keeps_the_old(void **state)
{
	unsigned number = 0;

	(void)state;
	tear_down(NULL);
	assert_int_equal(scratch_arena_create(1 << 20), 0);
	rf_tx_begin();
	dict = rf_alloc(sizeof *dict);
	assert_int_equal(rf_tx_commit(), 0);
	for (;; number++) {
		char key[128];
		size_t bytes = key_text(key, sizeof key, number);

		rf_tx_begin();
		if (rf_dict_put(dict, key, bytes, NULL) == NULL)
			break;
		assert_int_equal(rf_tx_commit(), 0);
	}
	assert_int_equal(rf_tx_error(), -ENOMEM);
	assert_int_equal(rf_tx_commit(), -ENOMEM);
	assert_in_range(number, 4000, 20000);
	assert_int_equal(rf_dict_count(dict), number);
	assert_int_equal(rf_dict_check(dict, "test"), 0);
	while (number-- > 0) {
		rf_tx_begin();
		rf_dict_remove(dict, find(number));
		assert_int_equal(rf_tx_commit(), 0);
	}
	rf_tx_begin();
	rf_dict_fini(dict, NULL);
	assert_int_equal(rf_tx_commit(), 0);
	assert_int_equal(rf_dict_check(dict, "test"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_hash_is_siphash_1_3),
		TEST(an_empty_dict_has_nothing_and_owns_nothing),
		TEST(the_empty_key_and_keys_with_zero_bytes_are_keys),
		TEST(it_agrees_with_a_naive_model_through_aborts),
		TEST(an_abort_gives_all_memory_back),
		TEST(removing_the_keys_shrinks_the_table),
		TEST(clearing_in_steps_keeps_a_valid_dict_at_each),
		TEST(a_scan_of_a_still_table_sees_each_key_once),
		TEST(a_scan_sees_all_that_stays_while_the_table_grows),
		TEST(a_scan_sees_all_that_stays_while_the_table_shrinks),
		TEST(random_draws_every_key_equally_often),
		TEST(the_walker_reports_each_planted_fault),
		TEST(a_full_arena_refuses_new_keys_and_keeps_the_old),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
