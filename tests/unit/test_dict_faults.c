/* SPDX-License-Identifier: MIT */
/* test_dict_faults.c -- the dict when the log is full or its bytes are bad. */
#include "scratch_arena.h"
#include "suite.h"
#include <errno.h>
#include <refork/dict.h>
#include <super.h>

static struct rf_dict *dict;

static size_t key_text(char *text, size_t bytes, unsigned number)
{
	return (size_t)snprintf(text, bytes, "key:%u", number);
}

static void put(unsigned number)
{
	char key[128];
	size_t bytes = key_text(key, sizeof key, number);

	assert_non_null(rf_dict_put(dict, key, bytes, NULL));
}

static struct rf_dict_entry *find(unsigned number)
{
	char key[128];

	return rf_dict_find(dict, key, key_text(key, sizeof key, number));
}

static int set_up(void **state)
{
	(void)state;
	if (scratch_arena_create(256 << 20) != 0)
		return -1;
	rf_tx_begin();
	dict = rf_alloc(sizeof *dict);
	return rf_tx_commit();
}

static int tear_down(void **state)
{
	(void)state;
	scratch_arena_destroy();
	return 0;
}

/* The same transaction under every limit, up to the first that suffices. */
static void a_log_that_fills_anywhere_undoes_everything(void **unused)
{
	struct rf_super *super = RF_SUPER;
	uint64_t log_max_bytes = super->log_max_bytes;
	uint64_t log_ready_bytes = super->log_ready_bytes;
	size_t used = rf_heap_used();
	int error = -ENOSPC;
	unsigned refused;

	(void)unused;
	for (refused = 0; error != 0; refused++) {
		uint64_t limit = 64 + refused * 8;

		super->log_max_bytes = super->log_ready_bytes = limit;
		super->log_fixed_bytes = limit;
		rf_tx_begin();
		for (unsigned i = 0; i < 700; i++) {
			char key[128];
			size_t bytes = key_text(key, sizeof key, i);
			struct rf_dict_entry *entry =
				rf_dict_put(dict, key, bytes, NULL);

			if (entry != NULL)
				RF_SET(entry->value, rf_try_alloc(40 + i % 64));
		}
		error = rf_tx_commit();
		assert_true(error == 0 || error == -ENOSPC);
		if (error != 0) {
			assert_int_equal(rf_heap_used(), used);
			assert_int_equal(rf_dict_count(dict), 0);
		}
	}
	super->log_max_bytes = log_max_bytes;
	super->log_ready_bytes = super->log_fixed_bytes = log_ready_bytes;
	assert_int_equal(rf_heap_check(), 0);
	assert_int_equal(rf_dict_check(dict, "test"), 0);
	assert_true(refused > 1000);
}

static void a_prefetch_follows_no_wild_pointer(void **unused)
{
	uint64_t *words = (uint64_t *)dict;
	struct rf_bytes keys[RF_DICT_PREFETCH_MAX + 4];
	static char texts[RF_DICT_PREFETCH_MAX + 4][128];

	(void)unused;
	for (unsigned i = 0; i < RF_DICT_PREFETCH_MAX + 4; i++)
		keys[i] = (struct rf_bytes){
			texts[i], key_text(texts[i], sizeof *texts, i)};
	rf_dict_prefetch(dict, keys, 4); /* empty */
	rf_tx_begin();
	for (unsigned i = 0; i < 2000; i++)
		put(i);
	assert_int_equal(rf_tx_commit(), 0);
	rf_dict_prefetch(dict, keys, RF_DICT_PREFETCH_MAX + 4);
	for (unsigned i = 0; i < RF_DICT_PREFETCH_MAX; i++)
		find(i)->next = (void *)(random_below(2) ? 0x10 : -8l);
	rf_dict_prefetch(dict, keys, RF_DICT_PREFETCH_MAX);
	for (int round = 0; round < 100000; round++) {
		size_t at = random_below(sizeof *dict / 8);
		uint64_t good = words[at];

		words[at] ^= UINT64_C(1) << random_below(64);
		rf_dict_prefetch(dict, keys, RF_DICT_PREFETCH_MAX);
		words[at] = good;
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_prefetch_follows_no_wild_pointer),
		TEST(a_log_that_fills_anywhere_undoes_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
