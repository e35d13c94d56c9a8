/* SPDX-License-Identifier: MIT */
/* test_conf_rules.c -- what keys demand of each other is held, and told where
 * it can be mended.
 */

#include "load_conf.h"

#define MIB ((uint64_t)1 << 20)

static const struct {
	const char *text, *told; /* "": nothing is */
} pairs[] = {
	{"[arena]\nhuge_pages = require\n",
		"t:2: error: arena.huge_pages = require with arena.backend = "
		"posix: "},
	{"[arena]\nhuge_pages = require\nbackend = file\n",
		"t:3: error: arena.huge_pages = require with arena.backend = "
		"file: "},
	{"[arena]\nhuge_pages = require\nbackend = memfd\n", ""},
	{"[arena]\nhuge_pages = require\nbackend = sysv\n", ""},
	{"[arena]\nhuge_pages = require\nbackend = memfd\nmax = 1025M\n",
		"t:4: error: arena.huge_pages = require with arena.max = "
		"1025M: that is no multiple of 2M"},
	{"[arena]\nbackend = sysv\nsize = 32M\nmax = 64M\n",
		"t:4: error: arena.size (32M) is smaller than arena.max (64M): "
		"memory of arena.backend = sysv cannot grow; "},
	{"[arena]\nbackend = sysv\nsize = 64M\nmax = 32M\n",
		"t:4: error: arena.size (64M) is larger than arena.max (32M)"},
	{"[arena]\nbackend = sysv\nsize = 64M\nmax = 64M\n", ""},
	{"[arena]\npath = kv.arena\n",
		"t:2: error: arena.path: `kv.arena` is not an absolute path"},
	{"[arena]\npath = /x/kv.arena\n", ""},
	{"[arena]\nkey = 12\n", "t:2: error: arena.key: `12` is neither auto "},
	{"[arena]\nkey = 0x\n", "t:2: error: arena.key: `0x` is neither auto "},
	{"[arena]\nkey = 0x12g\n", "t:2: error: arena.key: `0x12g` is nei"},
	{"[arena]\nkey = 0x123456789\n", "t:2: error: arena.key: `0x1234567"},
	{"[arena]\nkey = 0x00\n", "t:2: error: arena.key: `0x00` is the key "},
	{"[arena]\nkey = 0x5246\n", ""},
	{"[restart]\ndelay = 2s\ndelay_max = 1s\n",
		"t:3: error: restart.delay (2s) is larger than "
		"restart.delay_max (1s)"},
	{"[kv]\nmaxmemory = 2G\n[arena]\nmax = 1G\n",
		"t:4: error: kv.maxmemory (2G) is larger than arena.max (1G)"},
};

static void what_does_not_go_together_is_told_with_its_line(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < COUNT(pairs); i++) {
		int count = load(pairs[i].text);
		size_t bytes = strlen(pairs[i].told);

		if (count != (bytes > 0) ||
			strncmp(problems, pairs[i].told, bytes))
			fail_msg("%s\n%d: %s", pairs[i].text, count, problems);
	}
}

static void of_memory_that_cannot_grow_one_size_is_enough(void **unused)
{
	static const char *const texts[] = {
		"[arena]\nbackend = sysv\nsize = 48M\n",
		"[arena]\nsize = 48M\nbackend = sysv\n",
		"[arena]\nmax = 48M\nbackend = sysv\n",
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(texts); i++) {
		assert_int_equal(load(texts[i]), 0);
		assert_int_equal(conf.arena.size_bytes, 48 * MIB);
		assert_int_equal(conf.arena.max_bytes, 48 * MIB);
	}
	assert_int_equal(load("[arena]\nbackend = sysv\n"), 0);
	assert_int_equal(conf.arena.max_bytes, conf.arena.size_bytes);
	assert_int_equal(load("[arena]\nsize = 48M\n"), 0);
	assert_int_equal(conf.arena.max_bytes, 4096 * MIB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			what_does_not_go_together_is_told_with_its_line),
		cmocka_unit_test(of_memory_that_cannot_grow_one_size_is_enough),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
