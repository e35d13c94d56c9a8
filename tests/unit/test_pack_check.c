/* SPDX-License-Identifier: MIT */
/* test_pack_check.c -- the walker of packs before bytes that are none. */
#include "scratch_arena.h"
#include "suite.h"
#include <refork/pack.h>

static struct rf_pack **root;

static int set_up(void **state)
{
	(void)state;
	if (scratch_arena_create((uint64_t)16 << 20) != 0)
		return -1;
	rf_tx_begin();
	root = rf_alloc(sizeof *root);
	RF_SET(*root, rf_pack_create(60));
	return rf_tx_commit();
}

static int tear_down(void **state)
{
	(void)state;
	scratch_arena_destroy();
	return 0;
}

/* Items of all forms. */
static void fill(void)
{
	char text[400];

	rf_tx_begin();
	for (unsigned i = 0; i < 40; i++) {
		size_t bytes = i % 3 == 0 ? i * 10 : i;

		random_fill(text, bytes);
		if (i % 3 == 1)
			bytes = (size_t)snprintf(text, sizeof text, "%lld",
				(long long)(random_word() >> i));
		RF_SET(*root, rf_pack_insert(*root, rf_pack_first(*root), text,
				      bytes));
	}
	assert_int_equal(rf_tx_commit(), 0);
}

/* What the check passes can be gone through both ways. */
static void walk(void)
{
	uint32_t at = rf_pack_first(*root);

	for (uint32_t n = rf_pack_count(*root); n > 0; n--)
		at = rf_pack_next(*root, at);
	assert_int_equal(at, rf_pack_end(*root));
	for (uint32_t n = rf_pack_count(*root); n > 0; n--)
		at = rf_pack_prev(*root, at);
	assert_int_equal(at, rf_pack_first(*root));
}

/* Every byte, another one in every way. */
static void the_check_sees_damage_and_survives_it(void **unused)
{
	uint8_t *bytes;
	unsigned passed = 0, tried = 0;

	(void)unused;
	fill();
	bytes = (uint8_t *)*root;
	for (size_t i = 0; i < RF_PACK_OVERHEAD + rf_pack_end(*root); i++) {
		uint8_t good = bytes[i];

		for (unsigned flip = 1; flip < 256; flip++) {
			bytes[i] = (uint8_t)(good ^ flip);
			tried++;
			if (rf_pack_check(*root, "damaged") == 0) {
				passed++;
				walk();
			}
		}
		bytes[i] = good;
	}
	assert_true(passed < tried); /* a text may change */
	assert_int_equal(rf_pack_check((void *)(bytes + 16), "w"), -EBADMSG);
	assert_int_equal(rf_pack_check(NULL, "wild"), -EBADMSG);
}

/* Rows of one item that is none. */
static void the_check_knows_each_fault(void **unused)
{
	static const struct row {
		const char *at;
		size_t bytes;
	} rows[] = {
#define ROW(text) {text, sizeof text - 1}
		ROW("\xc0\x10"),
		ROW("\xc0\x10\xd0"),
		ROW("\xc5\0\xc0"),
		ROW("\xd0\x08\0\0\xd0"),
		ROW("\xe0\0\1\0\0\0\0\0\xe0"),
		ROW("\xe0\0\1\0"),
		ROW("\x80"),
		ROW("\x81\x81"),
		ROW("\x82"
		    "ab\x81"),
		ROW("\x82"
		    "12\x82"),
		ROW("\x82-1\x82"),
		ROW("\xf0\xf0"),
		ROW("\xf3\0\0\0\0\0\xf3"),
		ROW("\xf1\2ab\2\xf1"),
		ROW("\xf2\2\0"
		    "ab\2\0\xf2"),
		ROW("\xf1\xff"
		    "ab\xff\xf1"),
		ROW("\xf2\xff"),
		ROW("\xf1"),
		ROW("\xf4\xff\xff\xff\xffxx\xff\xff\xff\xff\xf4"),
		ROW("\xff"
		    "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrst"),
	};

	(void)unused;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char *bytes;

		rf_tx_begin();
		RF_SET(*root, rf_pack_insert(*root, rf_pack_end(*root), "", 0));
		bytes = (char *)*root + RF_PACK_OVERHEAD;
		memcpy(bytes, rows[i].at, rows[i].bytes);
		((uint32_t *)*root)[1] = (uint32_t)rows[i].bytes;
		assert_int_equal(rf_pack_check(*root, "a bad row"), -EBADMSG);
		rf_tx_abort();
	}
}

/* Any bytes at all. */
static void the_check_survives_any_bytes(void **unused)
{
	struct rf_pack *pack;
	uint32_t *words;

	(void)unused;
	rf_tx_begin();
	pack = rf_pack_create(500);
	words = (uint32_t *)pack;
	for (int round = 0; round < 200000; round++) {
		random_fill(words, 12 + random_below(500));
		if (random_below(8) > 0) {
			words[0] = (uint32_t)random_below(20);
			words[1] = (uint32_t)random_below(500);
		}
		rf_pack_check(pack, "any bytes");
	}
	rf_tx_abort();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_check_sees_damage_and_survives_it),
		TEST(the_check_knows_each_fault),
		TEST(the_check_survives_any_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
